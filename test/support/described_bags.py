"""The small robot of ``small_bags`` with its description, for tests that need its limits."""

from small_bags import TOPICS, T

URDF = """<robot name="small"><link name="a"/><link name="b"/><link name="c"/>
<joint name="lift" type="revolute"><parent link="a"/><child link="b"/>
<limit lower="-2" upper="3" velocity="9" effort="1"/></joint>
<joint name="grip" type="prismatic"><parent link="b"/><child link="c"/>
<limit lower="-3" upper="1" velocity="9" effort="1"/></joint></robot>"""
DESCRIBED = {**TOPICS, "/robot_description": "std_msgs/msg/String"}


def described(messages, urdf=URDF):
    messages = list(messages)
    return [("/robot_description", messages[0][1], T["std_msgs/msg/String"](urdf)), *messages]
