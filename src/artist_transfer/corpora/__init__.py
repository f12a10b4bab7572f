"""Corpora: one module a data set, each reads its real files and returns the track table."""
