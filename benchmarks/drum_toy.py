"""Strike a drum three times, then rest: the smallest task that needs a memory.

python benchmarks/drum_toy.py
python benchmarks/drum_toy.py --arms stateless controlnet --horizon 40
python benchmarks/drum_toy.py --ablations --horizon 40

A stick whose height and speed are all that is seen. Onset and tempo are random, so the start, the
top between two strikes and the final rest look alike and no clock helps. Every arm is trained
through the same trainer on the same demonstrations and rolled out on the same seeds: exactly
three strikes in the time of a demonstration, and still three in twice that time. A chunk of 40
rows is as long as the task, the usual 16 are not. What has been measured is kept below runs/, so
an interrupted run goes on.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from memory_arms import STATELESS, arm_recipe
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicyConfig
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings, Policy, plan_batch
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingConfig
from ddpm_controller.training.run import train
from ddpm_controller.types import ActionSpec, Episode, Observation, StreamSpec

PERIOD_S = 0.1
SPEC = ActionSpec(("height",), ("m",), PERIOD_S)
STREAMS = (StreamSpec("stick", "vector", (2,), 1 / PERIOD_S, ("height", "speed"), ("m", "m/s")),)
STRIKES = 3
TICKS = 64
"""Of a demonstration; a slow one with a late onset takes 50 until its last strike is over."""
REPLAN_TICKS = 8
STRUCK_M, REARMED_M = 0.2, 0.5
"""A strike is a fall below the one; the next counts after a rise above the other."""
FOLLOW = 0.7
"""Share of the way to its command that the stick goes in a tick."""
NOISE_M = 0.01
PUSH_M, PUSH_TICKS = 0.3, 3

BASE = DiffusionPolicyConfig(
    n_obs_steps=1,
    horizon=16,
    n_action_steps=REPLAN_TICKS,
    num_train_timesteps=50,
    num_inference_steps=10,
    channels=(16, 32),
    num_groups=4,
    timestep_embedding_dim=32,
    cond_hidden=64,
    seam=SeamSettings(fade_s=0.0),
)


BRANCH = "controlnet"
ABLATIONS: dict[str, Mapping[str, Any]] = {
    f"{BRANCH}, no shift": {"shift": False},
    f"{BRANCH}, no mask": {"mask": False},
    f"{BRANCH}, no null prior": {"null_prior_share": 0.0},
    f"{BRANCH}, no prior noise": {"prior_noise": 0.0},
    f"{BRANCH}, no own chunks": {"own_chunks_share": 0.0},
    f"{BRANCH}, own from noise": {"own_chunk_level": 1.0, "own_chunk_steps": 4},
}
"""Trainings that leave out one thing."""
SCALES = {f"{arm}, w = 1.5": (arm, 1.5) for arm in (BRANCH, *ABLATIONS)} | {
    f"{BRANCH}, w = {scale}": (BRANCH, scale) for scale in (0.0, 0.5)
}
"""A training that is run with another transition scale."""


class Sticks:
    """Sticks of many runs side by side, each with the noise of its own seed.

    Attributes:
        height: (B,), m.
        strikes: (B,).
    """

    def __init__(self, seeds: Sequence[int], ticks: int, pushed: bool = False) -> None:
        randoms = [np.random.default_rng((seed, 1)) for seed in seeds]
        self._noise = NOISE_M * np.stack([each.normal(size=ticks) for each in randoms])
        if pushed:
            for noise, random in zip(self._noise, randoms, strict=True):
                at = random.integers(5, 45)
                noise[at : at + PUSH_TICKS] += PUSH_M * random.choice([-1.0, 1.0])
        self.height = np.ones(len(seeds))
        self.strikes = np.zeros(len(seeds), int)
        self._before, self._armed, self._tick = self.height, np.ones(len(seeds), bool), 0

    @property
    def seen(self) -> np.ndarray:
        """Height and speed, (B, 2), m and m/s."""
        return np.stack([self.height, (self.height - self._before) / PERIOD_S], axis=1)

    def step(self, command: np.ndarray) -> None:
        """Advance one tick under commanded heights (B,), m."""
        moved = FOLLOW * (command - self.height) + self._noise[:, self._tick]
        self._before, self.height = self.height, (self.height + moved).clip(0.0, 1.2)
        struck = self._armed & (self.height < STRUCK_M)
        self.strikes = self.strikes + struck
        self._armed = (self._armed & ~struck) | (self.height > REARMED_M)
        self._tick += 1


def shown(seed: int) -> np.ndarray:
    """Return the commands of a demonstration, (TICKS,), m: rest, strikes, rest."""
    random = np.random.default_rng((seed, 0))
    commands = np.ones(TICKS)
    onset, period = int(random.integers(0, 13)), random.uniform(9.0, 12.0)
    phase = (np.arange(TICKS) - onset) / period
    striking = (phase >= 0) & (phase < STRIKES)
    down = 0.5 * (1 - np.cos(2 * np.pi * phase))
    commands[striking] -= down[striking]
    return commands


def demonstration(seed: int) -> Episode:
    """Return what is seen and commanded in one demonstration."""
    sticks, commands, seen = Sticks([seed], TICKS), shown(seed), []
    for command in commands:
        seen.append(sticks.seen[0])
        sticks.step(np.array([command]))
    stamps_s = PERIOD_S * np.arange(TICKS)
    values = {"stick": np.stack(seen)}
    return Episode(stamps_s, values, commands[:, None], f"drum {seed}", bool(sticks.strikes == 3))


def roll_out(policy: Policy, seeds: Sequence[int], ticks: int, pushed: bool) -> np.ndarray:
    """Return the strikes of every run after half of the ticks and after all, (2, B)."""
    sticks = Sticks(seeds, ticks, pushed)
    memories = [policy.initial_memory(seed) for seed in seeds]
    history: list[list[Observation]] = [[] for _ in seeds]
    strikes = []
    for tick in range(ticks):
        for seen, run in zip(sticks.seen, history, strict=True):
            run.append(Observation(tick * PERIOD_S, {"stick": seen}))
        if tick % REPLAN_TICKS == 0:
            windows = [_window(run, policy.facts.n_obs_steps) for run in history]
            plans = plan_batch(policy, windows, memories)
            memories = [plan.memory for plan in plans]
            rows = np.stack([plan.chunk.actions[:, 0] for plan in plans])
        sticks.step(rows[:, tick % REPLAN_TICKS])
        if tick + 1 in (ticks // 2, ticks):
            strikes.append(sticks.strikes)
    return np.stack(strikes)


def _window(run: list[Observation], n_obs_steps: int) -> list[Observation]:
    """Return the newest observations, the first repeated as a controller does at the start."""
    return [run[0]] * (n_obs_steps - len(run)) + run[-n_obs_steps:]


@dataclass(frozen=True)
class Options:
    """Compare memories on the drum.

    Attributes:
        arms: Which of them.
        horizon: Rows of a chunk.
        updates: Of each training; a control branch has half as many, on the stateless arm.
        batch_size: Chunks per update.
        demonstrations: To train on.
        trials: Roll-outs of each arm, as many with a push.
        seed: Of the training; roll-outs have the same seeds for every arm and training.
        ablations: Instead of ``arms``: the control branch without each of its parts.
        output: Folder of what has been measured.
    """

    arms: tuple[str, ...] = (
        "stateless", "stateless_8", "as_released", "controlnet", "chunk_prior", "belief",
        "bc_lstm",
    )  # fmt: skip
    horizon: int = 16
    updates: int = 2500
    batch_size: int = 128
    demonstrations: int = 200
    trials: int = 200
    seed: int = 0
    ablations: bool = False
    output: Path = Path("runs/benchmarks/drum_toy")

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the arms that are measured."""
        return (STATELESS, BRANCH, *ABLATIONS, *SCALES) if self.ablations else self.arms

    def folder(self, arm: str) -> Path:
        """Return where the training of an arm is kept."""
        counts = (self.horizon, self.updates, self.batch_size, self.demonstrations, self.seed)
        name = arm.replace(", ", "_").replace(" ", "_")
        return self.output / "_".join(map(str, (name, *counts)))


