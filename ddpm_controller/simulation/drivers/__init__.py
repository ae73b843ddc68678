"""The robot's side of a command topic: what real controllers do with what they are sent."""
