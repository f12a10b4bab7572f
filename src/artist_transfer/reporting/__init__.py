"""Tables, figures and pages made from saved results."""
