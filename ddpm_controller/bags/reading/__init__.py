"""Storage files of bags: which topics they have, and their messages as bytes."""
