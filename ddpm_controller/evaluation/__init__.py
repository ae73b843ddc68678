"""Closed-loop trials on matched seeds, with intervals and reports."""
