"""What a robot is: robot file, joint limits, latencies. No ROS library."""
