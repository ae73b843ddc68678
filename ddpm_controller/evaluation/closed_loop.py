"""Closed-loop trials in one process: many worlds, one control loop each, plans in one batch.

The loops are the ones that the controller node drives, in the order of its lockstep mode, so a
trial here and a lockstep trial over ROS are the same but for rounding in the batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from ddpm_controller.control.command import Command
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings
from ddpm_controller.control.plan_request import PlanRequest
from ddpm_controller.evaluation.results import TallyWatch, Trial, columns_of, picked_frames
from ddpm_controller.evaluation.seams import SeamRecorder
from ddpm_controller.evaluation.stream_values import vector_value
from ddpm_controller.policy import Policy, plan_batch
from ddpm_controller.simulation.session import Session, Tick
from ddpm_controller.simulation.world import World
from ddpm_controller.simulation.worlds import make_driver, world_entry
from ddpm_controller.types import Plan

View = Callable[[str, np.ndarray], np.ndarray]
"""(camera, (H, W, 3)) -> the picture at the size that the policy takes."""


class WorldFactory(Protocol):
    """Makes a world."""

    def __call__(self, *, tick_hz: float) -> World:
        """Return a world of this rate."""
        ...


_JITTER_STREAM = 1
"""Keeps the delays of plans apart from whatever else is drawn from a trial's seed."""


