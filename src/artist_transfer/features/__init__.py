"""Features computed from mel frames or whole tracks."""
