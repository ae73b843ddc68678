"""PushT as papers evaluate it: whole steps of 0.1 s, rows applied as they are planned.

Chi et al. 2023, Sec. V, and LeRobot: observe, plan, apply the first ``n_action_steps`` rows one
per step, plan again. There is no control loop, no smoothing and no latency; what the controller
makes of the same policy is ``closed_loop``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.evaluation.closed_loop import View
from ddpm_controller.evaluation.results import Trial, columns_of, picked_frames
from ddpm_controller.evaluation.stream_values import vector_value
from ddpm_controller.policy import Policy, plan_batch
from ddpm_controller.simulation.pusht.pusht_world import PushTWorld
from ddpm_controller.simulation.session import Session
from ddpm_controller.types import Memory, Observation

STEP_HZ = 10.0
MAX_STEPS = 300


def run_published(
    policy: Policy,
    seeds: Sequence[int],
    max_steps: int = MAX_STEPS,
    on_progress: Callable[[int, int], None] = lambda step, max_steps: None,
    *,
    view: View = lambda camera, pixels: pixels,
    keep_frames: int = 6,
) -> list[Trial]:
    """Return one trial per seed, all planned for in one batch.

    A trial ends when the T covers more than 95 % of its goal. It does not depend on the others
    but for rounding in the batch.

    Args:
        policy: What is tried; its rows are 0.1 s apart.
        seeds: Each of the world's random start and of the denoising noise.
        max_steps: Longest trial, steps of 0.1 s.
        on_progress: Called after each step with its number and ``max_steps``.
        view: Turns the camera's picture into the one that the policy takes.
        keep_frames: So many trials keep pictures and curves to draw.

    Raises:
        ValueError: No seeds or steps, or the policy is not one for PushT at 10 Hz.
    """
    _refuse(policy, seeds, max_steps)
    runs = [_Run(policy, seed, view, n < keep_frames) for n, seed in enumerate(seeds)]
    for step in range(1, max_steps + 1):
        active = [run for run in runs if not run.success]
        if not active:
            break
        _plan([run for run in active if not run.rows])
        for run in active:
            run.step()
        on_progress(step, max_steps)
    return [run.result() for run in runs]


def _refuse(policy: Policy, seeds: Sequence[int], max_steps: int) -> None:
    if not seeds or max_steps < 1:
        raise ValueError(f"there must be seeds and steps, got {list(seeds)} and {max_steps}")
    spec = policy.facts.action_spec
    if sorted(spec.joint_names) != sorted(PushTWorld.joint_names):
        raise ValueError(
            f"the published protocol is for PushT with the joints {list(PushTWorld.joint_names)}, "
            f"the policy moves {list(spec.joint_names)}"
        )
    if abs(spec.period_s * STEP_HZ - 1.0) > 1e-9:
        raise ValueError(
            f"the published protocol applies a row every {1 / STEP_HZ:g} s, the policy's are "
            f"{spec.period_s} s apart; use the protocol of the controller"
        )


def _plan(runs: Sequence["_Run"]) -> None:
    if not runs:
        return
    plans = plan_batch(runs[0].policy, [run.window for run in runs], [run.memory for run in runs])
    for run, plan in zip(runs, plans, strict=True):
        run.memory = plan.memory
        run.rows = list(plan.chunk.actions)  # the first is for the moment of window[-1]
        run.plans += 1


@dataclass
class _Run:
    """One trial on its way."""

    policy: Policy
    seed: int
    view: View
    keep: bool
    rows: list[np.ndarray] = field(default_factory=list)
    plans: int = 0
    steps: int = 0
    curve: list[tuple[float, np.ndarray, np.ndarray]] = field(default_factory=list)
    frames: list[tuple[float, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.memory: Memory = self.policy.initial_memory(self.seed)
        self.world = PushTWorld(tick_hz=STEP_HZ)
        names = self.policy.facts.action_spec.joint_names
        self.columns = [names.index(name) for name in self.world.joint_names]
        pictures = self.keep or any(stream.kind == "image" for stream in self.policy.facts.streams)
        self.session = Session(self.world, STEP_HZ, expert=False, pictures=pictures)
        self.tick = self.session.reset(self.seed)
        # Before the start nothing has moved: as in the papers, the first observation is repeated.
        self.window = [self._observation()] * self.policy.facts.n_obs_steps

    @property
    def success(self) -> bool:
        return self.tick.success

    def step(self) -> None:
        row = self.rows.pop(0)
        if self.keep:
            measured = self.tick.positions[np.argsort(self.columns)]
            self.curve.append((self.steps / STEP_HZ, measured, row))
        self.tick = self.session.step(row[self.columns])
        self.steps += 1
        self.window = [*self.window[1:], self._observation()]

    def result(self) -> Trial:
        stamps, positions, commands = columns_of(self.curve)
        frames = picked_frames(self.frames)
        return Trial(
            seed=self.seed,
            success=self.success,
            duration_s=self.steps / STEP_HZ,
            plans=self.plans,
            joint_names=self.policy.facts.action_spec.joint_names,
            stamps_s=stamps,
            positions=positions,
            commands=commands,
            frames=tuple(frame for _, frame in frames),
            frame_stamps_s=tuple(stamp_s for stamp_s, _ in frames),
            score=self.tick.score,
        )

    def _observation(self) -> Observation:
        values = {}
        for stream in self.policy.facts.streams:
            if stream.kind == "vector":
                values[stream.name] = vector_value(stream, self.tick, self.world)
            else:
                values[stream.name] = self.view(stream.name, self.tick.images[stream.name])
        if self.keep:
            cameras = np.concatenate(list(self.tick.images.values()), axis=1)
            self.frames.append((self.steps / STEP_HZ, cameras))
        return Observation(self.tick.stamp_ns * 1e-9, values)
