"""What is known when a recorded command was computed again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.replay.plans import Difference
from ddpm_controller.replay.recorded_outputs import OutputComparison
from ddpm_controller.replay.recorded_run import RecordedCommand, RecordedRun


@dataclass(frozen=True)
class CommandComparison:
    """What computing all commands again has shown.

    Attributes:
        count: Commands compared; the first of each run is given, not compared.
        num_equal: Number of these, equal bit for bit.
        num_runs: Times that the controller started afresh.
        first: The first difference, if any.
        num_before: Commands from before the first status, or along a chunk or with a measurement
            from before the recording, which are given.
        outputs: Output -> comparison of its own messages with the commands; of a robot whose only
            output is sent all of a command there is none.
    """

    count: int
    num_equal: int
    num_runs: int
    first: Difference | None
    num_before: int = 0
    outputs: Mapping[str, OutputComparison] = field(default_factory=dict)


def command_difference(
    run: RecordedRun, command: RecordedCommand, position: np.ndarray | None
) -> Difference | None:
    """Return where a replayed command (Da,) leaves the recorded one, if it does."""
    where = f"command at {command.stamp_s:.3f} s"
    if position is None:
        return Difference(f"{where} should not have been sent", "all", 0.0, float("nan"))
    columns = np.flatnonzero(position != command.position)
    if len(columns) == 0:
        return None
    joint = run.robot.action_spec.joint_names[columns[0]]
    recorded, replayed = command.position[columns[0]], position[columns[0]]
    return Difference(where, joint, float(recorded), float(replayed))


class CommandTally:
    """Counts the commands of a run that come out again, and keeps what all of them were.

    Args:
        run: The recording.
    """

    def __init__(self, run: RecordedRun) -> None:
        self._run = run
        self._positions: list[np.ndarray] = []
        self._count = self._num_equal = 0
        self._first: Difference | None = None

    def carry(self, *positions: np.ndarray | None) -> None:
        """Take commands (Da,) that outputs were sent, in order, compared or given."""
        self._positions += [each for each in positions if each is not None]

    def compare(self, difference: Difference | None) -> None:
        """Count a command that was compared."""
        self._count += 1
        self._num_equal += difference is None
        self._first = self._first or difference

    def comparison(self, num_runs: int, num_before: int) -> CommandComparison:
        """Return what was found, with the messages of each output."""
        outputs = self._run.outputs.compared(self._positions, self._run.commands[-1].stamp_s)
        counts = self._count, self._num_equal, num_runs
        return CommandComparison(*counts, self._first, num_before, outputs)