@dataclass(frozen=True)
class TrialSettings:
    """How trials are run.

    Attributes:
        camera_hz: Rate of the pictures.
        plan_delay_s: Simulated time that a plan takes; rows that are past then are skipped.
        plan_jitter_s: Largest time that a plan takes beyond this, drawn evenly for each plan from
            the seed of its trial.
        timeout_s: Longest trial; None: as in the world.
        batch_size: Trials that run side by side.
        keep_frames: So many trials keep pictures and curves to draw.
    """

    camera_hz: float = 25.0
    plan_delay_s: float = 0.0
    plan_jitter_s: float = 0.0
    timeout_s: float | None = None
    batch_size: int = 25
    keep_frames: int = 6

    def __post_init__(self) -> None:
        for name in ("camera_hz", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("plan_delay_s", "plan_jitter_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be below 0, got {getattr(self, name)}")


def run_trials(
    policy: Policy,
    world: str | WorldFactory,
    loop: LoopSettings,
    seeds: Sequence[int],
    settings: TrialSettings,
    view: View,
) -> Iterator[Trial]:
    """Run one trial per seed and yield each as its batch ends.

    Args:
        policy: What is tried.
        world: Key of ``WORLDS``, or what makes another world at a rate.
        loop: Loop of the robot, with the limits of its joints; the world ticks at its rate.
            Streams that the policy does not take are left out, so that the world renders none.
        seeds: Seeds of the world and of the denoising noise.
        settings: See there.
        view: Turns a camera's picture into the one that the policy takes.
    """
    # The others share its model and renderer: a renderer for each would not fit.
    made = world_entry(world).world if isinstance(world, str) else world
    taken = replace(loop, streams=policy.facts.streams)
    first = made(tick_hz=round(1.0 / loop.period_s, 6))
    try:
        for begin in range(0, len(seeds), settings.batch_size):
            batch = [
                _Run(policy, first.another(), taken, seed, settings, view)
                for seed in seeds[begin : begin + settings.batch_size]
            ]
            for number, run in enumerate(batch):
                run.keep = begin + number < settings.keep_frames
            _run_together(policy, batch)
            yield from (run.result() for run in batch)
    finally:
        first.close()


def _run_together(policy: Policy, runs: Sequence["_Run"]) -> None:
    """Advance all runs tick by tick; those with a plan due are planned for in one batch."""
    for run in runs:
        run.begin()
    active = list(runs)
    while active:
        for run in active:
            run.command_before_asking()
        due = [(run, request) for run in active if (request := run.request()) is not None]
        if due:
            plans = plan_batch(
                policy,
                [request.window for _, request in due],
                [request.memory for _, request in due],
            )
            for (run, request), plan in zip(due, plans, strict=True):
                run.await_plan(plan, request)
        for run in active:
            run.advance()
        active = [run for run in active if not run.over]


@dataclass
class _Run:
    """One trial on its way."""

    policy: Policy
    world: World
    loop_settings: LoopSettings
    seed: int
    settings: TrialSettings
    view: View
    keep: bool = False
    waiting: list[tuple[float, Plan, PlanRequest]] = field(default_factory=list)
    plans: int = 0
    command: Command | None = None

    def begin(self) -> None:
        spec = self.policy.facts.action_spec
        self.loop = ControlLoop(self.loop_settings)
        self.loop.start(self.policy.initial_memory(self.seed))
        pictures = self.keep or any(stream.kind == "image" for stream in self.policy.facts.streams)
        driver = make_driver(self.world, spec)
        self.session = Session(self.world, self.settings.camera_hz, False, pictures, driver)
        self.tick = self.session.reset(self.seed)
        self.start_s = self.now_s
        self.timeout_s = self.settings.timeout_s or self.world.timeout_s
        self.rows: list[tuple[float, np.ndarray, np.ndarray]] = []
        self.frames: list[tuple[float, np.ndarray]] = []
        self.seams = SeamRecorder(self.world)
        self.tallies = TallyWatch()
        # Not the seed itself, from which the world and the noise are drawn.
        self._jitter = np.random.default_rng([self.seed % 2**64, _JITTER_STREAM])
        self._observe(self.tick)

    @property
    def now_s(self) -> float:
        # As the stamp of a message becomes seconds, so that ROS and this agree to the bit.
        return self.tick.stamp_ns // 10**9 + self.tick.stamp_ns % 10**9 * 1e-9

    @property
    def over(self) -> bool:
        return self.tick.success or self.now_s - self.start_s >= self.timeout_s - 1e-9

    def request(self) -> PlanRequest | None:
        return self.loop.plan_request(self.now_s)

    def await_plan(self, plan: Plan, request: PlanRequest) -> None:
        jitter_s = self.settings.plan_jitter_s * self._jitter.uniform()
        due_s = request.requested_s + self.settings.plan_delay_s + jitter_s
        self.waiting.append((due_s, plan, request))

    def command_before_asking(self) -> None:
        """Send the command of this tick, as the node does, where no plan can come in its time."""
        if self.settings.plan_delay_s or self.settings.plan_jitter_s:
            self.command = self._command()

    def advance(self) -> None:
        command, self.command = self.command or self._command(), None
        self.plans += command.takeover is not None
        self.seams.note(command, self.now_s - self.start_s)
        self._step(command)
        self._observe(self.tick)

    def _command(self) -> Command:
        """Take the plans that have come, and decide."""
        for due_s, plan, request in self.waiting:
            if due_s <= self.now_s + 1e-9:
                self.loop.accept(plan, request)
        self.waiting = [each for each in self.waiting if each[0] > self.now_s + 1e-9]
        return self.loop.tick(self.now_s)

    def result(self) -> Trial:
        picked = picked_frames(self.frames)
        stamps, positions, commands = columns_of(self.rows)
        return Trial(
            seed=self.seed,
            success=self.tick.success,
            duration_s=self.now_s - self.start_s,
            plans=self.plans,
            joint_names=self.policy.facts.action_spec.joint_names,
            stamps_s=stamps,
            positions=positions,
            commands=commands,
            frames=tuple(frame for _, frame in picked),
            frame_stamps_s=tuple(stamp_s for stamp_s, _ in picked),
            score=self.tick.score,
            seams=self.seams.result(),
            tally=self.tallies.latest,
            rises=tuple(self.tallies.rises),
        )

    def _step(self, command: Command) -> None:
        if self.keep:
            measured = self._measured()
            sent = np.full_like(measured, np.nan)
            if command.position is not None:
                sent[:] = command.position
            self.rows.append((self.now_s - self.start_s, measured, sent))
        self.tick = self.session.step(command.position)

    def _measured(self) -> np.ndarray:
        """Return what the columns of the action have become, (Da,); NaN: not known."""
        spec, world = self.policy.facts.action_spec, self.world
        known = dict(zip(world.joint_names, self.tick.positions, strict=True))
        rates = dict(zip(world.joint_names, self.tick.velocities, strict=True))
        for vector in self.tick.vectors.values():
            known |= zip(vector.names, vector.values, strict=True)
        pairs = zip(spec.joint_names, spec.are_velocities, strict=True)
        return np.array(
            [(rates if is_rate else known).get(name, np.nan) for name, is_rate in pairs]
        )

    def _observe(self, tick: Tick) -> None:
        self.tallies.note(self.now_s - self.start_s, tick.tally)
        for stream in self.policy.facts.streams:
            if stream.kind == "vector":
                row = vector_value(stream, tick, self.world)
                self.loop.observe(stream.name, self.now_s, row)
            elif stream.name in tick.images:
                picture = self.view(stream.name, tick.images[stream.name])
                self.loop.observe(stream.name, self.now_s, picture)
        if self.keep and tick.images:
            cameras = np.concatenate(list(tick.images.values()), axis=1)
            self.frames.append((self.now_s - self.start_s, cameras))
