"""Noise fitted to recordings."""
