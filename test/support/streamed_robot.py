"""A sender, a trajectory controller and a link between them, step by step in simulated time."""

from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import State, Verdict
from ddpm_controller.simulation.drivers.trajectory_controller import (
    ControllerRules,
    TrajectoryController,
)
from ddpm_controller.types import ActionChunk, Trajectory

RUNNING = Verdict(State.RUNNING)


def random_limits(random, num_joints):
    """Limits of very different joints, jerk from gentle to hardly any."""
    velocity = random.uniform(0.5, 4.0, num_joints)
    acceleration = velocity * random.uniform(3.0, 15.0, num_joints)
    jerk = acceleration * random.uniform(20.0, 500.0, num_joints)
    half = random.uniform(0.5, 3.0, num_joints)
    return JointLimits(-half, half, velocity, acceleration, jerk)


def random_chunk(random, limits, names, now_s):
    """Rows that are smooth, jump, or lie outside."""
    share = random.choice([0.05, 0.3, 1.2])
    rows = share * limits.upper * random.uniform(-1, 1, (random.integers(2, 12), len(names)))
    if random.random() < 0.5:
        rows = np.cumsum(0.3 * rows, axis=0)
    return ActionChunk(now_s, 0.1, names, rows)


@dataclass
class Streamed:
    """What a run left behind.

    Attributes:
        moments_s: (N,) for which the set points are.
        positions: (N, Da) set points.
        accelerations: (N, Da) likewise.
        refusals: Texts.
        messages: Moment of sending and message.
    """

    moments_s: list[float] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    accelerations: list[np.ndarray] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    messages: list[tuple[float, Trajectory]] = field(default_factory=list)

    def peak(self, limits: JointLimits, from_s: float = -np.inf) -> float:
        """Largest acceleration as a share of its limit: as told, and of the set points."""
        counts = np.array(self.moments_s) >= from_s
        step_s = self.moments_s[1] - self.moments_s[0]
        felt = np.abs(np.diff(np.array(self.positions)[counts], 2, axis=0)) / step_s**2
        told = np.abs(np.array(self.accelerations)[counts])
        return float(max((felt / limits.acceleration).max(), (told / limits.acceleration).max()))


class StreamedRobot:
    """Ticks a sender and updates a controller that measures with a lag.

    Args:
        limits: Of the joints.
        rate_hz: Of the sender.
        settings: Of the stream.
        update_hz: Of the controller.
        begin_s: First moment.
        clock_s: The controller's clock ahead of the sender's.
    """

    def __init__(
        self,
        limits: JointLimits,
        rate_hz: float,
        settings: StreamSettings,
        *,
        update_hz: float = 500.0,
        begin_s: float = 1000.0,
        clock_s: float = 0.0,
    ) -> None:
        self.names = tuple(f"joint{i}" for i in range(len(limits.lower)))
        self.limits, self.period_s = limits, 1 / rate_hz
        self.sender = LeadingMotion(self.names, limits, self.period_s, settings)
        self._update_s, self._clock_s = 1 / update_hz, clock_s
        rules = ControllerRules(self.names, self._update_s)
        self.controller = TrajectoryController(rules)
        self.now_s = begin_s
        self.measured = np.zeros(len(self.names))
        self._next_tick_s = self._ticked_s = begin_s
        self._late_s = 0.0
        self._under_way: list[tuple[float, Trajectory]] = []
        self.found = Streamed()

    def run(self, seconds, order=None, *, late=None, lost=None, jitter=None, silent=False):
        """Run for ``seconds``.

        Args:
            seconds: How long.
            order: Moment -> order; None: run on.
            late: () -> delay of a message, s.
            lost: () -> whether a message never arrives.
            jitter: () -> by how much the next tick comes late, s.
            silent: The sender does nothing.
        """
        for _ in range(round(seconds / self._update_s)):
            while self._next_tick_s + self._late_s <= self.now_s + 1e-6:
                self._ticked_s = max(self._next_tick_s + self._late_s, self._ticked_s)
                if not silent:
                    self._tick(self._ticked_s, order, late, lost)
                self._next_tick_s += self.period_s
                self._late_s = jitter() if jitter else 0.0
            while self._under_way and self._under_way[0][0] <= self.now_s + 1e-6:
                message = self._under_way.pop(0)[1]
                text = self.controller.receive(message, self.now_s + self._clock_s)
                self.found.refusals += [text] if text else []
            point = self.controller.update(self.now_s + self._clock_s, self.measured)
            self.measured = self.measured + self._update_s / 0.03 * (
                point.position - self.measured
            )
            self.now_s += self._update_s
            self.found.moments_s.append(self.now_s)
            self.found.positions.append(point.position)
            self.found.accelerations.append(point.acceleration)
        return self

    def begin(self, at=None):
        """Let the sender begin where the robot is, or at ``at``."""
        at = self.measured.copy() if at is None else at
        self.send(self.sender.tick(self.now_s, Order(RUNNING, begin_at=at)).message)
        self._next_tick_s = self.now_s + self.period_s
        return self

    def send(self, message, arrival_s=None):
        """Put a message on its way."""
        if message is not None:
            self.found.messages.append((self.now_s, message))
            self._under_way.append((self.now_s if arrival_s is None else arrival_s, message))

    def _tick(self, now_s, order, late, lost):
        message = self.sender.tick(now_s, order(now_s) if order else Order(RUNNING)).message
        if message is None:
            return
        assert not self.sender.stream.withhold(now_s), "no time has passed since the tick"
        self.found.messages.append((now_s, message))
        if lost is not None and lost():
            return
        arrival_s = now_s + (late() if late else 0.0)
        before_s = self._under_way[-1][0] if self._under_way else arrival_s
        self._under_way.append((max(arrival_s, before_s), message))


def wandering(random, limits, names, each_s=0.4):
    """Return moment -> order with a new random chunk each ``each_s``."""
    last_s = -np.inf

    def order(now_s):
        nonlocal last_s
        if now_s < last_s + each_s:
            return Order(RUNNING)
        last_s = now_s
        return Order(RUNNING, random_chunk(random, limits, names, now_s))

    return order
