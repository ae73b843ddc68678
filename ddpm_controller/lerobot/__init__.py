"""Data sets of LeRobot, read and written without it."""
