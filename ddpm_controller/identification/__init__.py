"""Latency and noise measured from recordings, and what cleans it."""
