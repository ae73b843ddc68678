"""Robot files of a simulated robot that is commanded otherwise."""

from pathlib import Path

import yaml

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
SIM_ARM = ROBOTS / "sim_arm.yaml"
SIM_ARM_GRIPPER = ROBOTS / "sim_arm_gripper.yaml"
ARRAY = {"topic": "commands", "type": "std_msgs/msg/Float64MultiArray"}


def changed_robot(folder, change, source=SIM_ARM):
    """Write a robot file that is ``source`` after ``change(content)``; return its path."""
    content = yaml.safe_load(Path(source).read_text())
    change(content)
    if "joint_limits" in content:
        content["joint_limits"] = str(source.parent / content["joint_limits"])
    path = Path(folder) / "robot.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def array_robot(folder, source=SIM_ARM):
    """Write a robot file whose commands are arrays on ``commands``."""
    return changed_robot(folder, lambda content: content["action"].update(ARRAY), source)


def gripper_robot(folder, **gripper):
    """Write the file of the robot with two topics, with another gripper."""
    return changed_robot(
        folder, lambda content: content["actions"][1].update(gripper), SIM_ARM_GRIPPER
    )
