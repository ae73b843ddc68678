"""Joints whose measured positions jump to and fro, as when two nodes publish them."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

_TURN = 2 * math.pi
_DISTANCE = 0.02
"""Positions nearer than this, rad or m, are of one joint whatever the time between them."""
_MARGIN = 2.0
"""Measured speeds go a little beyond the limit."""
_LONGEST_S = 0.1
"""Stamps of two clocks may lie far apart without any motion between them."""
_QUARREL_S = 1.0
"""So long after a contradiction no message is taken."""


@dataclass(frozen=True)
class _Measured:
    position: float
    stamp_s: float


@dataclass(frozen=True)
class _Quarrel:
    text: str
    until_s: float


class JointJumps:
    """Compares each position with the one before, on the level of joints.

    A jump alone is held back; when the next position continues from there the joint was moved,
    as in a simulation. When it comes back, two nodes publish the same joint, and neither is
    believed for a while: the positions are never averaged and none is chosen. A message without
    such a joint, as of a gripper that publishes apart, is taken meanwhile.

    Args:
        names: Joints that are observed; others are not looked at.
        period_s: Expected time between two messages.
        publishers: Returns the names of the nodes that publish the topic.
        wraps: Joints that are reported within one turn: a whole turn is no jump of theirs.
    """

    def __init__(
        self,
        names: Collection[str],
        period_s: float,
        publishers: Callable[[], Sequence[str]],
        wraps: Collection[str] = (),
    ) -> None:
        self._names, self._wraps = frozenset(names), frozenset(wraps)
        self._publishers, self._nodes = publishers, list[str]()
        self._nodes_until_s = -math.inf
        self._longest_s = max(_LONGEST_S, 1.5 * period_s)
        self._last: dict[str, _Measured] = {}
        self._jumped: dict[str, _Measured] = {}
        self._quarrels: dict[str, _Quarrel] = {}

    def problem(
        self,
        measured: Mapping[str, float],
        stamp_s: float,
        speeds: Mapping[str, float],
        now_s: float,
    ) -> str:
        """Return why a message is not taken, or an empty text.

        Args:
            measured: Joint -> position.
            stamp_s: Time of the message.
            speeds: Joint -> velocity limit; joints without one are not looked at.
            now_s: Monotonic time.
        """
        found = ""
        joints = self._names & measured.keys() & speeds.keys()
        for name in joints:
            position = _Measured(measured[name], stamp_s)
            found = self._compared(name, position, speeds[name], now_s) or found
        if not self._quarrels:
            return found
        self._quarrels = {n: each for n, each in self._quarrels.items() if now_s < each.until_s}
        newest = [self._quarrels[name] for name in joints & self._quarrels.keys()]
        return max(newest, key=lambda each: each.until_s).text if newest else found

    def _compared(self, name: str, new: _Measured, speed: float, now_s: float) -> str:
        last, jumped = self._last.get(name), self._jumped.pop(name, None)
        if last is None or self._continues(name, last, new, speed):
            self._last[name] = new
            if jumped is not None and not self._continues(name, jumped, new, speed):
                self._quarrel(name, jumped.position, new.position, now_s)
            return ""
        if not self._are_several(now_s) or (
            jumped is not None and self._continues(name, jumped, new, speed)
        ):
            self._last[name] = new
            return ""
        self._jumped[name] = new
        return f"{name} jumps from {last.position:.3f} to {new.position:.3f}"

    def _are_several(self, now_s: float) -> bool:
        """Whether several nodes publish the topic; that they do is known for a while."""
        # Many messages may jump, and the thread that takes them has other things to do. A
        # second publisher that is new is noticed at once.
        if now_s >= self._nodes_until_s:
            self._nodes = list(self._publishers())
            self._nodes_until_s = now_s + _QUARREL_S if len(self._nodes) > 1 else -math.inf
        return len(self._nodes) > 1

    def _continues(self, name: str, last: _Measured, new: _Measured, speed: float) -> bool:
        passed_s = min(abs(new.stamp_s - last.stamp_s), self._longest_s)
        way = new.position - last.position
        if name in self._wraps:
            way = math.remainder(way, _TURN)
        return abs(way) <= _DISTANCE + _MARGIN * speed * passed_s

    def _quarrel(self, name: str, one: float, other: float, now_s: float) -> None:
        nodes = ", ".join(self._nodes)
        text = (
            f"{name} jumps between {one:.3f} and {other:.3f}: two nodes publish it, and which is "
            f"right is not known; publishers are {nodes}: stop one of them"
        )
        self._quarrels[name] = _Quarrel(text, now_s + _QUARREL_S)
