"""The command `evaluate`: closed-loop trials of a checkpoint, in process or over ROS."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from rich.console import Console

from ddpm_controller.control.deployment import Deployment, policy_terms
from ddpm_controller.control.loop_settings import LoopSettings
from ddpm_controller.control.parameter_names import given_as
from ddpm_controller.evaluation.closed_loop import TrialSettings, View, run_trials
from ddpm_controller.evaluation.published_protocol import MAX_STEPS, STEP_HZ, run_published
from ddpm_controller.evaluation.report import (
    coverage_table,
    draw,
    refuse_unwritable,
    table,
    trial_line,
    write_json,
)
from ddpm_controller.evaluation.results import Summary, Trial, summarize
from ddpm_controller.policy import PlanSettings, Policy, overrides_from
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import Robot, RobotError, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS, WorldName

OnTrial = Callable[[int, int, Trial], None]
OnStep = Callable[[int, int], None]
"""Told the step and the number of steps, where all trials go side by side."""


@dataclass(frozen=True)
class EvaluateOptions:
    """Try a checkpoint in a simulated world on matched seeds.

    Attributes:
        checkpoint: Folder; models/<world> as shipped when left out.
        world: Task.
        protocol: ``controller``: the control loop that a robot would run, with its smoothing and
            limits. ``published``: PushT as papers evaluate it, each row applied for 0.1 s, up to
            300 of them; it shows nothing about a robot, but compares with papers.
        trials: Number of trials.
        seed: Seed of the first trial; each further one counts up. The same seeds give the same
            worlds, so that two checkpoints can be compared.
        perturbation: How every trial is disturbed, in process: nominal (not at all), in worlds
            with hidden state also pushed, occluded, longer, in MetaWorld's also pulled_back.
        over_ros: Run the real nodes instead of one process.
        mode: Mode of the simulation over ROS.
        robot: Robot file; that of the world when left out.
        overrides: Setting of the policy in place of the checkpoint's, name=value, for example
            ``--set sampler=ddpm``; may be given several times. An unknown name is refused with
            those that the policy has. By the published protocol ``seam`` is ``switch`` when left
            out.
        n_action_steps: Rows of a chunk instead of the checkpoint's; 0: as there.
        replan_period_s: Time between plans.
        plan_delay_s: Simulated time that a plan takes, in process.
        stream: Form of the commands, as the parameter of the controller.
        timeout_s: Longest trial; 0: as the world, or the published protocol, has it.
        torch_num_threads: Threads of the denoiser, in process.
        engine: Engine of the denoiser, in process: torch, which plans all trials in one batch, or
            another one, which plans them one by one, as on a robot; auto: the fastest of those.
        output: Folder of the results; runs/evaluate/<world> when left out.
    """

    checkpoint: Path | None = None
    world: WorldName = "pick_place"
    protocol: Literal["controller", "published"] = "controller"
    trials: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 100
    seed: int = 10_000_000
    perturbation: str = "nominal"
    over_ros: bool = False
    mode: Literal["real_time", "lockstep"] = "real_time"
    robot: Path | None = None
    overrides: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(name="set", metavar="NAME=VALUE"),
    ] = ()
    n_action_steps: int = 0
    replan_period_s: float = 0.8
    plan_delay_s: float = 0.0
    stream: Literal["rest_ended", "single_point"] = Deployment.stream
    timeout_s: float = 0.0
    torch_num_threads: int = 1
    engine: str = "torch"
    output: Path | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials must be at least 1, got {self.trials}")
        overrides_from(self.overrides)  # refused before anything is run
        entry = WORLDS[self.world]
        published = self.protocol != "controller"
        if self.protocol not in entry.protocols or (published and self.over_ros):
            worlds = [name for name in WORLDS if self.protocol in WORLDS[name].protocols]
            raise ValueError(
                f"the {self.protocol} protocol is for {', '.join(worlds)} in one process, got "
                f"{self.world}{' over ROS' if self.over_ros else ''}; use --protocol controller"
            )
        known = ("nominal",) if self.over_ros else tuple(entry.perturbations)
        if self.perturbation not in known:
            raise ValueError(
                f"perturbation {self.perturbation!r}: in the world {self.world} "
                f"{'over ROS' if self.over_ros else 'in process'} there is {', '.join(known)}"
            )

    @property
    def folder(self) -> Path:
        """Of the checkpoint."""
        shipped = WORLDS[self.world].checkpoint or f"models/{self.world}"
        return self.checkpoint or Path(share_path(shipped))

    @property
    def robot_file(self) -> str:
        """Path of the robot file."""
        return str(self.robot or share_path(WORLDS[self.world].robot))

    @property
    def plan_settings(self) -> PlanSettings:
        """What is asked for instead of the checkpoint's choices."""
        return PlanSettings(
            n_action_steps=self.n_action_steps or None,
            overrides=overrides_from(self.overrides),
            engine=self.engine,
        )

    @property
    def seeds(self) -> range:
        """One per trial."""
        return range(self.seed, self.seed + self.trials)

    @property
    def results(self) -> Path:
        """Folder of the results."""
        return self.output or Path("runs") / "evaluate" / self.world


