"""artist-transfer: music representations learned from artist labels, and what they are worth."""

__version__ = "0.1.0"
