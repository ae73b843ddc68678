"""Minimal Iterative Policy (MIP), Pan et al. 2025: a chunk in two supervised regressions."""
