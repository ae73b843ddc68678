"""Who publishes and who is subscribed, by the names of nodes."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from rclpy.topic_endpoint_info import TopicEndpointInfo

_MOST_NAMES = 4
_NAMELESS = "_NODE_NAME_UNKNOWN_"
_NAMELESS_S = 3.0
"""A node has been found before its name for no longer than this, also on a busy machine."""


class Nameless:
    """Endpoints whose nodes have no name yet: they may be ours, until they stay without one."""

    def __init__(self) -> None:
        self._since_s = math.inf

    def named(self, names: Sequence[str], now_s: float) -> list[str]:
        """Return the nodes that have a name, and those that have had none for a while."""
        known = [name for name in names if _NAMELESS not in name]
        if len(known) == len(names):
            self._since_s = math.inf
            return known
        self._since_s = min(self._since_s, now_s)
        return list(names) if now_s - self._since_s > _NAMELESS_S else known


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
