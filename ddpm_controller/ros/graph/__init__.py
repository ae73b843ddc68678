"""Graphs of processes, for ros2 launch and without it."""
