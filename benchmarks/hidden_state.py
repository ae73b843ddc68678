"""Policies that remember and those that do not, in worlds whose state is hidden.

python benchmarks/hidden_state.py --worlds drum --arms stateless belief --seeds 0

Every arm of a world has the same demonstrations, network sizes and updates (a control branch half
as many more, on the stateless arm) and the same trials: as demonstrated, pushed, with streams
that stand still, and at twice the time. Success with its 95 % Wilson interval, McNemar's p against
the stateless arm, the error of the strikes and of their tempo, and the time of a plan. What has
been measured is kept in benchmarks/results, so an interrupted run goes on, and the published
tables come at once; ``--results elsewhere`` measures anew. They are

--worlds drum
--worlds sticky_lid cue_reach --arms stateless controlnet controlnet_1.5 belief bc_lstm
--worlds sticky_lid cue_reach --stay-at-end False

and others are trained, for which demonstrations come first, for each world:

ddpm demonstrate --world drum --episodes 200 --in-process --no-pictures --output runs/drum/bags

MetaWorld's tasks (drawer_open, button_press, hammer; the extra `metaworld`) are also tried with
what has been moved pulled back once. One seed is enough there, and few arms:
--worlds drawer_open --seeds 0 --arms stateless controlnet belief

`drum_camera` and `cue_reach_camera` are the same worlds seen by a camera (the robot files of these
names, and demonstrations with pictures in runs/cue_reach_camera/bags).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from hidden_state_picture import draw
from kept_results import KeptResults, Result
from memory_arms import ARMS, STATELESS, arm_recipe, run_with_scale
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ddpm_controller.bags.episodes import Demonstrations, read_demonstrations
from ddpm_controller.bags.files import find_bags
from ddpm_controller.cli.evaluate import policy_view
from ddpm_controller.control.deployment import Deployment, policy_terms
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.intervals import mcnemar, wilson_interval
from ddpm_controller.evaluation.results import Trial
from ddpm_controller.policy import PlanSettings, Policy, Window
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.disturbances import PULLING
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingConfig, read_training_config
from ddpm_controller.training.run import train
from ddpm_controller.types import Memory, Plan

CAMERA = "_camera"
EPISODE_ROWS = 96
"""Longest demonstration of any of the worlds is 81 rows."""


@dataclass(frozen=True)
class Options:
    """Compare memories.

    Attributes:
        worlds: Where.
        arms: Which of them.
        seeds: Of the trainings.
        perturbations: How the trials are disturbed; empty: in every way that a world knows.
        horizon: Rows of a chunk: 64 are longer than most of the tasks, the usual 16 are not.
        updates: Of each training.
        demonstrations: That are learned from, the first ones of the world's bags.
        stay_at_end: Whether staying is learned behind their ends; left out: as the recipe says.
        trials: Of each arm, training and perturbation; with three trainings 210 in all.
        first_seed: Of the trials.
        folder: With the bags of each world below it; trainings go there too.
        results: Folder of what has been measured, a file per world.
        picture: Where success is drawn; nowhere when left out.
    """

    worlds: tuple[str, ...] = ("drum", "sticky_lid", "cue_reach")
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (0, 1, 2)
    perturbations: tuple[str, ...] = ()
    horizon: int = 16
    updates: int = 2500
    demonstrations: int = 200
    stay_at_end: bool | None = None
    trials: int = 70
    first_seed: int = 200_000
    folder: Path = Path("runs")
    results: Path = Path(__file__).parent / "results"
    picture: Path | None = None


class Comparison:
    """All arms of one world.

    Args:
        options: Of the run.
        name: Of the world, with ``CAMERA`` behind it where a camera sees it.
    """

    def __init__(self, options: Options, name: str) -> None:
        self.options, self.name, self.world = options, name, name.removesuffix(CAMERA)
        self._kept = KeptResults(options.results / f"hidden_state_{name}.jsonl")
        self._shown: Demonstrations | None = None
        self._robot = load_robot(Path(share_path(WORLDS[self.world].robot)).with_stem(name))
        self._recipe = read_training_config(Path(f"config/training/{self.world}.yaml"))
        stays = self._recipe.stay_at_end
        self.stays = stays if options.stay_at_end is None else options.stay_at_end

    @property
    def shown(self) -> Demonstrations:
        """The demonstrations, read when they are wanted."""
        if self._shown is None:
            folder, wanted = self.options.folder / self.name / "bags", self.options.demonstrations
            bags = find_bags([folder]) if folder.is_dir() else []
            if len(bags) < wanted:
                raise SystemExit(
                    f"{folder} has {len(bags)} bags and {wanted} are asked for: demonstrate "
                    f"--world {self.world} --episodes {wanted} --in-process --output {folder}"
                )
            self._shown = read_demonstrations(bags[:wanted], self._robot)
        return self._shown

    def folder(self, arm: str, seed: int) -> Path:
        """Return where a training is kept."""
        options = self.options
        counts = f"{options.horizon}_{options.updates}_{options.demonstrations}_{seed}"
        name = f"{arm}_{counts}{'_staying' if self.stays else ''}"
        return self.options.folder / self.name / "hidden_state" / name

    def trained(self, arm: str, seed: int) -> Path:
        """Train, or go on, or take what is finished; return the checkpoint."""
        folder = self.folder(arm, seed)
        checkpoint = folder / "checkpoints" / "last"
        if not (folder / "curves.png").is_file():  # drawn at the end
            shown = self.shown
            train(
                shown.episodes,
                self._robot.action_spec,
                self._robot.stream_specs,
                self.recipe(arm, seed),
                folder,
                provenance=shown.provenance,
            )
        return checkpoint

    def recipe(self, arm: str, seed: int) -> TrainingConfig:
        """Return how an arm is trained."""
        config = self._recipe
        # The camera does not move: a shift would only cost precision of place.
        policy = replace(config.policy, horizon=self.options.horizon, image_shift_pixels=0)
        config = replace(config, policy=policy, num_steps=self.options.updates, seed=seed)
        config = replace(config, nll_windows=0, stay_at_end=self.stays)
        return arm_recipe(config, arm, EPISODE_ROWS, lambda: self.trained(STATELESS, seed))

    def measured(self, arm: str, seed: int, perturbation: str) -> Result:
        """Train and try, or read what that gave."""
        options = self.options
        names = ("horizon", "updates", "trials", "first_seed", "demonstrations")
        key = {"arm": arm, "seed": seed, "perturbation": perturbation, "stay_at_end": self.stays}
        key |= {name: getattr(options, name) for name in names}
        if (kept := self._kept.find(key)) is not None:
            return kept
        trained, scale = run_with_scale(arm)
        overrides = {} if scale is None else {"transition_scale": scale}
        policy = restore(self.trained(trained, seed), PlanSettings(overrides=overrides))
        seeds = range(options.first_seed, options.first_seed + options.trials)
        trials, timed = self._trials(policy, perturbation, seeds), _Timed(policy)
        self._trials(timed, perturbation, seeds[:1])
        result = Result.of(key, trials, timed.median_s)
        self._kept.add(result)
        return result

    def _trials(self, policy: Policy, perturbation: str, seeds: Sequence[int]) -> list[Trial]:
        entry = WORLDS[self.world]
        world, disturbance = entry.world, entry.perturbations[perturbation]
        settings = TrialSettings(
            camera_hz=10.0,
            keep_frames=0,
            timeout_s=disturbance.stretch * world.timeout_s,
        )
        deployment = Deployment(control_rate_hz=20.0, lockstep=True)
        loop = loop_settings(
            self._robot,
            policy_terms(policy, deployment),
            deployment,
            limits=self._robot.limits(world.robot_description()),
        )
        made = entry.perturbed(perturbation)
        return list(run_trials(policy, made, loop, seeds, settings, policy_view(self._robot)))


class _Timed:
    """A policy that measures the time of its plans."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self._times = policy, [float("nan")]
        self.facts, self.initial_memory = policy.facts, policy.initial_memory

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Plan, and note how long it took."""
        begun_s = time.perf_counter()
        plan = self._policy.plan(window, memory)
        self._times.append(time.perf_counter() - begun_s)
        return plan

    @property
    def median_s(self) -> float:
        """Of all plans but the first."""
        return float(np.median(self._times[2:])) if len(self._times) > 2 else float("nan")


def table(world: str, options: Options, results: Sequence[Result], stays: bool) -> Table:
    """One row per arm and perturbation, over all training seeds."""
    view = Table(
        title=f"{world}: {len(options.seeds)} trainings x {options.trials} trials, "
        f"{options.horizon} rows, {options.updates} updates, "
        f"{options.demonstrations} demonstrations{', staying at the end' if stays else ''}"
    )
    view.add_column("arm")
    view.add_column("trials")
    for column in ("success, %", "p", "count error", "tempo, s", "plan, ms"):
        view.add_column(column, justify="right")
    for perturbation in options.perturbations:
        plain = _successes(results, STATELESS, perturbation)
        for arm in options.arms:
            own = _successes(results, arm, perturbation)
            p = mcnemar(own, plain) if plain and arm != STATELESS else None
            view.add_row(
                arm,
                perturbation,
                _rate(own),
                "" if p is None else f"{p:.2g}",
                *_errors(results, arm, perturbation),
                _plan_ms(results, arm, perturbation),
            )
        view.add_section()
    return view


def _of(results: Sequence[Result], arm: str, perturbation: str) -> list[Result]:
    return [r for r in results if (r.arm, r.perturbation) == (arm, perturbation)]


def _successes(results: Sequence[Result], arm: str, perturbation: str) -> list[bool]:
    return [each == "1" for r in _of(results, arm, perturbation) for each in r.successes]


def _rate(successes: Sequence[bool]) -> str:
    low, high = wilson_interval(sum(successes), len(successes))
    return f"{100 * np.mean(successes):.1f} [{100 * low:.0f}, {100 * high:.0f}]"


def _errors(results: Sequence[Result], arm: str, perturbation: str) -> tuple[str, str]:
    """Mean error of the number of strikes, median deviation of the tempo; empty elsewhere."""
    own = _of(results, arm, perturbation)
    counts = [each for r in own for each in r.count_errors]
    tempo = [each for r in own for each in r.tempo_deviations_s]
    return (
        f"{np.mean(counts):.2f}" if counts else "",
        f"{np.median(tempo):.3f}" if tempo else "",
    )


def _plan_ms(results: Sequence[Result], arm: str, perturbation: str) -> str:
    return f"{1e3 * np.nanmedian([r.plan_s for r in _of(results, arm, perturbation)]):.1f}"


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    found: dict[str, list[Result]] = {}
    named = {
        world: options.perturbations or tuple(WORLDS[world.removesuffix(CAMERA)].perturbations)
        for world in options.worlds
    }
    for world in options.worlds:
        comparison = Comparison(options, world)
        jobs = [
            (arm, seed, perturbation)
            for seed in options.seeds
            for arm in options.arms
            for perturbation in named[world]
        ]
        found[world] = [comparison.measured(*job) for job in track(jobs, description=world)]
        shown = replace(options, perturbations=named[world])
        Console(width=120).print(table(world, shown, found[world], comparison.stays))
    if options.picture is not None:
        everywhere = tuple(
            each for each in PULLING if all(each in names for names in named.values())
        )
        drawn = {
            world: {
                (arm, each): _successes(results, arm, each)
                for arm in options.arms
                for each in everywhere
            }
            for world, results in found.items()
        }
        title = f"{len(options.seeds)} trainings x {options.trials} trials, {options.horizon} rows"
        draw(options.picture, drawn, options.arms, everywhere, title)


if __name__ == "__main__":
    main()
