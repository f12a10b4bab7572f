"""Kedro wiring: thin nodes over the library."""
