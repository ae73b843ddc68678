"""Recorded commands as the motion that they command, as a trajectory controller reads them."""

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Measured = Callable[[int], np.ndarray | None]
"""Moment, ns -> where the joints are measured then, (Da,); None: not known."""


@dataclass(frozen=True)
class CommandedPoints:
    """What one message commands.

    Attributes:
        stamp_ns: Moment from which it is in force.
        after_ns: Moments of its points behind the stamp, (K,), rising.
        positions: Where the joints are to be at each point, (K, Da).
        velocities: How fast, (K, Da); None: it leaves that open.
    """

    stamp_ns: int
    after_ns: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None = None

    @property
    def end_ns(self) -> int:
        """Moment of the last point; behind it, it is held."""
        return self.stamp_ns + int(self.after_ns[-1])


class CommandedMotion:
    """What is commanded at any moment: the newest command that is in force then.

    A first point counts at once where it lies at most a period of the policy ahead, or where
    commands come faster than their points are reached: set-points, as servo loops send them. To
    another one the motion leads from where the joints are measured when the command comes into
    force. Between two points it is a line, or a cubic where both have velocities; behind the last
    one it is held.

    Args:
        commands: In the order of their stamps.
        period_ns: Period of the policy.
        measured: Where the joints are.
    """

    def __init__(
        self, commands: Sequence[CommandedPoints], period_ns: int, measured: Measured
    ) -> None:
        self._stamps_ns = [each.stamp_ns for each in commands]
        gaps_ns = [float(each) for each in np.diff(self._stamps_ns)]
        if commands:  # behind the last one as before it
            gaps_ns.append(gaps_ns[-1] if gaps_ns else math.inf)
        self._commands = [
            _with_beginning(each, measured) if period_ns < each.after_ns[0] <= gap_ns else each
            for each, gap_ns in zip(commands, gaps_ns, strict=True)
        ]

    def at(self, moment_ns: int) -> np.ndarray:
        """Return where the joints are commanded to be, (Da,), from the first command on."""
        command = self._commands[max(bisect.bisect_right(self._stamps_ns, moment_ns) - 1, 0)]
        return _at(command, moment_ns - command.stamp_ns)

    def pauses(self, end_ns: int) -> list[tuple[int, int, np.ndarray]]:
        """Return each time in which nothing new is commanded, and the position held then, (Da,).

        Args:
            end_ns: Where the recording ends.
        """
        if not self._commands:
            return []
        nexts_ns = [*self._stamps_ns[1:], end_ns + 1]  # its last moment is inside
        return [
            (command.end_ns, next_ns, command.positions[-1])
            for command, next_ns in zip(self._commands, nexts_ns, strict=True)
            if command.end_ns < next_ns
        ]


def _with_beginning(command: CommandedPoints, measured: Measured) -> CommandedPoints:
    """Return the command with a point at its stamp, where the robot is at rest."""
    begin = measured(command.stamp_ns)
    if begin is None:
        return command
    velocities = command.velocities
    if velocities is not None:
        velocities = np.vstack([np.zeros_like(begin), velocities])
    return CommandedPoints(
        command.stamp_ns,
        np.insert(command.after_ns, 0, 0),
        np.vstack([begin, command.positions]),
        velocities,
    )


def _at(command: CommandedPoints, passed_ns: int) -> np.ndarray:
    times, rows = command.after_ns, command.positions
    i = int(np.searchsorted(times, passed_ns, side="right")) - 1
    if i < 0 or i == len(times) - 1:
        found: np.ndarray = rows[max(i, 0)]
        return found
    duration_s = float(times[i + 1] - times[i]) / 1e9
    u = (passed_ns - times[i]) / (times[i + 1] - times[i])
    step = rows[i + 1] - rows[i]
    if command.velocities is None:
        line: np.ndarray = rows[i] + u * step
        return line
    begin, end = (command.velocities[k] * duration_s for k in (i, i + 1))
    # The cubic with these two positions and velocities, by powers of u.
    cubic: np.ndarray = rows[i] + u * (
        begin + u * (3 * step - 2 * begin - end + u * (begin + end - 2 * step))
    )
    return cubic
