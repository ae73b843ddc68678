"""Every state of a Diff-Control policy by its name: what is trained, and what is recalled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from ddpm_controller.networks.control_branch import ControlledUnet1d
from ddpm_controller.networks.prior_unet1d import PriorUnet1d
from ddpm_controller.networks.recalled_chunk import recalled_dim
from ddpm_controller.networks.unet1d import ConditionalUnet1d
from ddpm_controller.policies.diff_control.belief_state import BeliefMemory, belief_examples
from ddpm_controller.policies.diff_control.chunk_examples import Examples, chunk_examples
from ddpm_controller.policies.diff_control.chunk_state import ChunkMemory
from ddpm_controller.policies.diff_control.config import DiffControlConfig, StateName
from ddpm_controller.policies.diffusion_policy.network import UnetOf
from ddpm_controller.policies.memory.recalled import Recalled
from ddpm_controller.policies.memory.since_last_plan import Execution
from ddpm_controller.policy import Window
from ddpm_controller.types import ActionSpec, Memory

if TYPE_CHECKING:
    from ddpm_controller.policies.diff_control.network import DiffControlNetwork

Batch = Mapping[str, Any]


class StateMemory(Protocol):
    """What a state knows of a run; holds nothing of one itself.

    Attributes:
        n_obs_steps: Observations that it wants of a window, at least those of the denoiser.
        kind: Policies with equal words can go on with each other's memory.
    """

    n_obs_steps: int
    kind: str

    def initial(self) -> Memory:
        """Return what a run begins with; its keys and shapes are those of every memory."""
        ...

    def recall(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Recalled]:
        """Return what each run remembers at its window, with no gradient wanted."""
        ...


@dataclass(frozen=True)
class State:
    """One way to remember.

    Attributes:
        unet: (config, Da) -> what makes the U-Net, as ``DiffusionPolicyNetwork`` takes it.
        recalled_dim: (config, Da) -> columns that it adds to the condition, Dr.
        examples: (network, batch of ``training_window``, generator) -> what the denoiser learns
            from.
        memory: (network, action_spec, how chunks are carried out) -> what it does at a plan.
    """

    unet: Callable[[DiffControlConfig, int], UnetOf]
    recalled_dim: Callable[[DiffControlConfig, int], int]
    examples: Callable[["DiffControlNetwork", Batch, torch.Generator], Examples]
    memory: Callable[["DiffControlNetwork", ActionSpec, Execution], StateMemory]


def _controlled(config: DiffControlConfig, action_dim: int) -> UnetOf:
    recalled, released = _of_chunk(config, action_dim), config.state == "as_released"

    def controlled(make: Callable[..., ConditionalUnet1d], cond_dim: int) -> ControlledUnet1d:
        base = make(cond_dim=cond_dim - recalled)
        unet = ControlledUnet1d(
            base, horizon=config.horizon, told=config.mask, as_released=released
        )
        unet.branch_every = config.branch_every
        return unet

    return controlled


def _with_prior(config: DiffControlConfig, action_dim: int) -> UnetOf:
    recalled, inputs = _of_chunk(config, action_dim), 2 * action_dim + 1
    return lambda make, cond_dim: PriorUnet1d(
        make(cond_dim=cond_dim - recalled + 1, input_dim=inputs),
        horizon=config.horizon,
        told=config.mask,
    )


def _of_chunk(config: DiffControlConfig, action_dim: int) -> int:
    return recalled_dim(config.horizon, action_dim)


def _plain(config: DiffControlConfig, action_dim: int) -> UnetOf:
    return lambda make, cond_dim: make(cond_dim=cond_dim)


def _chunk_examples(
    network: "DiffControlNetwork", batch: Batch, generator: torch.Generator
) -> Examples:
    return Examples(*chunk_examples(network, batch, generator))


def _of_belief(config: DiffControlConfig, action_dim: int) -> int:
    return config.belief_size


def _chunk_memory(
    network: "DiffControlNetwork", action_spec: ActionSpec, execution: Execution
) -> StateMemory:
    return ChunkMemory(network, action_spec)


def _belief_memory(
    network: "DiffControlNetwork", action_spec: ActionSpec, execution: Execution
) -> StateMemory:
    return BeliefMemory(network, execution)


STATES: dict[StateName, State] = {
    "controlnet": State(_controlled, _of_chunk, _chunk_examples, _chunk_memory),
    "as_released": State(_controlled, _of_chunk, _chunk_examples, _chunk_memory),
    "chunk_prior": State(_with_prior, _of_chunk, _chunk_examples, _chunk_memory),
    "belief": State(_plain, _of_belief, belief_examples, _belief_memory),
}
