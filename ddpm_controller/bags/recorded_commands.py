"""The commands of one bag: of several topics, each column has the command of its own in force."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ddpm_controller.data.commanded_motion import CommandedMotion, CommandedPoints
from ddpm_controller.data.measured_track import MeasuredTrack
from ddpm_controller.robots.outputs import RobotOutput, columns_of


class RecordedCommands:
    """Commands of all outputs of a robot, taken one by one and then read as motions.

    Args:
        outputs: Outputs of the robot.
        period_ns: Period of the policy.
    """

    def __init__(self, outputs: Sequence[RobotOutput], period_ns: int) -> None:
        self._outputs, self._columns = tuple(outputs), columns_of(outputs)
        self._period_ns = period_ns
        self._commands: dict[str, list[CommandedPoints]] = {each.name: [] for each in outputs}
        self._motions: dict[str, CommandedMotion] = {}

    def add(self, output: RobotOutput, command: CommandedPoints) -> None:
        """Take what an output was sent; an older one than the last was never in force."""
        commands = self._commands[output.name]
        if not commands or command.stamp_ns >= commands[-1].stamp_ns:
            commands.append(command)

    def points(self, output: RobotOutput) -> tuple[np.ndarray, np.ndarray]:
        """Return the moments of all points of an output, (N,) in ns, and the points (N, D)."""
        commands = self._commands[output.name]
        if not commands:
            return np.zeros(0, dtype=np.int64), np.zeros((0, len(output.names)))
        moments_ns = np.concatenate([each.stamp_ns + each.after_ns for each in commands])
        return moments_ns, np.concatenate([each.positions for each in commands])

    def keep(self, output: RobotOutput, chosen: np.ndarray) -> None:
        """Drop each command of an output that has a point that is not chosen, (N,)."""
        commands = self._commands[output.name]
        ends = np.cumsum([len(each.after_ns) for each in commands])[:-1]
        parts = np.split(chosen, ends) if commands else []
        kept = [each for each, part in zip(commands, parts, strict=True) if part.all()]
        self._commands[output.name] = kept

    def shift(self, output: RobotOutput, earlier_s: float) -> None:
        """Have all that an output was sent count earlier than it came."""
        earlier_ns = round(earlier_s * 1e9)
        self._commands[output.name] = [
            replace(each, stamp_ns=each.stamp_ns - earlier_ns)
            for each in self._commands[output.name]
        ]

    def read_as_motion(self, measured: Mapping[str, MeasuredTrack]) -> None:
        """Note that all have come.

        Args:
            measured: Output -> where its joints are, for outputs that are measured.
        """
        for name, commands in self._commands.items():
            at = measured[name].at if name in measured else lambda moment_ns: None
            self._motions[name] = CommandedMotion(commands, self._period_ns, at)

    def pauses(self, output: RobotOutput, end_ns: int) -> list[tuple[int, int, np.ndarray]]:
        """Return the times in which an output is sent nothing: see ``CommandedMotion``."""
        return self._motions[output.name].pauses(end_ns)

    @property
    def missing(self) -> list[str]:
        """Topics that had no command, but those of grippers, which may have nothing to do."""
        return [
            output.in_bags[0]
            for output in self._outputs
            if output.gripper is None and not self._commands[output.name]
        ]

    @property
    def first_ns(self) -> int:
        """Moment from which all but the grippers are commanded; 0 where there is nothing else."""
        firsts_ns = [
            self._commands[output.name][0].stamp_ns
            for output in self._outputs
            if output.gripper is None
        ]
        return max(firsts_ns, default=0)

    def at(self, moments_ns: Sequence[int]) -> np.ndarray:
        """Return what is commanded, (N, Da); NaN before the first command of an output."""
        width = sum(len(output.names) for output in self._outputs)
        found = np.full((len(moments_ns), width), np.nan)
        for name, commands in self._commands.items():
            for row, moment_ns in enumerate(moments_ns):
                if commands and commands[0].stamp_ns <= moment_ns:
                    found[row, self._columns[name]] = self._motions[name].at(moment_ns)
        return found
