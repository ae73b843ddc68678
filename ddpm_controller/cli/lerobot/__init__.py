"""Commands that exchange recordings with LeRobot."""
