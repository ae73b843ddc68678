"""Publishers of what is observed: only what is wrong with them is named."""

from types import SimpleNamespace

from sensor_msgs.msg import JointState

from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.neighbours.joint_contradictions import JointContradictions
from ddpm_controller.ros.neighbours.sources import other_types, several_publishers
from ddpm_controller.share import share_path


class Graph:
    """A node that sees two publishers of every topic."""

    def resolve_topic_name(self, name):
        return f"/{name}"

    def get_publishers_info_by_topic(self, topic):
        names = ("arm", "gripper")
        return [
            SimpleNamespace(
                node_name=name, node_namespace="/", topic_type="sensor_msgs/msg/JointState"
            )
            for name in names
        ]


def seen(*lists):
    """What is noted after joint states with these names."""
    robot = load_robot(share_path("config/robots/ur5e_2f85.yaml"))
    contradictions = JointContradictions(Graph(), robot)
    for names in lists:
        message = JointState(name=names, position=[0.1] * len(names))
        contradictions.problem("joint_states", message, {})
    return several_publishers(Graph(), contradictions.shared)


def test_an_arm_and_a_gripper_that_publish_apart_are_as_it_should_be():
    assert not seen(["elbow_joint"], ["robotiq_85_left_knuckle_joint"], ["elbow_joint"])


def test_two_publishers_of_the_same_joint_are_named_with_it():
    arm, both = ["elbow_joint"], ["elbow_joint", "robotiq_85_left_knuckle_joint"]
    text = seen(arm, both)["/joint_states"]
    assert "2 publishers" in text
    assert "several of them give elbow_joint" in text


def test_a_topic_that_is_published_as_another_type_is_named():
    """DDS connects neither side, and nothing comes without a word."""
    fits = "sensor_msgs/msg/JointState"
    assert other_types(Graph(), {"joint_states": fits}) == {}
    text = other_types(Graph(), {"joint_states": "sensor_msgs/msg/Imu"})["/joint_states"]
    assert text.startswith("/joint_states is observed as sensor_msgs/msg/Imu, and /arm, /gripper")
    assert f"publishes {fits}" in text
