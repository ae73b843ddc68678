"""Out of distribution, and departure from the plan."""
