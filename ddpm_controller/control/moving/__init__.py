"""Limits, curves and stops."""
