"""Every state of a Diff-Control policy by its name: what is trained, and what is recalled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch

from ddpm_controller.networks.belief import BeliefEncoder
from ddpm_controller.networks.control_branch import BranchAlongChain, ControlledUnet1d
from ddpm_controller.networks.prior_unet1d import PriorUnet1d
from ddpm_controller.networks.recalled_chunk import recalled_dim
from ddpm_controller.networks.unet1d import ConditionalUnet1d
from ddpm_controller.policies.diff_control.belief_state import BeliefMemory, belief_examples
from ddpm_controller.policies.diff_control.chunk_examples import Examples, chunk_examples
from ddpm_controller.policies.diff_control.chunk_state import ChunkMemory
from ddpm_controller.policies.diff_control.config import DiffControlConfig, StateName
from ddpm_controller.policies.diffusion_policy.denoiser import AlongChain
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork, UnetOf
from ddpm_controller.policies.memory.recalled import Recalled
from ddpm_controller.policies.memory.since_last_plan import Execution
from ddpm_controller.policy import Window
from ddpm_controller.types import ActionSpec, Memory

Batch = Mapping[str, Any]


class StateMemory(Protocol):
    """What a state knows of a run; holds nothing of one itself.

    Attributes:
        n_obs_steps: Observations that it needs of a window, at least those of the denoiser.
        kind: Policies with equal words can continue from each other's memory.
    """

    n_obs_steps: int
    kind: str

    def initial(self) -> Memory:
        """Return what a run begins with; its keys and shapes are those of every memory."""
        ...

    def recall(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Recalled]:
        """Return what each run remembers at its window, without a gradient."""
        ...


class StateParts(Protocol):
    """What a state is made of.

    Attributes:
        config: What the policy is.
        denoiser: The denoiser.
        belief: The state's own network; None where it has none.
    """

    config: DiffControlConfig
    denoiser: DiffusionPolicyNetwork
    belief: BeliefEncoder | None


@dataclass(frozen=True)
class State:
    """One way to remember.

    Attributes:
        unet: (config, Da) -> what makes the U-Net, as ``DiffusionPolicyNetwork`` takes it.
        recalled_dim: (config, Da) -> columns that it adds to the condition, Dr.
        examples: (parts, batch of ``training_window``, generator) -> what the denoiser learns
            from.
        memory: (parts, action_spec, how chunks are carried out) -> what it does at a plan.
        along_chain: (parts, w) -> what makes the answers along the chains of one sampling; None
            for a state that has no transition apart from the rest.
    """

    unet: Callable[[DiffControlConfig, int], UnetOf]
    recalled_dim: Callable[[DiffControlConfig, int], int]
    examples: Callable[[StateParts, Batch, torch.Generator], Examples]
    memory: Callable[[StateParts, ActionSpec, Execution], StateMemory]
    along_chain: Callable[[StateParts, float], Callable[[], AlongChain]] | None = None


def _controlled(config: DiffControlConfig, action_dim: int) -> UnetOf:
    recalled, released = _of_chunk(config, action_dim), config.state == "as_released"

    def controlled(make: Callable[..., ConditionalUnet1d], cond_dim: int) -> ControlledUnet1d:
        base = make(cond_dim=cond_dim - recalled)
        return ControlledUnet1d(
            base, horizon=config.horizon, told=config.mask, as_released=released
        )

    return controlled


def _branch_along(parts: StateParts, scale: float) -> Callable[[], AlongChain]:
    return partial(BranchAlongChain, parts.denoiser.unet, scale, parts.config.branch_every)


def _prior_along(parts: StateParts, scale: float) -> Callable[[], AlongChain]:
    unet = parts.denoiser.unet
    return lambda: lambda xt, t, modulation: unet.scaled(xt, modulation, scale)


def _with_prior(config: DiffControlConfig, action_dim: int) -> UnetOf:
    recalled = _of_chunk(config, action_dim)
    inputs = 2 * action_dim + 1 + config.policy.given_columns
    return lambda make, cond_dim: PriorUnet1d(
        make(cond_dim=cond_dim - recalled + 1, input_dim=inputs),
        horizon=config.horizon,
        told=config.mask,
    )


def _of_chunk(config: DiffControlConfig, action_dim: int) -> int:
    return recalled_dim(config.horizon, action_dim)


def _plain(config: DiffControlConfig, action_dim: int) -> UnetOf:
    return lambda make, cond_dim: make(cond_dim=cond_dim)


def _chunk_examples(parts: StateParts, batch: Batch, generator: torch.Generator) -> Examples:
    return chunk_examples(parts.denoiser, parts.config, batch, generator)


def _of_belief(config: DiffControlConfig, action_dim: int) -> int:
    return config.belief_size


def _chunk_memory(parts: StateParts, action_spec: ActionSpec, execution: Execution) -> StateMemory:
    return ChunkMemory(parts.config, parts.denoiser.action_normalizer, action_spec)


def _belief_examples(parts: StateParts, batch: Batch, generator: torch.Generator) -> Examples:
    return belief_examples(parts.denoiser, _belief(parts), parts.config, batch, generator)


def _belief_memory(
    parts: StateParts, action_spec: ActionSpec, execution: Execution
) -> StateMemory:
    return BeliefMemory(parts.denoiser, _belief(parts), parts.config, execution)


def _belief(parts: StateParts) -> BeliefEncoder:
    assert parts.belief is not None
    return parts.belief


STATES: dict[StateName, State] = {
    "controlnet": State(_controlled, _of_chunk, _chunk_examples, _chunk_memory, _branch_along),
    "as_released": State(_controlled, _of_chunk, _chunk_examples, _chunk_memory, _branch_along),
    "chunk_prior": State(_with_prior, _of_chunk, _chunk_examples, _chunk_memory, _prior_along),
    "belief": State(_plain, _of_belief, _belief_examples, _belief_memory),
}
