"""Recordings: files, conversions, episodes, writing. No rclpy."""