def evaluate(
    options: EvaluateOptions, on_trial: OnTrial, on_step: OnStep = lambda step, steps: None
) -> tuple[Summary, Path]:
    """Run the trials, write results.json and trials.png; return the summary and the picture.

    Raises:
        CheckpointError: If the checkpoint cannot be used or does not fit the robot.
        RobotError: If the robot file cannot be used.
    """
    # Imported here, as below: the help needs no torch.
    from ddpm_controller.checkpoint import load_checkpoint, refuse_mismatch

    robot = load_robot(options.robot_file)
    checkpoint = load_checkpoint(options.folder)
    refuse_mismatch(checkpoint.manifest, robot.stream_specs, robot.action_spec)
    refuse_unwritable(options.results)
    runs = _over_ros(options) if options.over_ros else _in_process(options, robot, on_step)
    trials = []
    for trial in runs:
        trials.append(trial)
        on_trial(len(trials), options.trials, trial)
    how = f"over ROS, {options.mode}" if options.over_ros else "in process"
    if options.protocol == "published":
        how = "published protocol"
    facts = _facts(options, checkpoint.hash, how)
    write_json(options.results / "results.json", trials, facts)
    picture = options.results / "trials.png"
    draw(picture, f"{options.world}, {how}", trials)
    return summarize(trials), picture


def _facts(options: EvaluateOptions, checkpoint_hash: str, how: str) -> dict[str, object]:
    facts: dict[str, object] = {
        "world": options.world,
        "checkpoint_hash": checkpoint_hash,
        "how": how,
        "first_seed": options.seed,
        "overrides": dict(options.plan_settings.overrides),
        "engine": options.engine,
    }
    if options.protocol == "published":
        return facts
    return facts | {
        "perturbation": options.perturbation,
        "replan_period_s": options.replan_period_s,
        "stream": options.stream,
        "plan_delay_s": options.plan_delay_s,
    }


def _in_process(options: EvaluateOptions, robot: Robot, on_step: OnStep) -> Iterable[Trial]:
    from ddpm_controller.networks.device import use_threads

    use_threads(options.torch_num_threads)
    policy = _restored(options)
    view = policy_view(robot)
    if options.protocol == "published":
        max_steps = round(options.timeout_s * STEP_HZ) or MAX_STEPS
        return run_published(policy, options.seeds, max_steps, on_step, view=view)
    entry = WORLDS[options.world]
    world, disturbance = entry.world, entry.perturbations[options.perturbation]
    made = entry.perturbed(options.perturbation)
    trial_settings = TrialSettings(
        plan_delay_s=options.plan_delay_s,
        timeout_s=options.timeout_s or disturbance.stretch * world.timeout_s,
    )
    deployment = Deployment(
        replan_period_s=options.replan_period_s, lockstep=True, stream=options.stream
    )
    loop = loop_of(robot, policy, options.folder, deployment, world.robot_description())
    return run_trials(policy, made, loop, options.seeds, trial_settings, view)


def loop_of(
    robot: Robot, policy: Policy, folder: Path, deployment: Deployment, urdf: str
) -> LoopSettings:
    """Return the loop that a controller of ``robot`` would run with the checkpoint in ``folder``.

    Raises:
        CheckpointError: The limit of departure beside the checkpoint is damaged.
    """
    from ddpm_controller.checkpoint import load_manifest
    from ddpm_controller.policies.monitors.departure_limit import (
        asked_departure_limit,
        load_departure_limit,
    )

    checkpoint_hash = load_manifest(folder).manifest_sha256
    learned = load_departure_limit(folder, checkpoint_hash, robot.action_spec)
    departure = asked_departure_limit(
        policy.facts.training_range, learned, deployment.reset_state_above
    )
    terms = policy_terms(policy, deployment, departure=departure)
    return loop_settings(robot, terms, deployment, limits=robot.limits(urdf))


def _restored(options: EvaluateOptions) -> Policy:
    from ddpm_controller.systems import restore

    settings = options.plan_settings
    policy = restore(options.folder, settings)
    joins = "seam" in policy.facts.settings and "seam" not in settings.overrides
    if options.protocol == "published" and joins:
        plain = {**settings.overrides, "seam": "switch"}
        return restore(options.folder, replace(settings, overrides=plain))
    return policy


def policy_view(robot: Robot) -> View:
    """Return what makes a camera's picture the one that the policy takes, as for messages."""
    from ddpm_controller.messages.images import seen

    cameras = {each.spec.name: each for each in robot.streams if each.spec.kind == "image"}

    def view(camera: str, pixels: np.ndarray) -> np.ndarray:
        return seen(pixels, cameras[camera].spec.shape[:2], cameras[camera].crop)

    return view


def _over_ros(options: EvaluateOptions) -> Iterator[Trial]:
    # Imported here: trials in one process need no ROS.
    from ddpm_controller.ros.simulation.trial_graph import trials_over_ros

    parameters: dict[str, object] = {
        "n_action_steps": options.n_action_steps or None,
        "replan_period_s": options.replan_period_s,
        "stream": options.stream,
    }
    if options.overrides:
        parameters["policy_overrides"] = list(options.overrides)
    return trials_over_ros(
        options.world,
        options.folder,
        options.seeds,
        options.mode,
        options.timeout_s,
        given_as(parameters),
        options.robot_file,
    )


def main() -> int:
    """Run the command."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    console = Console(highlight=False)
    options = tyro.cli(EvaluateOptions)

    def show(number: int, count: int, trial: Trial) -> None:
        console.print(trial_line(number, count, trial))

    try:
        with console.status(f"trials of {options.folder}") as status:
            summary, picture = evaluate(
                options,
                show,
                lambda step, steps: status.update(f"all trials at step {step} of {steps}"),
            )
    except (RobotError, ValueError, RuntimeError) as error:  # of a checkpoint too
        console.print(f"evaluate: {error}", style="red", markup=False, highlight=False)
        return 1
    console.print(table(f"{options.world}, {options.folder}", summary))
    if summary.coverage is not None:
        console.print(coverage_table(summary.coverage))
    console.print(f"picture: {picture}\nresults: {options.results / 'results.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
