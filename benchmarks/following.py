"""A robot that does not go where it is led: how soon is it noticed, and how far is it led away?

python benchmarks/following.py
python benchmarks/following.py --quick
python benchmarks/following.py --trials 2

Motions of scripted experts in their worlds, planned in chunks and led by the control loop at 50
Hz: rest_ended into a trajectory controller, single_point into a driver that takes the point, both
at 500 Hz. Their set points move the simulated robot. Robots that follow, late, sagging or slowly,
must not be stopped; each fault begins at the fastest moment of the motion. Distances are those of
the joints that have to follow, in tolerances (0.1 rad, 0.02 m): from the measured position to the
farthest set point that the robot has been sent for now and later. Trials of the shipped policies
in their worlds are run with the watch and without: they must not differ.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.leading_motion import motion_of, tick_of
from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.plan_request import PlanRequest
from ddpm_controller.control.states import Reason, State
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.stream_values import vector_value
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.drivers.forward_controller import ForwardController, Targets
from ddpm_controller.simulation.drivers.trajectory_controller import (
    ControllerRules,
    TrajectoryController,
)
from ddpm_controller.simulation.drivers.variants import (
    Driver,
    RefusesInSilence,
    Slowed,
    Span,
    StandsStill,
)
from ddpm_controller.simulation.session import Session
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore
from ddpm_controller.types import ActionChunk, Plan, Trajectory

TICK_S, UPDATE_S = 0.02, 0.002
SETTLE_S, REST_S = 1.0, 1.0
"""Before and behind the motion of the expert."""
NUM_ROWS = 16
FAULT_S = 12.0
"""A fault is looked at for so long."""
STEP = 2.0
"""``max_step_from_measured`` where there is one, in tolerances."""
QUICK_WORLDS, FAULT_WORLDS = ("pick_place", "drum"), ("pick_place",)
"""The strikes of a drum are over before a fault is noticed."""


@dataclass(frozen=True)
class Options:
    """Robots that follow, and robots that do not.

    Attributes:
        episodes: Motions of each world for the robots that follow.
        seed: Seed of the first.
        trials: Trials of each shipped policy instead of all this.
        quick: Few robots, two worlds and a motion each, within a minute.
    """

    episodes: int = 3
    seed: int = 0
    trials: int = 0
    quick: bool = False


@dataclass(frozen=True)
class Recorded:
    """Motion of an expert.

    Attributes:
        world: Its world.
        seed: Seed of the episode.
        rows: (N, D) commands, a tick apart.
    """

    world: str
    seed: int
    rows: np.ndarray

    def fastest_s(self, joints: np.ndarray, limit: np.ndarray) -> float:
        """Return when one of the (D,) ``joints`` is fastest, as a share of its limit."""
        speed = np.abs(np.diff(self.rows[:, joints], axis=0)) / limit[joints]
        return SETTLE_S + TICK_S * int(speed.max(axis=1).argmax())


def recorded(world: str, seed: int) -> Recorded:
    """Let the expert act once."""
    made = WORLDS[world].world(1 / TICK_S)
    session = Session(made, 25.0, expert=True, pictures=False)
    session.reset(seed)
    rows = []
    while (command := session.expert_command()) is not None:
        rows.append(np.array(command))
        if session.step(command).ends or len(rows) * TICK_S > made.timeout_s:
            break
    made.close()
    return Recorded(world, seed, np.array(rows))


@dataclass(frozen=True)
class Body:
    """How a simulated robot moves as its controller asks.

    Attributes:
        delay_s: Time by which it is late.
        sag: Of every joint below its set point, in tolerances.
        top: Highest speed, as a share of the fastest one in the motion; infinite: any.
    """

    delay_s: float = 0.0
    sag: float = 0.0
    top: float = math.inf


@dataclass(frozen=True)
class Kind:
    """One robot.

    Attributes:
        name: Row of the table.
        body: Its mechanics.
        fault: From a driver and the moment of the fault to the one with the fault; None: none.
        top_after: Of the body, from that moment on.
    """

    name: str
    body: Body = Body()
    fault: Callable[[Driver[Any], float], Driver[Any]] | None = None
    top_after: float = math.inf

    @property
    def is_faulty(self) -> bool:
        """Whether it is to be noticed."""
        return self.fault is not None or self.top_after < math.inf


HEALTHY = (
    Kind("exact"),
    Kind("30 ms late", Body(delay_s=0.03)),
    Kind("150 ms late", Body(delay_s=0.15)),
    Kind("300 ms late", Body(delay_s=0.3)),
    Kind("150 ms late, sags half a tolerance", Body(delay_s=0.15, sag=0.5)),
    Kind("half the speed", Body(delay_s=0.03, top=0.5)),
    Kind("speed scaling 0.5", Body(delay_s=0.03), lambda d, s: Slowed(d, 0.5)),
)
FAULTY = (
    Kind("stands still", Body(0.03), lambda d, s: StandsStill(d, Span(s))),
    Kind("refuses in silence", Body(0.03), lambda d, s: RefusesInSilence(d, Span(s))),
    Kind("a tenth of the speed", Body(0.03), top_after=0.1),
)


@dataclass
class Found:
    """What a run showed.

    Attributes:
        noticed_s: Time from the fault to the first NOT_FOLLOWED; NaN: never.
        stops: Number of NOT_FOLLOWED.
        distance: Largest distance from the robot to a set point to come, in tolerances.
        duration_s: Of the run.
    """

    noticed_s: float = math.nan
    stops: int = 0
    distance: float = 0.0
    duration_s: float = 0.0


@dataclass
class Arm:
    """The simulated robot behind its controller."""

    motion: Recorded
    kind: Kind
    fault_s: float
    tolerance: np.ndarray
    stream: str
    late: deque[np.ndarray] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.world = WORLDS[self.motion.world].world(1 / TICK_S)
        self.session = Session(self.world, 25.0, expert=False, pictures=False)
        self.tick = self.session.reset(self.motion.seed)
        names = self.world.joint_names
        self.driver: Driver[Any] = ForwardController(names)
        if self.stream == "rest_ended":
            self.driver = TrajectoryController(ControllerRules(names, UPDATE_S))
        if self.kind.fault is not None:
            self.driver = self.kind.fault(self.driver, self.fault_s)
        self.at = self.world.command_in_force
        speed = np.abs(np.diff(self.motion.rows, axis=0)).max(axis=0) / TICK_S
        self.fastest = np.maximum(speed, 1e-6)

    def advance(self, now_s: float) -> None:
        """Let the controller update, and the robot move, until the next tick."""
        for k in range(round(TICK_S / UPDATE_S)):
            moment_s = now_s + k * UPDATE_S
            point = self.driver.update(moment_s, self.tick.positions).position
            self.late.append(np.array(point))
        while len(self.late) > 1 + round(self.kind.body.delay_s / UPDATE_S):
            target = self.late.popleft()
        sagging = np.where(np.isfinite(self.tolerance), self.tolerance, 0.0)
        target = self.late[0] - self.kind.body.sag * sagging
        top = self.kind.body.top if now_s < self.fault_s else self.kind.top_after
        top = min(top, self.kind.body.top)
        reach = top * self.fastest * TICK_S if top < math.inf else np.full_like(target, np.inf)
        self.at = np.clip(target, self.at - reach, self.at + reach)
        self.tick = self.session.step(self.at)


class Run:
    """One robot under one deployment."""

    def __init__(
        self, motion: Recorded, kind: Kind, stream: str, *, watch: bool, step: bool
    ) -> None:
        self._motion = motion
        entry = WORLDS[motion.world]
        robot = load_robot(share_path(entry.robot))
        limits = robot.limits(entry.world.robot_description())
        if step:
            limits = replace(limits, step=STEP * limits.follow)
        deployment = Deployment(
            stream=stream,  # type: ignore[arg-type]
            replan_period_s=0.4,
            follow_patience_s=Deployment.follow_patience_s if watch else 0.0,
        )
        settings = loop_settings(_blind(robot), PolicyTerms(), deployment, limits=limits)
        self._loop = ControlLoop(settings)
        self._loop.start({"seed": np.array(0)})
        names = settings.action_spec.joint_names
        self._columns = np.array([entry.world.joint_names.index(name) for name in names])
        self._tolerance = limits.follow
        whole = np.full(len(entry.world.joint_names), np.inf)
        whole[self._columns] = limits.follow
        velocity = np.full_like(whole, np.inf)
        velocity[self._columns] = limits.velocity
        self.fault_s = math.inf
        if kind.is_faulty:
            self.fault_s = 1.0 + motion.fastest_s(np.flatnonzero(np.isfinite(whole)), velocity)
        self._arm = Arm(motion, kind, self.fault_s, whole, stream)
        self._led = motion_of(
            names, limits, TICK_S, settings.stream, fade_s=settings.fade_s, stop_s=settings.stop_s
        )
        self._stream, self._names = settings.stream, names
        self._offset_s, self._is_lost = 1.0 + SETTLE_S, False

    def found(self, is_fault: bool) -> Found:
        """Run it."""
        found, before = Found(), Reason.NONE
        seconds = SETTLE_S + REST_S + len(self._motion.rows) * TICK_S
        if is_fault:
            seconds = self.fault_s - 1.0 + FAULT_S
        found.duration_s = seconds
        for k in range(round(seconds / TICK_S)):
            now_s = 1.0 + k * TICK_S
            reason, ahead = self._tick(now_s)
            if reason == Reason.NOT_FOLLOWED and before == Reason.NONE:
                found.stops += 1
                if math.isnan(found.noticed_s):
                    found.noticed_s = now_s - self.fault_s
            before = reason
            measured = self._arm.tick.positions[self._columns]
            if ahead is not None:
                shares = np.abs(ahead - measured) / self._tolerance
                found.distance = max(found.distance, float(shares.max()))
            self._arm.advance(now_s)
        self._arm.world.close()
        return found

    def _tick(self, now_s: float) -> tuple[Reason, np.ndarray | None]:
        """Return why the loop is not running, and the set points (N, Da) sent for the future."""
        loop, tick = self._loop, self._arm.tick
        for stream in loop.settings.streams:
            loop.observe(stream.name, now_s, vector_value(stream, tick, self._arm.world))
        loop.advance(now_s)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(self._plan(request), request)
        verdict = loop.decide(now_s)
        order, _ = loop.order(now_s, verdict)
        if verdict.state == State.WAITING:
            return verdict.reason, None
        message, ahead = self._sent(now_s, order)
        if message is not None:
            self._arm.driver.receive(message, now_s)
        self._is_lost |= verdict.reason == Reason.NOT_FOLLOWED
        return verdict.reason, ahead

    def _sent(self, now_s: float, order: Order) -> tuple[Targets | Trajectory | None, np.ndarray]:
        found = tick_of(self._led, now_s, order)
        if order.begin_at is not None and self._stream is not None:
            self._loop.note_begun(self._led.stream.end_s)
        for command in found.commands:
            self._loop.note_led(command.stamp_s, command.position)
        if self._stream is None:
            position = found.commands[-1].position
            return Targets(self._whole(position, 0)[0]), position[None]
        message = found.message
        if message is None:
            return None, self._led.stream.at(now_s).position[None]
        later = message.stamp_s + message.times_s > now_s
        return self._widened(message), message.positions[later]

    def _widened(self, message: Trajectory) -> Trajectory:
        rows = [
            np.vstack([self._whole(row, i)[0] for row in each])
            for i, each in enumerate(
                (message.positions, message.velocities, message.accelerations)
            )
        ]
        return Trajectory(message.stamp_s, self._arm.world.joint_names, message.times_s, *rows)

    def _whole(self, row: np.ndarray, derivative: int) -> np.ndarray:
        """Return a row (1, D) of all joints of the robot; those not commanded stay."""
        whole = self._arm.world.command_in_force if derivative == 0 else 0.0 * self._arm.at
        whole = np.array(whole)
        whole[self._columns] = row
        return whole[None]

    def _plan(self, request: PlanRequest) -> Plan:
        rows, now_s = self._motion.rows, request.requested_s
        if self._is_lost:  # a policy sees where the robot is, and continues from there
            off = np.abs(rows - self._arm.tick.positions)[:, self._columns] / self._tolerance
            self._offset_s = now_s - TICK_S * int(off.sum(axis=1).argmin())
            self._is_lost = False
        period_s = self._loop.settings.action_spec.period_s
        moments_s = now_s - self._offset_s + period_s * np.arange(NUM_ROWS)
        picked = np.clip(np.rint(moments_s / TICK_S).astype(int), 0, len(rows) - 1)
        chunk = ActionChunk(now_s, period_s, self._names, rows[picked][:, self._columns])
        return Plan(chunk, request.memory)


def _blind(robot: Robot) -> Robot:
    """Return the robot without its cameras."""
    kept = tuple(stream for stream in robot.streams if stream.spec.kind == "vector")
    return replace(robot, streams=tuple(each for each in kept if not each.is_text))


def changed_trials(world: str, seeds: list[int]) -> int:
    """Return how many trials of the shipped policy the watch has changed."""
    robot, folder = (
        load_robot(share_path(WORLDS[world].robot)),
        Path(share_path(f"models/{world}")),
    )
    found = []
    for patience_s in (Deployment.follow_patience_s, 0.0):
        policy = restore(folder, PlanSettings())
        deployment = Deployment(lockstep=True, follow_patience_s=patience_s)
        urdf = WORLDS[world].world.robot_description()
        loop = loop_of(robot, policy, folder, deployment, urdf)
        trials = run_trials(policy, world, loop, seeds, TrialSettings(), policy_view(robot))
        found.append([(each.success, each.duration_s, each.plans) for each in trials])
    return sum(first != second for first, second in zip(*found, strict=True))


def main() -> None:
    """Print the tables, and the figures as ``name: value``."""
    options = tyro.cli(Options)
    if options.trials:
        torch.set_num_threads(1)
        for world in ("pick_place", "pusht", "drum"):
            seeds = [options.seed + i for i in range(options.trials)]
            changed = changed_trials(world, seeds)
            print(f"{world}_trials_changed_by_the_watch: {changed} of {options.trials}")
        return
    figures: dict[str, float] = {}
    solved = [name for name, entry in WORLDS.items() if entry.expert_module_and_class]
    worlds = QUICK_WORLDS if options.quick else solved
    motions = [
        recorded(world, options.seed + i)
        for world in worlds
        for i in range(1 if options.quick else options.episodes)
    ]
    console = Console(width=160)
    table = Table(
        "robot that follows", *(f"{s}: stops in" for s in ("single_point", "rest_ended"))
    )
    for kind in HEALTHY[::2] if options.quick else HEALTHY:
        cells = []
        for stream in ("single_point", "rest_ended"):
            runs = [
                (m, Run(m, kind, stream, watch=True, step=False).found(False)) for m in motions
            ]
            stops, seconds = sum(r.stops for _, r in runs), sum(r.duration_s for _, r in runs)
            where = sorted({m.world for m, r in runs if r.stops})
            cells.append(f"{stops} in {seconds:.0f} s {' '.join(where)}")
            figures["false_alarms"] = figures.get("false_alarms", 0) + stops
        table.add_row(kind.name, *cells)
    console.print(table)
    columns = ("before", "watch", "step", "both")
    faults = (Kind("30 ms late, no fault", Body(0.03), top_after=1e9), *FAULTY)
    table = Table(
        "fault, stream", "noticed after, s", "stops", *(f"distance: {c}" for c in columns)
    )
    for kind in faults[:2] if options.quick else faults:
        for stream in ("single_point", "rest_ended"):
            row, rows = (
                {},
                [m for m in motions if m.world in FAULT_WORLDS and m.seed == options.seed],
            )
            for name, watch, step in zip(columns, (0, 1, 0, 1), (0, 0, 1, 1), strict=True):
                row[name] = [
                    Run(m, kind, stream, watch=bool(watch), step=bool(step)).found(True)
                    for m in rows
                ]
            noticed = [r.noticed_s for r in row["watch"]]
            distances = {name: max(r.distance for r in runs) for name, runs in row.items()}
            table.add_row(
                f"{kind.name}, {stream}",
                ", ".join(f"{s:.2f}" for s in noticed),
                ", ".join(str(r.stops) for r in row["watch"]),
                *(f"{distances[name]:.2f}" for name in columns),
            )
            key = f"{kind.name}_{stream}".replace(",", "").replace(" ", "_")
            figures[f"{key}_noticed_s"] = max(noticed)
            for name in columns:
                figures[f"{key}_distance_{name}"] = distances[name]
    console.print(table)
    for name, value in figures.items():
        print(f"{name}: {value:.3f}")


if __name__ == "__main__":
    main()
