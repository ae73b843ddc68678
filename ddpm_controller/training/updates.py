"""One update of the weights, and the loss on held-out windows."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_controller.data.windows import WindowDataset
from ddpm_controller.systems import SYSTEMS
from ddpm_controller.training.batches import (
    TRAINING,
    VALIDATION,
    batch_indices,
    generator_for,
    tensors_from,
    validation_indices,
)
from ddpm_controller.training.config import TrainingConfig, TrainingError, learning_rate_at
from ddpm_controller.training.processes import Processes
from ddpm_controller.training.state import TrainingState

Batch = Mapping[str, Any]


class LossModule(nn.Module):
    """A network's loss as a forward pass, in the precision of the config."""

    def __init__(self, network: nn.Module, config: TrainingConfig) -> None:
        super().__init__()
        self.network = network
        self._config = config

    def forward(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the scalar loss of a batch."""
        device = batch["actions"].device.type
        bfloat16 = self._config.precision == "bfloat16"
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            loss: Tensor = self.network.loss(batch, generator, self._config.noise_draws)  # type: ignore[operator]
        return loss


def update(
    state: TrainingState,
    module: nn.Module,
    dataset: WindowDataset,
    config: TrainingConfig,
    processes: Processes,
) -> tuple[float, float]:
    """Do one update; return this process's loss and the length of the gradient.

    Raises:
        TrainingError: If the loss or the gradient is not finite; the weights are then unchanged.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate_at(state.step, config)
    state.optimizer.zero_grad(set_to_none=True)
    loss = _gradients(state, module, dataset, config, processes)
    longest = config.max_gradient_norm or math.inf
    norm = float(nn.utils.clip_grad_norm_(state.network.parameters(), longest))
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise TrainingError(
            f"loss {loss} and gradient norm {norm} at step {state.step} must be finite; lower "
            f"learning_rate = {config.learning_rate} or use precision float32"
        )
    state.optimizer.step()
    state.ema.update(state.network, state.step)
    state.step += 1
    return loss, norm


def _gradients(
    state: TrainingState,
    module: nn.Module,
    dataset: WindowDataset,
    config: TrainingConfig,
    processes: Processes,
) -> float:
    """Sum the gradients of this process's shards; return their mean loss."""
    indices = batch_indices(config.seed, state.step, config.batch_size, len(dataset))
    parts = indices.reshape(config.num_shards, -1)
    own = range(processes.rank, config.num_shards, processes.count)
    total = 0.0
    for shard in own:
        batch = tensors_from(dataset, parts[shard], processes.device)
        batch["progress"] = state.step / config.num_steps
        generator = generator_for(config.seed, TRAINING, state.step, shard)
        if shard != own[-1]:
            with processes.without_averaging(module):
                loss = module(batch, generator) / len(own)
                loss.backward()
        else:
            loss = module(batch, generator) / len(own)
            loss.backward()
        total += float(loss.detach())
    return total


@torch.no_grad()
def validation_loss(
    network: nn.Module, dataset: WindowDataset, config: TrainingConfig, device: torch.device
) -> float:
    """Return the mean loss over the held-out windows, in evaluation mode.

    Every window gets the same timesteps and noise each time, so two values differ by the weights
    alone.
    """
    module = LossModule(network, config)
    indices = validation_indices(len(dataset), config.validation_windows)
    total, weight = 0.0, 0.0
    for number, start in enumerate(range(0, len(indices), config.batch_size)):
        batch = tensors_from(dataset, indices[start : start + config.batch_size], device)
        generator = generator_for(config.seed, VALIDATION, number)
        rows = float(batch["mask"].sum())
        total += rows * float(module(batch, generator))
        weight += rows
    return total / weight


@torch.no_grad()
def validation_nll(
    network: nn.Module, dataset: WindowDataset, config: TrainingConfig, device: torch.device
) -> float:
    """Return the bound on -log p of held-out chunks, nats per number in physical units.

    Of few windows but with every timestep; the same noise each time. NaN without windows, and
    for a system that has no such bound.
    """
    bound_of = SYSTEMS[config.kind].bound
    if not config.nll_windows or bound_of is None:
        return math.nan
    indices = validation_indices(len(dataset), config.nll_windows)
    batch = tensors_from(dataset, indices, device)
    bound = bound_of(network, batch, generator_for(config.seed, VALIDATION, len(indices)))
    return float(bound.per_dimension())
