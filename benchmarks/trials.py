"""Trials of a checkpoint in its world, as the benchmarks compare them: one score per seed."""

from collections.abc import Sequence
from pathlib import Path

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.published_protocol import run_published
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore

REACHED = {"pusht": 0.90}
"""World -> the score above which a trial counts as a success; 0.5 elsewhere."""


def plan_settings(sampler: str) -> PlanSettings:
    """Return what a name and its steps mean, as ``ddim-10``; no plan knows the one before."""
    name, steps = sampler.rsplit("-", 1)
    return PlanSettings(
        overrides={"sampler": name, "num_inference_steps": int(steps), "seam": "switch"}
    )


def scores_of(checkpoint: Path, world: str, sampler: str, seeds: Sequence[int]) -> list[float]:
    """Return the largest coverage of each PushT trial, elsewhere 1 for success and 0 without.

    PushT runs by the published protocol, the other worlds under the control loop.
    """
    return scores_with(checkpoint, world, plan_settings(sampler), seeds)


def scores_with(
    checkpoint: Path, world: str, plans: PlanSettings, seeds: Sequence[int]
) -> list[float]:
    """Return the scores of a checkpoint with these settings, as ``scores_of`` has them."""
    policy = restore(checkpoint, plans)
    if world == "pusht":
        return [float(trial.score or 0.0) for trial in run_published(policy, seeds, keep_frames=0)]
    robot = load_robot(share_path(WORLDS[world].robot))
    deployment = Deployment(lockstep=True)
    loop = loop_of(robot, policy, checkpoint, deployment, robot_description())
    settings = TrialSettings(keep_frames=0)
    trials = run_trials(policy, world, loop, seeds, settings, policy_view(robot))
    return [float(trial.success) for trial in trials]


def successes_of(world: str, scores: Sequence[float]) -> int:
    """Return how many of these scores are successes."""
    return sum(score > REACHED.get(world, 0.5) for score in scores)
