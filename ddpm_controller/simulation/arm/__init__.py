"""The six-joint arm with a gripper: reach and pick_place."""
