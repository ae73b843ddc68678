"""What is known when a recorded command was computed again."""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.replay.plans import Difference
from ddpm_controller.replay.recorded_run import RecordedCommand, RecordedRun


@dataclass(frozen=True)
class CommandComparison:
    """What computing all commands again has shown.

    Attributes:
        count: Commands compared; the first of each run is given, not compared.
        num_equal: Number of these, equal bit for bit.
        num_runs: Times that the controller started afresh.
        first: The first difference, if any.
        num_before: Commands from before the first status, or along a chunk from before the
            recording, which are given.
    """

    count: int
    num_equal: int
    num_runs: int
    first: Difference | None
    num_before: int = 0


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
