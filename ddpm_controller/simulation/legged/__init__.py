"""Worlds with legs: the Unitree Go1 on a flat floor."""
