"""The simulation node, and those that drive it."""
