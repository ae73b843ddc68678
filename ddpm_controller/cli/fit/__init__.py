"""Commands that fit something to recordings or to what was trained. No rclpy."""
