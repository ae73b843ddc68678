"""Contents of messages as numbers, the same for a live topic and for a bag. No ROS library."""
