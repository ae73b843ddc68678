"""Streams of commands into a trajectory controller with default parameters: what arrives?

python benchmarks/trajectory_stream.py
python benchmarks/trajectory_stream.py --quick

A robot of seven joints with the limits of a Franka follows sines and pick-and-place moves, a new
chunk each 0.8 s. The controller updates at 500 Hz; what it measures lags by 30 ms. Each row is
one kind of stream, each column one condition. Accelerations are shares of the limit, the larger
one of the controller's own figure and of the second difference of its set points; errors are
those of the set point against the sender's own motion.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order
from ddpm_controller.control.moving.path import Path
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings, limits_between
from ddpm_controller.control.states import State, Verdict
from ddpm_controller.simulation.drivers.trajectory_controller import (
    ControllerRules,
    TrajectoryController,
)
from ddpm_controller.simulation.drivers.variants import OffClock
from ddpm_controller.types import ActionChunk, Trajectory

NUM_JOINTS = 7
STOP_S = 0.2
NAMES = tuple(f"joint{i + 1}" for i in range(NUM_JOINTS))
LIMITS = JointLimits(
    np.full(NUM_JOINTS, -2.8),
    np.full(NUM_JOINTS, 2.8),
    np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26]),
    np.array([15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0]),
    np.array([7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0]),
)
"""Of a Franka Emika robot, from its manual; positions rounded."""
BEGIN_S, UPDATE_S = 1000.0, 0.002
LAG_S, NOISE = 0.03, 1e-4
CHUNK_S, ROW_S, NUM_ROWS = 0.8, 0.1, 12
SETTLE_S = 1.0
"""Until the sender moves: what comes before does not count."""
FAST_S = 2.06
"""A moment of a fast motion, after the settling: there a sender falls silent."""
HOLES_S = (0.03, 0.06, 0.12, 0.25, 1.0, 3.0)


@dataclass(frozen=True)
class Options:
    """Streams into a trajectory controller.

    Attributes:
        seconds: Of motion in each run.
        seed: Of lateness, loss and noise.
        quick: Few rows and a short motion, within a minute.
    """

    seconds: float = 12.0
    seed: int = 0
    quick: bool = False


@dataclass(frozen=True)
class Condition:
    """What is wrong between sender and controller.

    Attributes:
        late_s: Longest delay of a message; each has its own, evenly spread.
        loss: Share of the messages that never arrive, but the first one.
        clock_s: Controller's clock ahead of the sender's.
        silent_s: For how long the sender does nothing; inf: it dies.
        silent_from_s: When that begins, after the settling.
    """

    late_s: float = 0.0
    loss: float = 0.0
    clock_s: float = 0.0
    silent_s: float = 0.0
    silent_from_s: float = FAST_S


CONDITIONS = {
    "ideal": Condition(),
    "late + loss": Condition(late_s=0.015, loss=0.05),
    "clock +50": Condition(clock_s=0.05),
    "clock -50": Condition(clock_s=-0.05),
    "death": Condition(silent_s=math.inf),
    **{f"hole {1e3 * hole_s:.0f}": Condition(silent_s=hole_s) for hole_s in HOLES_S},
}


class Sender(Protocol):
    """A kind of stream: its own motion, and how far ahead of now it goes."""

    path: Path
    lead_s: float

    def tick(self, now_s: float, order: Order) -> Trajectory | None:
        """Return the message of this tick."""
        ...


class SinglePoint:
    """One point with its velocity, to be reached after a period: how it was before streams."""

    def __init__(self, period_s: float) -> None:
        self._motion = MotionLoop(LIMITS, period_s)
        self._period_s = self.lead_s = period_s
        self.path = Path(NUM_JOINTS)

    def tick(self, now_s: float, order: Order) -> Trajectory | None:
        """Return the message of this tick."""
        command = self._motion.follow(now_s, order)
        motion = Motion(command.position, command.velocity, command.acceleration)
        self.path.append(now_s + self._period_s, motion)
        rows = [each[None].copy() for each in vars(motion).values()]
        return Trajectory(now_s, NAMES, np.array([self._period_s]), *rows)


class Stream:
    """The default, or one with other settings."""

    def __init__(self, period_s: float, settings: StreamSettings) -> None:
        self._ahead = LeadingMotion(NAMES, LIMITS, period_s, settings, stop_s=STOP_S)
        self.lead_s = settings.lead_s
        self.path = Path(NUM_JOINTS)

    def tick(self, now_s: float, order: Order) -> Trajectory | None:
        """Return the message of this tick, if one is due."""
        found = self._ahead.tick(now_s, order)
        for each in found.commands:
            if len(self.path) == 0 or each.stamp_s > self.path.end_s:
                motion = Motion(each.position, each.velocity, each.acceleration)
                self.path.append(each.stamp_s, motion)
        return found.message


@dataclass(frozen=True)
class Kind:
    """One row: a name, a rate, and what makes the sender."""

    name: str
    rate_hz: float
    sender: Callable[[float], Sender]


def stream(name: str, rate_hz: float = 100.0, settings: StreamSettings | None = None) -> Kind:
    """Return the row of a stream with ``settings``."""
    used = settings or StreamSettings()
    return Kind(name, rate_hz, lambda period_s: Stream(period_s, used))


DEFAULT = StreamSettings()
KINDS = [
    Kind("single point (before)", 100.0, SinglePoint),
    stream("default"),
    *(
        stream(f"lead {lead} ms", settings=replace(DEFAULT, lead_s=lead / 1e3))
        for lead in (0, 20, 40, 60)
    ),
    stream("50 Hz", 50.0),
    stream("500 Hz", 500.0),
    stream("stamp zero", settings=replace(DEFAULT, stamp="zero")),
    stream("velocities only", settings=replace(DEFAULT, carries="velocities")),
]
QUICK = ("single point (before)", "default", "500 Hz")
NOT_QUICK = ("hole 30", "hole 120", "hole 1000")


@dataclass
class Found:
    """What one run showed.

    Attributes:
        sent: Messages that arrived.
        refused: Of these.
        error: Largest, rad.
        peak: Largest acceleration as a share of the limit.
        stop_way: Largest way of a joint after the sender's death, rad.
        stop_share: Largest share of ``farthest_way`` that a joint went then.
        stop_s: Time from the death until the set point rests.
        speed: Largest share of its velocity limit that a joint had when the sender fell silent.
        end_speed: Largest speed of a joint at the end, rad/s.
        reasons: Texts of the first refusals.
    """

    sent: int = 0
    refused: int = 0
    error: float = 0.0
    peak: float = 0.0
    stop_way: float = 0.0
    stop_share: float = 0.0
    stop_s: float = 0.0
    speed: float = 0.0
    end_speed: float = 0.0
    reasons: list[str] = field(default_factory=list)


def wish(passed_s: float) -> np.ndarray:
    """Where the joints are to be, (7,): sines, moves to other places, and rests."""
    passed_s = 2.4 * (passed_s // 3.2) + min(passed_s % 3.2, 2.4)
    joints = np.arange(NUM_JOINTS)
    sine = 0.1 * (2 + joints) * np.sin(2 * np.pi * (0.3 + 0.05 * joints) * max(passed_s, 0.0))
    place = np.random.default_rng(int(max(passed_s, 0.0) / 1.7)).uniform(-0.6, 0.6, NUM_JOINTS)
    return sine + place


def farthest_way(
    velocity: np.ndarray, period_s: float, lead_s: float, given: JointLimits = LIMITS
) -> np.ndarray:
    """Return how far each joint may go after a death at ``velocity`` (Da,), by the limits alone.

    Through the lead, in which it speeds up as fast as it may, and then through the longer one of
    a stop of the usual time and the fastest stop, which begins while it still speeds up.
    """
    limits = limits_between(given, StreamSettings().knot_ticks(period_s) * period_s)
    a, jerk_s = limits.acceleration, limits.acceleration / limits.jerk
    speed = np.minimum(np.abs(velocity) + a * lead_s, limits.velocity)
    gentle = speed * STOP_S / 2 + a * STOP_S**2 / 12
    fastest = (speed + a * jerk_s / 2) * (2 * jerk_s + (speed / a + jerk_s / 2) / 2)
    return speed * lead_s + np.maximum(gentle, fastest)


class Run:
    """One sender, one controller and what is between them.

    Args:
        kind: Kind of stream.
        condition: What goes wrong.
        seconds: Of motion, where the sender does not fall silent.
        seed: Of lateness, loss and noise.
        from_s: Moment of the motion at which it begins.
    """

    def __init__(
        self, kind: Kind, condition: Condition, seconds: float, seed: int, from_s: float = 0.0
    ) -> None:
        self._condition, self._random = condition, np.random.default_rng(seed)
        self._from_s = from_s
        self._period_s = 1 / kind.rate_hz
        self._sender = kind.sender(self._period_s)
        rules = ControllerRules(NAMES, UPDATE_S)
        self._driver = OffClock(TrajectoryController(rules), condition.clock_s)
        self._silent_from_s = math.inf
        if condition.silent_s:
            self._silent_from_s = BEGIN_S + SETTLE_S + condition.silent_from_s
            silent_s = condition.silent_s if math.isfinite(condition.silent_s) else 1.0
            seconds = condition.silent_from_s + silent_s + 1.5
        self._end_s = BEGIN_S + SETTLE_S + seconds
        self._under_way: list[tuple[float, int, Trajectory]] = []
        self._chunk_s = -math.inf
        self._sent = 0

    def found(self) -> Found:
        """Run it."""
        found, points, moments_s = Found(), [], []
        measured = np.zeros(NUM_JOINTS)
        ticks = 0
        for update in range(round((self._end_s - BEGIN_S) / UPDATE_S)):
            now_s = BEGIN_S + update * UPDATE_S
            while BEGIN_S + ticks * self._period_s <= now_s + 1e-9:
                self._tick(BEGIN_S + ticks * self._period_s, measured)
                ticks += 1
            while self._under_way and self._under_way[0][0] <= now_s + 1e-9:
                *_, message = heapq.heappop(self._under_way)
                text = self._driver.receive(message, now_s)
                found.sent += 1
                if text:
                    found.refused += 1
                    found.reasons = [*found.reasons, text][:3]
            seen = measured + NOISE * self._random.standard_normal(NUM_JOINTS)
            point = self._driver.update(now_s, seen)
            measured = measured + UPDATE_S / LAG_S * (point.position - measured)
            points.append((point.position, point.velocity, point.acceleration))
            moments_s.append(now_s + UPDATE_S)
        self._judge(found, np.array(moments_s), np.array(points))
        return found

    def _tick(self, now_s: float, measured: np.ndarray) -> None:
        silent_s = self._condition.silent_s
        if self._silent_from_s <= now_s < self._silent_from_s + silent_s:
            return
        chunk = None
        if now_s >= self._chunk_s + CHUNK_S - 1e-9:
            self._chunk_s = now_s
            passed_s = now_s - BEGIN_S - SETTLE_S
            moments_s = self._from_s + passed_s + ROW_S * np.arange(NUM_ROWS)
            rows = np.array([wish(float(moment_s)) for moment_s in moments_s])
            if passed_s < 0:
                rows[:] = 0.0
            chunk = ActionChunk(now_s, ROW_S, NAMES, rows)
        begin_at = measured if now_s == BEGIN_S else None
        message = self._sender.tick(now_s, Order(Verdict(State.RUNNING), chunk, begin_at))
        if message is None:
            return
        self._sent += 1
        if self._sent > 1 and self._random.random() < self._condition.loss:
            return
        arrival_s = now_s + self._condition.late_s * self._random.random()
        if self._under_way:  # reliable, so in order
            arrival_s = max(arrival_s, max(each[0] for each in self._under_way))
        heapq.heappush(self._under_way, (arrival_s, self._sent, message))

    def _judge(self, found: Found, moments_s: np.ndarray, points: np.ndarray) -> None:
        position, velocity, acceleration = points[:, 0], points[:, 1], points[:, 2]
        counts = moments_s > BEGIN_S + SETTLE_S - 0.2
        steps = np.diff(position, 2, axis=0, prepend=position[:1], append=position[-1:])
        felt = np.maximum(np.abs(steps) / UPDATE_S**2, np.abs(acceleration))
        found.peak = float((felt[counts][:-1] / LIMITS.acceleration).max())
        dies_s = self._silent_from_s
        found.end_speed = float(np.abs(velocity[-1]).max())
        if self._condition.silent_s:
            at = velocity[moments_s > dies_s][0]
            found.speed = float((np.abs(at) / LIMITS.velocity).max())
        if not math.isfinite(self._condition.silent_s):
            after = moments_s > dies_s
            way = np.abs(position[after] - position[after][0]).max(axis=0)
            found.stop_way = float(way.max())
            bound = farthest_way(velocity[after][0], self._period_s, self._sender.lead_s)
            found.stop_share = float((way / bound).max())
            moving = np.abs(velocity[after]).max(axis=1) > 1e-6
            found.stop_s = (
                float(np.flatnonzero(moving).max() + 1) * UPDATE_S if moving.any() else 0
            )
        elif not self._condition.silent_s:
            path = self._sender.path
            for i in np.flatnonzero(counts & (moments_s < path.end_s)):
                error = np.abs(position[i] - path.at(float(moments_s[i])).position).max()
                found.error = max(found.error, float(error))


def cells(kind: Kind, options: Options) -> tuple[list[str], dict[str, Found]]:
    """Return the row of one kind of stream, and what was found."""
    all_found = {
        name: Run(kind, condition, options.seconds, options.seed).found()
        for name, condition in CONDITIONS.items()
        if not (options.quick and name in NOT_QUICK)
    }
    ideal, death = all_found["ideal"], all_found["death"]

    def peak(name: str) -> str:
        found = all_found[name]
        if found.refused == found.sent:
            return "all refused"
        return f"{found.peak:.3g}" + (
            f" ({100 * found.refused / found.sent:.0f} % refused)" if found.refused else ""
        )

    row = [
        kind.name,
        f"{100 * ideal.refused / ideal.sent:.1f} %",
        f"{1e3 * ideal.error:.3g}",
        *(peak(name) for name in ("ideal", "late + loss", "clock +50", "clock -50")),
        f"{1e3 * death.stop_way:.0f} mrad, {1e3 * death.stop_s:.0f} ms, {peak('death')}",
        " ".join(peak(name) for name in all_found if name.startswith("hole")),
    ]
    return row, all_found


def main() -> None:
    """Print the table, and the figures of the default as ``name: value``."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, seconds=3.5)
    columns = ("stream", "refused", "error, mrad", "a/A ideal", "late + loss", "clock +50 ms")
    named = [name for name in CONDITIONS if name.startswith("hole")]
    if options.quick:
        named = [name for name in named if name not in NOT_QUICK]
    holes = "holes of " + "/".join(name.split()[1] for name in named) + " ms"
    table = Table(*columns, "clock -50 ms", "death", holes)
    figures: dict[str, dict[str, Found]] = {}
    for kind in KINDS:
        if options.quick and kind.name not in QUICK:
            continue
        row, figures[kind.name] = cells(kind, options)
        table.add_row(*row)
    Console(width=200).print(table)
    for kind_name, all_found in figures.items():
        name = kind_name.split(" (")[0].replace(" ", "_").lower()
        total = sum(found.sent for found in all_found.values())
        print(f"{name}_refused: {sum(found.refused for found in all_found.values())} of {total}")
        print(f"{name}_error_mrad: {1e3 * all_found['ideal'].error:.4f}")
        for condition, found in all_found.items():
            print(
                f"{name}_peak_{condition.replace(' + ', '_').replace(' ', '_')}: {found.peak:.3f}"
            )


if __name__ == "__main__":
    main()
