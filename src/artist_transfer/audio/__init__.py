"""Audio: decoding, log-mel spectrograms and the shard store."""
