"""The commands of one bag: of several topics, each column has the command of its own in force."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.robots.outputs import RobotOutput, columns_of


@dataclass
class _Track:
    """Commands of one output in the order of recording."""

    stamps_ns: list[int] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)


class RecordedCommands:
    """Commands of all outputs of a robot.

    Args:
        outputs: Outputs of the robot.
    """

    def __init__(self, outputs: Sequence[RobotOutput]) -> None:
        self._outputs, self._columns = tuple(outputs), columns_of(outputs)
        self._tracks = {output.name: _Track() for output in outputs}

    def add(self, output: RobotOutput, stamp_ns: int, row: np.ndarray) -> None:
        """Take what an output was sent, (D,); an older one than the last was never in force."""
        track = self._tracks[output.name]
        if track.stamps_ns and stamp_ns < track.stamps_ns[-1]:
            return
        track.stamps_ns.append(stamp_ns)
        track.rows.append(row)

    @property
    def missing(self) -> list[str]:
        """Topics that had no command, but those of grippers, which may have nothing to do."""
        return [
            output.in_bags[0]
            for output in self._outputs
            if output.gripper is None and not self._tracks[output.name].rows
        ]

    @property
    def first_ns(self) -> int:
        """Moment from which all but the grippers are commanded; 0 where there is nothing else."""
        firsts_ns = [
            self._tracks[output.name].stamps_ns[0]
            for output in self._outputs
            if output.gripper is None
        ]
        return max(firsts_ns, default=0)

    def at(self, moments_ns: Sequence[int]) -> np.ndarray:
        """Return the commands in force, (N, Da); NaN before the first one of an output."""
        width = sum(len(output.names) for output in self._outputs)
        found = np.full((len(moments_ns), width), np.nan)
        for output in self._outputs:
            track, columns = self._tracks[output.name], self._columns[output.name]
            last = np.searchsorted(track.stamps_ns, moments_ns, side="right") - 1
            if track.rows:
                found[last >= 0, columns] = np.array(track.rows)[last[last >= 0]]
        return found
