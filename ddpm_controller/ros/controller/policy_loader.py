"""Checkpoints become policies here, away from everything that moves."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.checkpoint import CheckpointError, load_checkpoint, refuse_mismatch
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.messages.camera_view import CameraView, views_in
from ddpm_controller.policies.monitors.departure_limit import (
    asked_departure_limit,
    load_departure_limit,
)
from ddpm_controller.policy import DepartureLimit, PlanSettings, Policy, words_from
from ddpm_controller.robots.lead import delay_problem
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.trained_sources import SOURCES, compare_sources
from ddpm_controller.ros.latest_worker import LatestWorker
from ddpm_controller.share import found_path
from ddpm_controller.systems import restore
from ddpm_controller.types import ActionChunk

_WARM_UP_PLANS = 2
_LEAD_REMEDY = (
    "measure action.latency_s of the robot file again with `ddpm calibrate-latency`, set "
    "command.lead_s to 0, or follow more rows (chunk.n_action_steps)"
)


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy that is ready to plan, and where it came from.

    Attributes:
        policy: Warmed up.
        folder: Folder of the checkpoint, as it was asked for.
        hash: Hash of the checkpoint.
        load_time_s: Wall time of loading and warming up.
        rows_last_s: From the first row of its chunks to the last.
        departure: Departure at which its state starts afresh; None: for no departure.
        notes: How the sources of its streams differ from those of its training, if harmless.
        views: Stream -> field of view of the pictures that it was trained with, where known.
        overrides: What was asked for in place of the checkpoint's settings, each ``name=value``.
    """

    policy: Policy
    folder: str
    hash: str
    load_time_s: float
    rows_last_s: float = 0.0
    departure: DepartureLimit | None = None
    notes: tuple[str, ...] = ()
    views: Mapping[str, CameraView] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()


def load_policy(
    folder: str,
    robot: Robot,
    settings: PlanSettings,
    lead_s: float = 0.0,
    stream: StreamSettings | None = None,
    lowest_steps: int = 0,
    reset_state_above: float | None = None,
) -> LoadedPolicy:
    """Read, verify and warm up a checkpoint.

    Args:
        folder: Folder of the checkpoint.
        robot: That it must fit.
        settings: How it is run.
        lead_s: Time by which its rows will be sent ahead of their moments.
        stream: Form of the trajectories; None: single points.
        lowest_steps: Denoising steps that a plan may have at the least; 0: none is asked for.
        reset_state_above: Departure above which its state starts afresh; None: as learned
            for this checkpoint, infinite: none.

    Raises:
        CheckpointError: It is missing, damaged, or does not fit the robot.
        ValueError: The settings or the lead do not fit it.
    """
    began_s, checkpoint = time.monotonic(), load_checkpoint(found_path(folder))
    sources = checkpoint.manifest.provenance.get(SOURCES, {})
    compared = compare_sources(sources, robot.streams)
    refuse_mismatch(checkpoint.manifest, robot.stream_specs, robot.action_spec, compared.refused)
    policy = restore(checkpoint, settings)
    _refuse_unmaskable(policy, robot, folder)
    learned = load_departure_limit(checkpoint.folder, checkpoint.hash, robot.action_spec)
    steps = policy.facts.num_inference_steps
    if lowest_steps > steps > 0:
        raise ValueError(
            f"{folder}: policy.min_inference_steps {lowest_steps} is above the {steps} steps of a "
            "plan: lower it, or raise num_inference_steps of policy.overrides"
        )
    chunk = _warm_up(policy, folder)
    rows_last_s = chunk.end_s - chunk.start_s
    problem = delay_problem("command.lead_s", lead_s, rows_last_s, _LEAD_REMEDY)
    if stream is not None and not problem:
        problem = stream.problem(rows_last_s - lead_s)
    if problem:
        raise ValueError(f"{folder}: {problem}")
    return LoadedPolicy(
        policy=policy,
        folder=folder,
        hash=checkpoint.hash,
        load_time_s=time.monotonic() - began_s,
        rows_last_s=rows_last_s,
        departure=asked_departure_limit(policy.facts.training_range, learned, reset_state_above),
        notes=compared.noted,
        views=views_in(sources),
        overrides=tuple(words_from(settings.overrides)),
    )


def _refuse_unmaskable(policy: Policy, robot: Robot, folder: str) -> None:
    used = [stream.name for stream in policy.facts.streams]
    asked = [name for name in used if robot.rules[name].masks]
    maskable = policy.facts.maskable
    if not set(asked) <= set(maskable):
        rules = " and ".join(sorted({robot.rules[name].when_stale for name in asked}))
        raise CheckpointError(
            f"{folder} can plan without the streams {list(maskable)}, but the robot file "
            f"asks when_stale: {rules} for {asked}: set hold or stop there, or use a checkpoint "
            "that was trained with masks"
        )


def _warm_up(policy: Policy, folder: str) -> ActionChunk:
    """Make trial plans: the first are 10 to 100 times slower, and must be finite."""
    window = policy.facts.warm_up_window
    memory = policy.initial_memory(0)
    for _ in range(_WARM_UP_PLANS):
        plan = policy.plan(window, memory)
        memory = plan.memory
        if not np.isfinite(plan.chunk.actions).all():
            raise CheckpointError(f"{folder}: a trial plan is not finite; train it again")
    return plan.chunk


class PolicyLoader:
    """Loads one checkpoint after the other on a thread of its own; the last request wins.

    Args:
        load: Folder -> policy; may raise anything.
        on_loaded: Called on the loader's thread with request number, policy or None, and error.
    """

    def __init__(
        self,
        load: Callable[[str], LoadedPolicy],
        on_loaded: Callable[[int, LoadedPolicy | None, str], None],
    ) -> None:
        self._load = load
        self._on_loaded = on_loaded
        self._worker: LatestWorker[tuple[int, str]] = LatestWorker("policy_loader", self._load_one)

    def request(self, number: int, folder: str) -> None:
        """Load ``folder`` next; a request that has not been begun is forgotten."""
        self._worker.submit((number, folder))

    def close(self) -> None:
        """End the thread after the load that runs, if that takes no longer than usual."""
        self._worker.close()

    def _load_one(self, wanted: tuple[int, str]) -> None:
        number, folder = wanted
        try:
            loaded, problem = self._load(folder), ""
        except (CheckpointError, ValueError) as error:
            loaded, problem = None, str(error)
        except Exception as error:  # a foreign checkpoint may break anything; the old one runs
            loaded, problem = None, f"{folder}: {type(error).__name__}: {error}"
        self._on_loaded(number, loaded, problem)
