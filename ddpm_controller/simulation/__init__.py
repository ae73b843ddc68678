"""MuJoCo worlds with a six-joint arm, and scripted experts that solve them; no ROS."""
