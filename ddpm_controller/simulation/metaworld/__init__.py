"""Tasks of MetaWorld."""