def recipe(options: Options, arm: str) -> TrainingConfig:
    """Return how an arm is trained."""
    config = TrainingConfig(
        policy=replace(BASE, horizon=options.horizon),
        num_steps=options.updates,
        batch_size=options.batch_size,
        learning_rate=1e-3,
        warmup_steps=100,
        validation_fraction=0.05,
        validation_every=500,
        checkpoint_every=500,
        stay_at_end=False,
        nll_windows=0,
        seed=options.seed,
    )
    state = arm.partition(",")[0]
    return arm_recipe(
        config, state, TICKS, lambda: _trained(options, STATELESS), ABLATIONS.get(arm)
    )


@dataclass(frozen=True)
class Result:
    """One arm; strikes of every trial.

    Attributes:
        arm: Its name.
        strikes: In the time of a demonstration.
        strikes_later: In twice that time.
        strikes_pushed: In the time of a demonstration, with a push that none of them shows.
        train_s: Wall time of the training.
        plan_s: Median time of one plan of one run, one thread.
    """

    arm: str
    strikes: list[int]
    strikes_later: list[int]
    strikes_pushed: list[int]
    train_s: float
    plan_s: float


def measured(options: Options, arm: str) -> Result:
    """Train and roll out, or read what that gave."""
    path = options.folder(arm) / f"trials_{options.trials}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(_result(options, arm))) + "\n")
    return Result(**json.loads(path.read_text()))


