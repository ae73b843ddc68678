"""What is seen of a robot, on its graph or in a bag, and a first robot file of it. No rclpy."""
