"""Robot time: what was seen, what is commanded now, and whether that is safe. Numpy only."""
