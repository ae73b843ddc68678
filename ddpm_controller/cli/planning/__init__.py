"""Commands about planners: what makes one, and how well its rollouts order plans."""
