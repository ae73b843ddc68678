"""Which chunk, and when."""
