"""What was seen, and whether it can be used."""
