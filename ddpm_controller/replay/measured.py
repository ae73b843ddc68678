"""Where the robot was measured when a command was made, as far as a recording shows.

A limit on the step from the measured position makes commands depend on it. Which measurement had
come by then is not recorded: a command is computed again if one of the last ones leads to it.
"""

import bisect
from collections.abc import Sequence

import numpy as np

from ddpm_controller.control.moving.motion_loop import MotionLoop, Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.replay.recorded_run import RecordedRun

_SAME_MOMENT_S = 1e-6
_LATEST_S = 0.3
"""A measurement is with whoever commands after this time at the latest."""


class MeasuredPositions:
    """Positions of the commanded joints in a recording, by stamp.

    Args:
        run: The recording.
        limits: Limits of its joints; without a step no position matters, and there is none.
    """

    def __init__(self, run: RecordedRun, limits: JointLimits) -> None:
        self._stamps_s: list[float] = []
        self._rows = np.zeros((0, len(limits.step)))
        names = run.robot.action_spec.joint_names
        streams = [s.spec for s in run.robot.streams if set(names) <= set(s.spec.names)]
        if not np.isfinite(limits.step).any() or not streams:
            return
        values = run.values[streams[0].name]
        self._stamps_s = sorted(values)
        columns = [streams[0].names.index(name) for name in names]
        rows = [values[stamp_s][columns] for stamp_s in self._stamps_s]
        self._rows = np.array(rows).reshape(-1, len(names))

    def before(self, moment_s: float) -> np.ndarray:
        """Return those (N, Da) that may have been the newest at ``moment_s``, newest first."""
        end = bisect.bisect_right(self._stamps_s, moment_s + _SAME_MOMENT_S)
        begin = bisect.bisect_left(self._stamps_s, moment_s - _LATEST_S)
        return self._rows[max(min(begin, end - 1), 0) : end][::-1]


def followed(
    motion: MotionLoop,
    now_s: float,
    order: Order,
    places: Sequence[np.ndarray] | np.ndarray,
    recorded: np.ndarray | None,
) -> tuple[MotionLoop, np.ndarray | None]:
    """Return the motion that has carried out ``order``, and its command (Da,).

    Args:
        motion: Motion up to now; it stays as it is where there are ``places``.
        now_s: The tick.
        order: Order without a measured position.
        places: (N, Da) positions that the order may have had, the likeliest first.
        recorded: (Da,) command that one of them should lead to; None: the first one counts.
    """
    first: tuple[MotionLoop, np.ndarray | None] | None = None
    for place in places:
        trial = motion.copied()
        position = trial.follow(now_s, order.measured_at(place)).position
        if recorded is None or (position is not None and np.array_equal(position, recorded)):
            return trial, position
        first = first or (trial, position)
    return first or (motion, motion.follow(now_s, order).position)
