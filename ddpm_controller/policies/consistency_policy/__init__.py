"""Consistency Policy, Prasad et al. 2024: a Diffusion Policy distilled to one or two steps."""
