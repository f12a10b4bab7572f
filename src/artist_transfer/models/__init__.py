"""Nets, built from a typed configuration and saved as safetensors and JSON."""
