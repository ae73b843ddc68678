"""The command `fit_state_reset`: learns which departure from a plan lets a state start afresh."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from ddpm_controller.cli.fit.fit_command import OnProgress, episodes_of, run_fit
from ddpm_controller.policy import DepartureLimit, Policy
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.types import Episode, Observation, measuring_stream

Rows = tuple[np.ndarray, np.ndarray]
"""Measured and expected positions of the joints for the same moments, (N, Da) each."""


@dataclass(frozen=True)
class FitStateReset:
    """Learn how far joints usually are from what was planned for them.

    Writes departure_limit.json into the checkpoint's folder; the checkpoint keeps its hash and
    its plans. A controller lets the policy's memory start afresh above the limit, see its
    parameter monitor.reset_state_above. Learned from the episodes held out from training.

        ddpm fit-state-reset --checkpoint models/mine --bags recordings

    Attributes:
        checkpoint: Folder of the checkpoint.
        bags: The bags it was trained with, or folders of bags.
        robot: Robot file. Default: sim_arm.
        against: What measured joints are compared with. ``plans``: what the policy, rolled through
            the episode, had planned for them; where a task can go several ways this is more than
            a robot departs that follows the plans. ``commands``: what was commanded.
        replan_period_s: Time between two plans.
        quantile: Quantile of the departures, of which the limit is ``margin`` times as much.
        margin: At least 1.
        seed: Seed of the noise of the plans.
        torch_num_threads: Threads of the policy.
    """

    checkpoint: Path
    bags: tuple[Path, ...]
    robot: Path | None = None
    against: Literal["plans", "commands"] = "plans"
    replan_period_s: float = 0.8
    quantile: float = 0.999
    margin: float = 1.5
    seed: int = 0
    torch_num_threads: int = 1


def fitted(
    command: FitStateReset,
    on_progress: OnProgress = lambda done, total: None,
) -> DepartureLimit:
    """Fit, and write the file beside the manifest.

    Raises:
        CheckpointError: If the checkpoint cannot be used or does not fit the robot.
        ValueError: If bags or robot file cannot be used, none was held out, or the checkpoint
            lacks the range of its actions.
    """
    # Imported here, as below: the help needs no torch.
    from ddpm_controller.checkpoint import load_checkpoint, refuse_mismatch
    from ddpm_controller.policies.monitors.departure_limit import (
        fit_departure_limit,
        half_range_of,
        save_departure_limit,
    )
    from ddpm_controller.systems import restore

    checkpoint = load_checkpoint(command.checkpoint)
    robot = load_robot(command.robot or share_path("config/robots/sim_arm.yaml"))
    refuse_mismatch(checkpoint.manifest, robot.stream_specs, robot.action_spec)
    policy = restore(checkpoint)
    found = [
        _rows(command, policy, episode)
        for episode, held_out in episodes_of(checkpoint, command.bags, robot, on_progress)
        if held_out
    ]
    if not found:
        raise ValueError(
            f"none of the episodes was held out from the training of {command.checkpoint}: give "
            f"{sorted(checkpoint.manifest.provenance.get('held_out', []))}"
        )
    measured, expected = (np.concatenate(each) for each in zip(*found, strict=True))
    half_range = half_range_of(policy.facts.training_range)
    limit = fit_departure_limit(measured, expected, half_range, command.quantile, command.margin)
    source = f"{len(found)} held-out episodes, {len(measured)} moments, {command.against}"
    save_departure_limit(command.checkpoint, checkpoint.hash, robot.action_spec, limit, source)
    return limit


def _rows(command: FitStateReset, policy: Policy, episode: Episode) -> Rows:
    if command.against == "commands":
        return measured_joints(policy, episode), episode.actions
    rows = max(round(command.replan_period_s / policy.facts.action_spec.period_s), 1)
    return rolled_through(policy, episode, rows, command.seed)


def rolled_through(policy: Policy, episode: Episode, rows: int, seed: int) -> Rows:
    """Return where the joints of an episode were when a plan was due, and what was planned.

    Args:
        policy: Plans from plan to plan with what it remembers; the episode does not follow it.
        episode: On the policy's clock.
        rows: From one plan to the next; less where chunks are shorter.
        seed: Seed of the noise.
    """
    joints, memory = measured_joints(policy, episode), policy.initial_memory(seed)
    measured, expected = [joints[:0]], [joints[:0]]
    moment = 0
    while moment < len(episode):
        plan = policy.plan(_window(policy, episode, moment), memory)
        memory, actions = plan.memory, plan.chunk.actions
        step = max(min(rows, len(actions) - 1), 1)
        moment += step
        if moment < len(episode) and step < len(actions):
            measured.append(joints[moment, None])
            expected.append(actions[step, None])
    return np.concatenate(measured), np.concatenate(expected)


def measured_joints(policy: Policy, episode: Episode) -> np.ndarray:
    """Return the measured positions of the commanded joints, (N, Da).

    Raises:
        ValueError: No stream of the policy measures them.
    """
    joints = policy.facts.action_spec.joint_names
    stream = measuring_stream(policy.facts.streams, joints)
    if stream is not None:
        columns = [stream.names.index(joint) for joint in joints]
        found: np.ndarray = episode.values[stream.name][:, columns]
        return found
    raise ValueError(
        f"no stream of the checkpoint measures all of {list(joints)}: there are "
        f"{[stream.name for stream in policy.facts.streams]}"
    )


def _window(policy: Policy, episode: Episode, newest: int) -> list[Observation]:
    """Return a window of the policy; before the start the first moment is repeated."""
    moments = [max(newest - back, 0) for back in reversed(range(policy.facts.n_obs_steps))]
    return [
        Observation(
            float(episode.stamps_s[moment]),
            {stream.name: episode.values[stream.name][moment] for stream in policy.facts.streams},
        )
        for moment in moments
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error."""
    command = tyro.cli(FitStateReset, args=arguments)
    from ddpm_controller.checkpoint import DEPARTURE_LIMIT_NAME

    return run_fit(
        partial(fitted, command),
        command.checkpoint / DEPARTURE_LIMIT_NAME,
        command.torch_num_threads,
    )


if __name__ == "__main__":
    sys.exit(main())
