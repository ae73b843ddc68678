"""How a plan is joined to the one before."""
