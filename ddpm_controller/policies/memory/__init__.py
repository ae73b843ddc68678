"""What is carried from plan to plan."""
