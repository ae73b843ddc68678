"""Publishers of what a controller observes: several of one topic, and descriptions."""

from collections.abc import Iterable, Mapping, Sequence

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy

from ddpm_controller.ros.neighbours.endpoints import listed, node_of


def several_publishers(node: Node, shared: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return topic -> what to know of its publishers, where several give the same joints.

    Args:
        node: Asked for the publishers.
        shared: Topic -> joints that come with other ones beside them at times.
    """
    texts = {}
    for topic, joints in shared.items():
        names = sorted(map(node_of, node.get_publishers_info_by_topic(topic)))
        if len(names) > 1 and joints:
            texts[topic] = (
                f"{topic} has {len(names)} publishers, {listed(names)}, and several of them give "
                f"{', '.join(joints)}: each joint should have one; observe the topic of one of "
                "them, or end the other"
            )
    return texts


def volatile_descriptions(node: Node, topics: Iterable[str]) -> str:
    """Return which node publishes a robot description only for those who are there already."""
    return next(filter(None, (_volatile(node, topic) for topic in topics)), "")


def _volatile(node: Node, topic: str) -> str:
    infos = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    names = [
        node_of(info) for info in infos if info.qos_profile.durability == DurabilityPolicy.VOLATILE
    ]
    if not names or len(names) < len(infos):
        return ""
    return (
        f"{listed(names)} publishes {topic} as volatile, so it reaches only who is "
        "there already: let it publish again or start it after the controller, or make its "
        "durability transient_local"
    )


def other_types(node: Node, topics: Mapping[str, str]) -> dict[str, str]:
    """Return topic -> why nothing of it is received, where it is published as another type.

    Args:
        node: Asked for the publishers.
        topics: Topic -> type that is observed.
    """
    texts = {}
    for name, wanted in topics.items():
        topic = node.resolve_topic_name(name)
        infos = node.get_publishers_info_by_topic(topic)
        others = sorted({info.topic_type for info in infos} - {wanted})
        if others and all(info.topic_type != wanted for info in infos):
            texts[topic] = (
                f"{topic} is observed as {wanted}, and {listed(sorted(map(node_of, infos)))} "
                f"publishes {', '.join(others)}: nothing of it is received; correct type or topic "
                "in the robot file, or remap"
            )
    return texts
