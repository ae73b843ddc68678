"""A trajectory controller: accepts, refuses and interpolates as the one of ros2_control.

By the rules of ``joint_trajectory_controller`` 4.42.1 (ROS 2 Jazzy) with a position command
interface, written from a reading of its source: see ``ControllerRules`` for the parameters that
are followed. Where it does otherwise: a joint that is named twice is refused here; there it is
taken, and one of the joints moves by whatever the memory had.
"""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.simulation.drivers.interpolation import Point, between
from ddpm_controller.types import Trajectory

_FLOAT_EPSILON = float(np.finfo(np.float32).eps)
"""Largest velocity of a last point that counts as rest."""
_SINGULAR = 1e-9
"""Half a turn is no shorter one way than the other, rad."""


@dataclass(frozen=True)
class ControllerRules:
    """Parameters of the controller; the defaults are its own.

    Attributes:
        joint_names: Joints of the controller, in its order.
        period_s: Time between updates; the set point is that of the next one.
        continuous: Joints that the robot description calls continuous.
        interpolate_from_desired_state: Whether the way to a first point ahead begins at the last
            set point, not at the measured position.
        allow_nonzero_velocity_at_trajectory_end: Whether a last point may have a velocity.
        cmd_timeout_s: Time behind the last point after which the measured position is held; 0: no
            time-out.

    Raises:
        ValueError: Names that repeat or are unknown, a period that is not above 0.
    """

    joint_names: tuple[str, ...]
    period_s: float
    continuous: tuple[str, ...] = ()
    interpolate_from_desired_state: bool = False
    allow_nonzero_velocity_at_trajectory_end: bool = False
    cmd_timeout_s: float = 0.0

    def __post_init__(self) -> None:
        names = self.joint_names
        if not names or len(set(names)) != len(names):
            raise ValueError(f"joint names must be unique and not empty: {list(names)}")
        if unknown := set(self.continuous) - set(names):
            raise ValueError(f"continuous joints {sorted(unknown)} are not among {list(names)}")
        if not self.period_s > 0:
            raise ValueError(f"period_s must be above 0, got {self.period_s}")
        if not self.cmd_timeout_s >= 0:
            raise ValueError(f"cmd_timeout_s must be 0 (off) or above, got {self.cmd_timeout_s}")


def refusal(message: Trajectory, rules: ControllerRules, now_s: float) -> str:
    """Return why the controller does not take ``message`` at ``now_s``; empty: it takes it."""
    names, wanted = message.joint_names, rules.joint_names
    if len(names) != len(wanted) or len(set(names)) != len(names):
        return f"the trajectory has joints {list(names)}, the controller {list(wanted)}"
    if unknown := [name for name in names if name not in wanted]:
        return f"joint {unknown[0]!r} is not one of the controller's: {list(wanted)}"
    if message.size == 0:
        return "the trajectory has no points"
    if message.velocities is not None and not rules.allow_nonzero_velocity_at_trajectory_end:
        last = message.velocities[-1]
        for name, speed in zip(names, last, strict=False):
            if abs(speed) > _FLOAT_EPSILON:
                return (
                    f"the last point has a velocity: joint {name!r} at {speed:.6g}, not 0; let "
                    "it end at rest, as command.stream rest_ended does"
                )
    if message.stamp_s != 0.0 and message.end_s < now_s:
        return (
            f"the trajectory from {message.stamp_s:.6f} s ends in the past: its last point is at "
            f"{message.end_s:.6f} s, now is {now_s:.6f} s"
        )
    steps = np.diff(message.times_s)
    if not (steps > 0).all():
        i = int(np.argmin(steps > 0))
        before_s, after_s = message.times_s[i : i + 2]
        return f"times do not increase: points {i} and {i + 1} at {before_s:.6f}, {after_s:.6f} s"
    return _wrong_width(message)


def _wrong_width(message: Trajectory) -> str:
    given = {
        "positions": message.positions,
        "velocities": message.velocities,
        "accelerations": message.accelerations,
    }
    for name, rows in given.items():
        width = 0 if rows is None or rows.ndim != 2 else rows.shape[1]
        if width != len(message.joint_names) and (width or name == "positions"):
            return f"points have {width} {name} for {len(message.joint_names)} joints"
    return ""


