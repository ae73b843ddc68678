"""Publishers of what a controller observes: several of one topic, and descriptions."""

from collections.abc import Sequence

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy

from ddpm_controller.ros.neighbours.endpoints import listed, node_of


def several_publishers(node: Node, topics: Sequence[str]) -> dict[str, str]:
    """Return topic -> what to know of its publishers, where there are several."""
    texts = {}
    for topic in topics:
        names = sorted(map(node_of, node.get_publishers_info_by_topic(topic)))
        if len(names) > 1:
            texts[topic] = (
                f"{len(names)} publishers: {listed(names)}; right where each gives other joints"
            )
    return texts


def volatile_descriptions(node: Node) -> str:
    """Return which node publishes the robot description only for those who are there already."""
    infos = node.get_publishers_info_by_topic(node.resolve_topic_name("robot_description"))
    names = [
        node_of(info) for info in infos if info.qos_profile.durability == DurabilityPolicy.VOLATILE
    ]
    if not names or len(names) < len(infos):
        return ""
    return (
        f"{listed(names)} publishes robot_description as volatile, so it reaches only who is "
        "there already: let it publish again or start it after the controller, or make its "
        "durability transient_local"
    )
