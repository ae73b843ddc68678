"""Noise added and removed: schedules, Gaussian process, targets, losses, samplers."""
