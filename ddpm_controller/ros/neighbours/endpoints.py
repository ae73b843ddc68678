"""Who publishes and who is subscribed, by the names of nodes."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rclpy.topic_endpoint_info import TopicEndpointInfo

_MOST_NAMES = 4


def node_of(info: TopicEndpointInfo) -> str:
    """Return the full name of the node that has an endpoint."""
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def foreign(infos: Iterable[TopicEndpointInfo], own: Iterable[str]) -> list[str]:
    """Return the nodes of endpoints without those that are ours, one for each name of ours.

    A process that is left over from an earlier run has the same name: it is the second one.
    """
    counts = Counter(node_of(info) for info in infos)
    counts.subtract(set(own) & set(counts))
    return sorted(counts.elements())


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence; of many the first."""
    several = list(dict.fromkeys(names))
    more = len(several) - _MOST_NAMES
    text = ", ".join(several[:_MOST_NAMES])
    return f"{text} and {more} more" if more > 0 else text
