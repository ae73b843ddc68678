"""The fastest jerk-limited way to rest, by ruckig (Berscheid & Kroeger 2021); jerk limit 1."""

import numpy as np
from ruckig import InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory  # type: ignore[import-not-found]

from ddpm_controller.control.moving.interpolation import Motion

_FARTHEST = 1000.0
"""Time at the highest speed; positions further away are taken to be there."""
_FAILURES = (RuckigError, ValueError)
"""ValueError: ruckig 0.19 cannot turn each of its own codes of failure into a Result."""


class TimeOptimal:
    """Solves for several joints at once, each on its own; keeps its work space.

    Args:
        num_joints: Da.
    """

    def __init__(self, num_joints: int) -> None:
        self._all = _Solver(num_joints)
        self._one = _Solver(1)

    def after(
        self, start: Motion, speeds: np.ndarray, accelerations: np.ndarray, passed: float
    ) -> tuple[Motion, np.ndarray]:
        """Return the motion after ``passed`` on the way to rest at 0, and (Da,) times of arrival.

        Args:
            start: Motion at the beginning.
            speeds: (2, Da) lowest and highest velocity.
            accelerations: (2, Da) lowest and highest.
            passed: Time.

        Returns:
            Where ruckig finds no way, its numbers being too far apart: NaN, and infinity.
        """
        rows = np.stack([start.position, start.velocity, start.acceleration])
        given = np.concatenate([rows, speeds, accelerations])
        # From further away the next moment is the same, and ruckig bounds its durations.
        given[0] = np.clip(given[0], -_FARTHEST * speeds[1], -_FARTHEST * speeds[0])
        beyond = start.position - given[0]
        try:
            found = self._all.solve(given, passed)
        except _FAILURES:
            each = [self._alone(column[:, None], passed) for column in given.T]
            found = np.concatenate(each, axis=1)
        return Motion(found[0] + beyond, found[1], found[2]), found[3]

    def way(
        self, start: Motion, speeds: np.ndarray, accelerations: np.ndarray, num_moments: int
    ) -> tuple[float, np.ndarray]:
        """Return how long the way to rest at 0 lasts, and positions and velocities on it.

        Args:
            start: Motion at the beginning.
            speeds: (2, Da) lowest and highest velocity.
            accelerations: (2, Da) lowest and highest.
            num_moments: N, evenly spaced, the beginning and the end among them.

        Returns:
            Time, and (N, 2, Da); infinity where ruckig finds no way.
        """
        rows = np.stack([start.position, start.velocity, start.acceleration])
        try:
            return self._all.way(np.concatenate([rows, speeds, accelerations]), num_moments)
        except _FAILURES:
            return np.inf, np.full((num_moments, 2, len(start.position)), np.inf)

    def _alone(self, column: np.ndarray, passed: float) -> np.ndarray:
        try:
            return self._one.solve(column, passed)
        except _FAILURES:
            return np.array([[np.nan], [np.nan], [np.nan], [np.inf]])


class _Solver:
    def __init__(self, num_joints: int) -> None:
        self._ruckig = Ruckig(num_joints)
        self._trajectory = Trajectory(num_joints)
        self._task = InputParameter(num_joints)
        self._task.synchronization = Synchronization.No
        self._task.max_jerk = np.ones(num_joints)
        for name in ("target_position", "target_velocity", "target_acceleration"):
            setattr(self._task, name, np.zeros(num_joints))

    def solve(self, given: np.ndarray, passed: float) -> np.ndarray:
        """(7, Da) state and limits -> (4, Da) state after ``passed`` and time of arrival."""
        self._calculate(given)
        times = self._trajectory.independent_min_durations
        return np.array([*self._trajectory.at_time(passed), times])

    def way(self, given: np.ndarray, num_moments: int) -> tuple[float, np.ndarray]:
        """(7, Da) state and limits -> duration, and (N, 2, Da) positions and velocities."""
        self._calculate(given)
        duration = float(self._trajectory.duration)
        moments = np.linspace(0.0, duration, num_moments).tolist()
        return duration, np.array([self._trajectory.at_time(each)[:2] for each in moments])

    def _calculate(self, given: np.ndarray) -> None:
        task = self._task
        task.current_position, task.current_velocity, task.current_acceleration = given[:3]
        task.min_velocity, task.max_velocity = given[3:5]
        task.min_acceleration, task.max_acceleration = given[5:7]
        if self._ruckig.calculate(task, self._trajectory) != Result.Working:
            raise RuckigError("no trajectory")
