"""The small robot of ``small_bags`` with its description and a checkpoint of random weights."""

from dataclasses import replace

from random_checkpoint import CONFIG, save_random_network
from small_bags import ROBOT, TOPICS, T, small_robot

URDF = """<robot name="small"><link name="a"/><link name="b"/><link name="c"/>
<joint name="lift" type="revolute"><parent link="a"/><child link="b"/>
<limit lower="-2" upper="3" velocity="9" effort="1"/></joint>
<joint name="grip" type="prismatic"><parent link="b"/><child link="c"/>
<limit lower="-3" upper="1" velocity="9" effort="1"/></joint></robot>"""
SEEN = ROBOT.replace("width: 6,", "width: 6, resize: [8, 8],")
"""Its robot file, with pictures that are large enough for a policy."""
RANGE = {"min": [-2.0, -2.0], "max": [2.0, 2.0]}
STATISTICS = {"joint_state": RANGE, "camera": {"min": [0.0], "max": [255.0]}, "action": RANGE}
TINY = replace(
    CONFIG,
    image_channels=(4,),
    num_keypoints=2,
    channels=(8, 16),
    num_groups=4,
    horizon=8,
    n_action_steps=4,
)
DESCRIBED = {**TOPICS, "/robot_description": "std_msgs/msg/String"}


def described(messages, urdf=URDF):
    messages = list(messages)
    return [("/robot_description", messages[0][1], T["std_msgs/msg/String"](urdf)), *messages]


def small_checkpoint(folder):
    """Write robot.yaml and checkpoint/."""
    save_random_network(folder / "checkpoint", TINY, small_robot(folder, SEEN), STATISTICS)
    return folder / "checkpoint"
