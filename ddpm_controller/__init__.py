"""A receding-horizon diffusion-policy controller for ROS 2."""

__version__ = "0.1.0"