class _Way:
    """One message that was taken, in the controller's order of joints."""

    def __init__(self, message: Trajectory, rules: ControllerRules) -> None:
        order = [message.joint_names.index(name) for name in rules.joint_names]
        positions = message.positions[:, order]
        velocities, accelerations = (
            None if rows is None or rows.size == 0 else rows[:, order]
            for rows in (message.velocities, message.accelerations)
        )
        self.points = [
            Point(
                positions[i],
                None if velocities is None else velocities[i],
                None if accelerations is None else accelerations[i],
            )
            for i in range(message.size)
        ]
        self._stamp_s, self._times_s = message.stamp_s, message.times_s
        self._before, self._before_s = self.points[0], 0.0
        self.is_begun = False

    def begin(self, now_s: float, state: Point, state_s: float) -> None:
        """Begin at ``now_s``; ``state`` of ``state_s`` counts until the first point."""
        first = self.points[0]
        zero = np.zeros_like(state.position)
        velocity, acceleration = state.velocity, state.acceleration
        if velocity is None and first.velocity is not None:
            velocity = zero
        if acceleration is None and first.acceleration is not None:
            acceleration = zero
        self._before, self._before_s = Point(state.position, velocity, acceleration), state_s
        self.is_begun = True
        if self._stamp_s == 0.0:
            self._stamp_s = now_s

    def behind_s(self, now_s: float) -> float:
        """Return the time since the last point; below 0 before it."""
        return now_s - self._stamp_s - float(self._times_s[-1])

    def at(self, now_s: float) -> Point | None:
        """Return the point at ``now_s``; None before the moment of the state before."""
        if now_s < self._before_s:
            return None
        passed_s = now_s - self._stamp_s
        i = int(np.searchsorted(self._times_s, passed_s, side="right"))
        if i == len(self.points):
            return self.points[-1].completed()
        if i == 0:
            until_s = float(self._times_s[0]) - (self._before_s - self._stamp_s)
            since_s = now_s - self._before_s
            return between(self._before, self.points[0], until_s, since_s).completed()
        begin_s = float(self._times_s[i - 1])
        duration_s = float(self._times_s[i]) - begin_s
        return between(self.points[i - 1], self.points[i], duration_s, passed_s - begin_s)


class TrajectoryController:
    """Follows one trajectory until another replaces it, update by update.

    Args:
        rules: Rules of the controller.
    """

    def __init__(self, rules: ControllerRules) -> None:
        self._rules = rules
        self._continuous = np.array([name in rules.continuous for name in rules.joint_names])
        self._way: _Way | None = None
        self._waiting: _Way | None = None
        self._is_holding = False
        self._trajectory_s = self._updated_s = 0.0
        self._sent: Point | None = None
        self._sent_s = 0.0

    def receive(self, message: Trajectory, now_s: float) -> str:
        """Take ``message`` in place of the one in force, from the next update on.

        Returns:
            Why it was refused, as the controller's own log has it and nothing else; empty: taken.
        """
        if text := refusal(message, self._rules, now_s):
            return text
        self._waiting, self._is_holding = _Way(message, self._rules), False
        return ""

    def update(
        self,
        now_s: float,
        measured: np.ndarray,
        velocity: np.ndarray | None = None,
        scaling: float = 1.0,
    ) -> Point:
        """Return the set point that is written at ``now_s``, for the update after it.

        Args:
            now_s: Clock of the controller.
            measured: (Da,) position of the robot, in the controller's order.
            velocity: (Da,) of the robot; None where it reports none.
            scaling: Speed scaling factor: the trajectory's time runs by this share of the time.
        """
        if self._way is None and self._waiting is None:
            self._hold(measured)
        if self._waiting is not None:
            self._way, self._waiting = self._waiting, None
        way = self._way
        assert way is not None
        if way.is_begun:
            self._trajectory_s += (now_s - self._updated_s) * scaling
        else:
            way.begin(now_s, *self._state_before(way, now_s, Point(measured, velocity)))
            self._trajectory_s = now_s
        self._updated_s = now_s
        found = way.at(self._trajectory_s + self._rules.period_s)
        if found is not None:
            self._sent, self._sent_s = found, now_s
        self._time_out(way, measured)
        return self._sent or Point(measured).completed()

    def _state_before(self, way: _Way, now_s: float, measured: Point) -> tuple[Point, float]:
        """Return the state before the first point, and its moment.

        The last set point is that of the update after it, but counts for the one at which it was
        written: a set point that leads from there is one update too early. So is the original.
        """
        state, state_s = measured, now_s
        if self._rules.interpolate_from_desired_state and self._sent is not None:
            state, state_s = self._sent, self._sent_s
        first = way.points[0].position
        turn = 2 * np.pi
        way_round = np.mod(first - state.position + np.pi, turn) - np.pi
        is_half = np.abs(np.abs(way_round) - np.pi) < _SINGULAR
        way_round = np.where(is_half, np.copysign(way_round, first - state.position), way_round)
        position = np.where(self._continuous, first - way_round, state.position)
        return Point(position, state.velocity, state.acceleration), state_s

    def _time_out(self, way: _Way, measured: np.ndarray) -> None:
        limit_s = self._rules.cmd_timeout_s
        if limit_s > 0 and not self._is_holding and way.behind_s(self._trajectory_s) > limit_s:
            self._hold(measured)

    def _hold(self, position: np.ndarray) -> None:
        row = np.array(position, dtype=np.float64)[None]
        names = self._rules.joint_names
        self._waiting = _Way(Trajectory(0.0, names, np.zeros(1), row), self._rules)
        self._is_holding = True
