"""Transfer evaluation: embedding, probes, metrics, intervals."""
