"""Diff-Control, Liu et al. 2024, and its variants."""