def _trained(options: Options, arm: str) -> Path:
    """Train until the last update, or go on with what the folder has; return the checkpoint."""
    episodes = [demonstration(seed) for seed in range(options.demonstrations)]
    result = train(episodes, SPEC, STREAMS, recipe(options, arm), options.folder(arm))
    assert result.last_checkpoint is not None
    return result.last_checkpoint


def _result(options: Options, arm: str) -> Result:
    begun_s = time.perf_counter()
    trained, scale = SCALES.get(arm, (arm, None))
    checkpoint = _trained(options, trained)
    overrides = {} if scale is None else {"transition_scale": scale}
    policy = restore(checkpoint, PlanSettings(overrides=overrides))
    train_s = time.perf_counter() - begun_s
    seeds = range(10_000, 10_000 + options.trials)
    nominal = roll_out(policy, seeds, 2 * TICKS, pushed=False)
    pushed = roll_out(policy, seeds, TICKS, pushed=True)
    strikes = [each.tolist() for each in (nominal[0], nominal[1], pushed[-1])]
    return Result(arm, *strikes, train_s, _plan_time(policy))


def _plan_time(policy: Policy, repeats: int = 41) -> float:
    memory, times = policy.initial_memory(0), []
    for number in range(repeats):
        newest = (
            number * REPLAN_TICKS
            + np.arange(policy.facts.n_obs_steps)
            + 1
            - policy.facts.n_obs_steps
        )
        window = [Observation(PERIOD_S * k, {"stick": np.array([1.0, 0.0])}) for k in newest]
        begun_s = time.perf_counter()
        memory = policy.plan(window, memory).memory
        times.append(time.perf_counter() - begun_s)
    return float(np.median(times[1:]))


def table(results: Sequence[Result]) -> Table:
    """One row per arm."""
    view = Table(title=f"exactly {STRIKES} strikes, then rest")
    view.add_column("arm")
    for column in ("success", "at twice the time", "pushed", "mean error", "train, s", "plan, ms"):
        view.add_column(column, justify="right")
    for r in results:
        error = np.abs(np.array(r.strikes) - STRIKES).mean()
        shares = [_share(each) for each in (r.strikes, r.strikes_later, r.strikes_pushed)]
        times = [f"{r.train_s:.0f}", f"{1e3 * r.plan_s:.1f}"]
        view.add_row(r.arm, *shares, f"{error:.2f}", *times)
    return view


def _share(strikes: Sequence[int]) -> str:
    successes = sum(each == STRIKES for each in strikes)
    low, high = wilson_interval(successes, len(strikes))
    return f"{successes / len(strikes):.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    results = [measured(options, arm) for arm in track(options.chosen, description="arms")]
    Console(width=110).print(table(results))


if __name__ == "__main__":
    main()
