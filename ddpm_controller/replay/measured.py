"""Where the robot was measured when a command was made, as far as a recording shows.

A limit on the step from the measured position makes commands depend on it. Which measurement had
come by then is not recorded: a command is computed again if one of the last ones leads to it.
"""

import bisect
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ddpm_controller.control.moving.motion_loop import MotionLoop, Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.replay.recorded_run import RecordedRun
from ddpm_controller.types import Measuring, measuring

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
        found = measuring(run.robot.stream_specs, run.robot.action_spec)
        if not limits.need_measured or found is None:
            return
        self._stamps_s, rows = _newest(_columns(run, found), found.are_measured)
        self._rows = np.array(rows).reshape(-1, len(found.places))

    def before(self, moment_s: float) -> np.ndarray:
        """Return those (N, Da) that may have been the newest at ``moment_s``, newest first."""
        end = bisect.bisect_right(self._stamps_s, moment_s + _SAME_MOMENT_S)
        begin = bisect.bisect_left(self._stamps_s, moment_s - _LATEST_S)
        return self._rows[max(min(begin, end - 1), 0) : end][::-1]

    def are_late(self, moment_s: float, since_s: float) -> bool:
        """Whether what was newest at ``moment_s`` may be older than all in the bag.

        That is so where a recorder found the measurements later than the commands, the first of
        which is of ``since_s``.
        """
        first_s = self._stamps_s[0] if self._stamps_s else -math.inf
        return since_s < first_s - _SAME_MOMENT_S and moment_s < first_s + _LATEST_S


def _columns(run: RecordedRun, found: Measuring) -> Mapping[float, np.ndarray]:
    """Return acquisition time -> what is measured of each column, (Da,); NaN: nothing then."""
    if len(found.streams) == 1:
        name = found.names[0]
        return {stamp_s: found.row({name: row}) for stamp_s, row in run.values[name].items()}
    rows: dict[float, np.ndarray] = {}
    for name in found.names:
        for stamp_s, row in run.values[name].items():
            some = found.row({name: row})
            rows[stamp_s] = np.where(np.isnan(some), rows.get(stamp_s, some), some)
    return dict(sorted(rows.items()))


def _newest(
    values: Mapping[float, np.ndarray], are_measured: np.ndarray
) -> tuple[list[float], list[np.ndarray]]:
    """Return what was newest of each joint whenever a message came, and its newest stamp.

    Args:
        values: Acquisition time -> (D,), in the order of recording; NaN of joints that no message
            of that time has.
        are_measured: (D,) bool, joints that some message has.
    """
    size = len(are_measured)
    row, row_s = np.full(size, np.nan), np.full(size, -np.inf)
    stamps_s, rows = list[float](), list[np.ndarray]()
    for stamp_s, value in values.items():
        newer = np.isfinite(value) & (stamp_s > row_s)
        row, row_s = np.where(newer, value, row), np.where(newer, stamp_s, row_s)
        if newer.any() and np.isfinite(row[are_measured]).all():
            stamps_s.append(float(row_s.max()))
            rows.append(row)
    return stamps_s, rows


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
