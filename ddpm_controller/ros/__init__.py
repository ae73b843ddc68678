"""ROS 2 at the end of every arrow: nodes, parameters, conversions, bags."""
