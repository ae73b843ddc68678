"""Joints whose measured positions jump to and fro, as when two nodes publish them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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


class JointJumps:
    """Compares each position with the one before, on the level of joints.

    A jump alone is held back; when the next position continues from there the joint was moved,
    as in a simulation. When it comes back, two nodes publish the same joint, and neither is
    believed for a while: the positions are never averaged and none is chosen.

    Args:
        names: Joints that are observed; others are not looked at.
        period_s: Expected time between two messages.
        publishers: Returns the names of the nodes that publish the topic.
    """

    def __init__(
        self, names: Sequence[str], period_s: float, publishers: Callable[[], Sequence[str]]
    ) -> None:
        self._names, self._publishers = frozenset(names), publishers
        self._longest_s = max(_LONGEST_S, 1.5 * period_s)
        self._last: dict[str, _Measured] = {}
        self._jumped: dict[str, _Measured] = {}
        self._text, self._until_s = "", float("-inf")

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
        for name in self._names & measured.keys() & speeds.keys():
            position = _Measured(measured[name], stamp_s)
            found = self._compared(name, position, speeds[name], now_s) or found
        return self._text if now_s < self._until_s else found

    def _compared(self, name: str, new: _Measured, speed: float, now_s: float) -> str:
        last, jumped = self._last.get(name), self._jumped.pop(name, None)
        if last is None or self._continues(last, new, speed):
            self._last[name] = new
            if jumped is not None and not self._continues(jumped, new, speed):
                self._quarrel(name, jumped.position, new.position, now_s)
            return ""
        nodes = self._publishers()
        if len(nodes) < 2 or (jumped is not None and self._continues(jumped, new, speed)):
            self._last[name] = new
            return ""
        self._jumped[name] = new
        return f"{name} jumps from {last.position:.3f} to {new.position:.3f}"

    def _continues(self, last: _Measured, new: _Measured, speed: float) -> bool:
        passed_s = min(abs(new.stamp_s - last.stamp_s), self._longest_s)
        return abs(new.position - last.position) <= _DISTANCE + _MARGIN * speed * passed_s

    def _quarrel(self, name: str, one: float, other: float, now_s: float) -> None:
        nodes = ", ".join(self._publishers())
        self._until_s = now_s + _QUARREL_S
        self._text = (
            f"{name} jumps between {one:.3f} and {other:.3f}: two nodes publish it, and which is "
            f"right is not known; publishers are {nodes}: stop one of them"
        )
