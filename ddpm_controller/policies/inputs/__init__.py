"""What networks are given: windows, goals, masks."""
