"""THE seam: everything that thinks turns a window of observations into a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ddpm_controller.types import ActionSpec, Memory, Observation, Plan, StreamSpec

Window = Sequence[Observation]
"""The last ``n_obs_steps`` observations, oldest first, ``action_spec.period_s`` apart."""


@dataclass(frozen=True)
class PlanSettings:
    """How a checkpoint is run; None means as the checkpoint says.

    Attributes:
        sampler: Name of a sampler of ``diffusion.samplers``, for example ``ddim``.
        num_inference_steps: Denoising steps per plan.
        n_action_steps: Rows of a chunk that are sent to the robot.
        device: Torch device.
    """

    sampler: str | None = None
    num_inference_steps: int | None = None
    n_action_steps: int | None = None
    device: str = "cpu"


class Policy(Protocol):
    """A learned policy or a planner."""

    action_spec: ActionSpec
    streams: tuple[StreamSpec, ...]
    n_obs_steps: int

    def initial_memory(self, seed: int) -> Memory:
        """Return the memory of a run that begins; everything random comes from ``seed``."""
        ...

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk; its first row is for the moment of ``window[-1]``.

        A pure function: the same window and memory give the same plan, bit for bit.
        """
        ...


@runtime_checkable
class BatchPolicy(Protocol):
    """A policy that plans many independent runs at once, faster than one by one."""

    def plan_batch(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Plan]:
        """Return one plan per run; equal to ``plan`` up to rounding."""
        ...


def plan_batch(
    policy: Policy, windows: Sequence[Window], memories: Sequence[Memory]
) -> list[Plan]:
    """Plan for many independent runs, in one batch where the policy can."""
    if isinstance(policy, BatchPolicy):
        return policy.plan_batch(windows, memories)
    return [policy.plan(window, memory) for window, memory in zip(windows, memories, strict=True)]
