"""Does a policy know when it sees what it was not trained for? Three measures of it, side by side.

python benchmarks/out_of_distribution.py --worlds reach pick_place pusht

Windows are those for which the shipped policy plans in trials of its own world; each is also
perturbed: cameras shifted, covered, noisy, dark, black or with red and blue exchanged, joints and
block corners offset. A measure is good where it tells perturbed windows from the same windows as
they were: AUROC, 0.5 is a coin, 1 is perfect; with a 95 % interval from a bootstrap over trials.

distance: of the denoiser's condition to training, as a checkpoint with the file of
    `ddpm fit-out-of-distribution` tells it.
residual: of the denoiser on the planned chunk, noised again at five levels with fixed noise; each
    level relative to its median on other trials.
spread: mean square difference of two plans.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ddpm_controller.cli.evaluate import policy_view
from ddpm_controller.control.deployment import Deployment, policy_terms
from ddpm_controller.diffusion.targets import training_target
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policy import Window
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore
from ddpm_controller.types import Memory, Observation, Plan

LEVELS = (10, 30, 50, 70, 90)
"""Timesteps in per cent at which the residual is measured."""
Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Options:
    """Compare measures.

    Attributes:
        worlds: Whose shipped policies are asked.
        trials: Of each; every other one sets the scale of the residual.
        seed: Of the first.
        models: Folder of the checkpoints.
        draws: Of the bootstrap.
    """

    worlds: tuple[str, ...] = ("reach", "pick_place", "pusht")
    trials: int = 40
    seed: int = 20_000_000
    models: Path = Path("models")
    draws: int = 500


class Recorder:
    """A policy that keeps the windows it is asked for, and the trials they are of."""

    def __init__(self, policy: DiffusionPolicy) -> None:
        self._policy = policy
        self.windows: list[Window] = []
        self.seeds: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def plan_batch(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Plan]:
        """Plan as the policy does."""
        self.windows += windows
        self.seeds += [int(memory["seed"]) for memory in memories]
        return self._policy.plan_batch(windows, memories)


def recorded(policy: DiffusionPolicy, world: str, options: Options) -> Recorder:
    """Run the trials."""
    robot = load_robot(share_path(WORLDS[world].robot))
    urdf = WORLDS[world].world.robot_description()
    limits, deployment = robot.limits(urdf), Deployment(lockstep=True)
    recorder = Recorder(policy)
    seeds = range(options.seed, options.seed + options.trials)
    settings = TrialSettings(keep_frames=0, batch_size=10)
    terms = policy_terms(recorder, deployment)  # type: ignore
    loop = loop_settings(robot, terms, deployment, limits=limits)
    list(run_trials(recorder, world, loop, seeds, settings, policy_view(robot)))  # type: ignore
    return recorder


# What may go wrong: (values of a stream over the window, random) -> the same, perturbed


def _shifted(pixels: int) -> Callable[..., np.ndarray]:
    return lambda image, random: np.roll(image, pixels, axis=2)


def _covered(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    size = image.shape[1]
    middle = slice(size // 4, 3 * size // 4)
    covered = image.copy()
    covered[:, middle, middle] = 0
    return covered


def _noisy(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.clip(image + random.normal(0, 25, image.shape), 0, 255).astype(np.uint8)


def _offset(share: float) -> Callable[..., np.ndarray]:
    def offset(vector: np.ndarray, random: np.random.Generator, width: np.ndarray) -> np.ndarray:
        direction = random.normal(size=width.shape)
        return vector + share * direction / np.abs(direction).max() * width

    return offset


IMAGES: dict[str, Callable[..., np.ndarray]] = {
    "cameras shifted by 4 pixels": _shifted(4),
    "cameras shifted by 8 pixels": _shifted(8),
    "cameras covered by a quarter": _covered,
    "cameras noisy (25 of 255)": _noisy,
    "cameras half as bright": lambda image, random: image // 2,
    "cameras black": lambda image, random: np.zeros_like(image),
    "cameras with red and blue exchanged": lambda image, random: image[..., ::-1],
}
VECTORS = {"5 %": _offset(0.05), "10 %": _offset(0.1), "30 %": _offset(0.3)}


def perturbations(policy: DiffusionPolicy) -> dict[str, Callable[[Window, int], Window]]:
    """Name -> what makes a window of another; the same number gives the same."""
    found: dict[str, Callable[[Window, int], Window]] = {}
    images = [stream.name for stream in policy.facts.streams if stream.kind == "image"]
    for name, change in IMAGES.items() if images else ():
        found[name] = lambda window, number, change=change: _changed(
            window, images, lambda stream, value: change(value, np.random.default_rng(number))
        )
    for stream in policy.facts.streams:
        if stream.kind == "vector":
            normalizer = policy.network.normalizers[stream.name]
            width = 2 * np.asarray(normalizer.half_range) * np.asarray(normalizer.moved)
            for share, offset in VECTORS.items():
                found[f"{stream.name} off by {share} of its range"] = (
                    lambda window, number, offset=offset, name=stream.name, width=width: _changed(
                        window,
                        [name],
                        lambda _, value: offset(value, np.random.default_rng(number), width),
                    )
                )
    return found


def _changed(
    window: Window, names: Sequence[str], change: Callable[[str, np.ndarray], np.ndarray]
) -> Window:
    stacked = {name: np.stack([each.values[name] for each in window]) for name in names}
    new = {name: change(name, values) for name, values in stacked.items()}
    return [
        Observation(each.stamp_s, {**each.values, **{name: new[name][k] for name in names}})
        for k, each in enumerate(window)
    ]


# Measures


@dataclass(frozen=True)
class Measured:
    """Of N windows: distance (N,), residual (N, levels) and spread (N,)."""

    distance: np.ndarray
    residual: np.ndarray
    spread: np.ndarray


def measured(policy: DiffusionPolicy, windows: Sequence[Window]) -> Measured:
    """Ask all three measures; two plans for each window."""
    first, second = (
        policy.plan_batch(windows, [policy.initial_memory(seed)] * len(windows)) for seed in (1, 2)
    )
    normalizer = policy.network.action_normalizer
    x0, other = (
        normalizer(torch.from_numpy(np.stack([plan.traces["horizon"] for plan in plans])))
        for plans in (first, second)
    )
    values = {
        stream.name: np.stack([np.stack([o.values[stream.name] for o in w]) for w in windows])
        for stream in policy.facts.streams
    }
    return Measured(
        np.array([plan.traces["out_of_distribution"] for plan in first]),
        residuals(policy, x0, policy.features(values)),
        (x0 - other).square().mean(dim=(1, 2)).numpy(),
    )


def residuals(policy: DiffusionPolicy, x0: Tensor, cond: Tensor) -> np.ndarray:
    """Mean square errors of the denoiser on chunks (N, Tp, Da) of its own, (N, levels)."""
    network = policy.network
    config = network.config
    found = []
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        process = network.forward_process(cond)
        for level in LEVELS:
            noise = torch.randn(1, *x0.shape[1:], generator=generator).expand_as(x0)
            t = torch.full((len(x0),), level * config.num_train_timesteps // 100)
            xt = process.sample(x0, t, noise)
            target = training_target(process, x0, xt, t, config.prediction)
            error = network.denoise(xt, t, cond)[0] - target
            found.append(error.square().mean(dim=(1, 2)).numpy())
    return np.stack(found, axis=1)


def scores(found: Measured, scale: np.ndarray) -> dict[str, np.ndarray]:
    """Measure -> (N,), higher is stranger."""
    residual = np.log(found.residual / scale).mean(axis=1)
    return {"distance": found.distance, "residual": residual, "spread": found.spread}


def auroc(normal: np.ndarray, strange: np.ndarray) -> float:
    """Chance that a strange one scores higher than a normal one."""
    above = np.searchsorted(np.sort(normal), strange, side="left")
    equal = np.searchsorted(np.sort(normal), strange, side="right") - above
    return float((above + equal / 2).mean() / len(normal))


def interval(
    normal: np.ndarray, strange: np.ndarray, seeds: np.ndarray, draws: int
) -> tuple[float, float]:
    """95 % of the AUROC over trials drawn again."""
    random = np.random.default_rng(0)
    rows = [np.flatnonzero(seeds == seed) for seed in np.unique(seeds)]
    found = []
    for _ in range(draws):
        drawn = np.concatenate([rows[k] for k in random.integers(len(rows), size=len(rows))])
        found.append(auroc(normal[drawn], strange[drawn]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def costs(policy: DiffusionPolicy, window: Window, repeats: int = 50) -> str:
    """Time of a plan, and of each measure, medians of the same loop."""
    memory = policy.initial_memory(0)
    assert policy.distance is not None
    values = {
        s.name: np.stack([o.values[s.name] for o in window])[None] for s in policy.facts.streams
    }
    cond = policy.features(values)
    horizon = policy.plan(window, memory).traces["horizon"]
    x0 = policy.network.action_normalizer(torch.from_numpy(horizon[None]))
    repeated = x0.expand(len(LEVELS), -1, -1), cond.expand(len(LEVELS), -1)
    noise, t = torch.randn(repeated[0].shape), torch.tensor(LEVELS)
    calls: dict[str, Callable[[], Any]] = {
        "plan": lambda: policy.plan(window, memory),
        "distance": lambda: policy.distance.of(cond),  # type: ignore[union-attr]
        "residual": lambda: policy.network.denoise(noise, t, repeated[1]),
    }
    took: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        for _ in range(repeats):
            for name, call in calls.items():
                began = time.perf_counter()
                call()
                took[name].append(time.perf_counter() - began)
    medians = {name: float(np.median(each)) for name, each in took.items()}
    whole = medians["plan"]
    return (
        f"a plan takes {whole * 1e3:.2f} ms, of which the distance "
        f"{medians['distance'] * 1e3:.3f} ms ({100 * medians['distance'] / whole:.1f} %); the "
        f"residual would add "
        f"{100 * medians['residual'] / whole:.0f} %, the spread a second plan"
    )


def compare(world: str, options: Options, console: Console) -> None:
    """Print the table of one world."""
    policy = restore(options.models / world)
    if not isinstance(policy, DiffusionPolicy) or policy.distance is None:
        console.print(f"{world}: run `ddpm fit-out-of-distribution` for its checkpoint first")
        return
    recorder = recorded(policy, world, options)
    seeds = np.array(recorder.seeds)
    used = seeds % 2 == 0  # the others set the scale
    windows = [window for window, use in zip(recorder.windows, used, strict=True) if use]
    others = [window for window, use in zip(recorder.windows, used, strict=True) if not use]
    scale = np.median(measured(policy, others).residual, axis=0)
    normal = scores(measured(policy, windows), scale)
    limit = policy.distance.limit
    alarms = float((normal["distance"] > limit).mean())
    table = Table(
        title=f"{world}: {len(windows)} windows of {len(np.unique(seeds[used]))} trials; AUROC "
        f"[95 %]; limit {limit:.2f}, {100 * alarms:.1f} % of normal windows above"
    )
    for column in ("perturbed", *normal, "above the limit, %"):
        table.add_column(column, justify="left" if column == "perturbed" else "right")
    for name, change in perturbations(policy).items():
        strange = scores(
            measured(policy, [change(window, k) for k, window in enumerate(windows)]), scale
        )
        cells = []
        for measure, values in normal.items():
            low, high = interval(values, strange[measure], seeds[used], options.draws)
            cells.append(f"{auroc(values, strange[measure]):.2f} [{low:.2f}, {high:.2f}]")
        share = float((strange["distance"] > limit).mean())
        table.add_row(name, *cells, f"{100 * share:.0f}")
    console.print(table)
    console.print(costs(policy, windows[0]))


def main() -> int:
    """Run the comparison and print it."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    console = Console(width=125)
    for world in options.worlds:
        compare(world, options, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
