"""Learned systems, one paper one file."""
