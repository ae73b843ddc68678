"""What a state that is the chunk before learns from: windows with the two chunks before them.

A training window reaches back over two plans. When they were made is drawn, so that every gap up
to the action horizon is learned. The one before has the demonstrated rows or, late in the
training, rows that the network itself has sampled there, as it will be run.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ddpm_controller.diffusion.noise import standard_normal
from ddpm_controller.diffusion.samplers import sample_ddim
from ddpm_controller.diffusion.timesteps import timesteps_for
from ddpm_controller.diffusion.warm_start import WarmStart, timesteps_below
from ddpm_controller.networks.recalled_chunk import shifted
from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.policies.diffusion_policy.denoiser import Denoiser
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork

Batch = Mapping[str, Any]


class Examples(NamedTuple):
    """What a denoiser learns from, and what it remembers there.

    Attributes:
        batch: The denoiser's, (B', ...).
        recalled: (B', Dr).
        aside: What else is minimised and is no part of the loss that is told, a scalar; in
            training mode only.
    """

    batch: Batch
    recalled: Tensor
    aside: Tensor | None = None


def chunk_examples(
    denoiser: DiffusionPolicyNetwork,
    config: DiffControlConfig,
    batch: Batch,
    generator: torch.Generator,
) -> Examples:
    """Return the denoiser's batch and the columns of the chunk before it, (B, Dr).

    In training mode that chunk is left out of some examples, noisy in all, and the network's own
    in some once ``batch["progress"]`` is far enough. In evaluation mode it is always the network's
    own, so that the loss is the one of what will be run.

    Args:
        denoiser: The policy's.
        config: The policy's.
        batch: Of ``DiffControlConfig.training_window``.
        generator: Source of gaps, noise and samples.
    """
    reach = 2 * config.n_action_steps
    elapsed = batch["mask"][:, : reach + config.n_obs_steps].sum(1).cpu() - 1  # since the start
    gap = _gaps(config, elapsed, generator)
    before = _gaps(config, elapsed - gap, generator)
    device = batch["actions"].device
    chunk = _chunks(denoiser, batch, reach - gap)
    kept = elapsed >= gap
    if denoiser.training:
        own = _own_rows(config, batch, generator)
        chunk = _noisy(chunk, config.prior_noise, generator)
        null = torch.rand(len(gap), generator=generator) < config.null_prior_share
        kept &= ~null
    else:
        own = torch.arange(len(gap))
    if len(own):
        earlier = _chunks(denoiser, batch, reach - gap - before)
        recalled = shifted(earlier, before.to(device), config.shift)
        recalled = recalled.where((elapsed >= gap + before).to(device))
        moments = {"values": _values(config, batch, reach - gap)}
        columns = recalled.columns()
        chunk[own] = _sampled(denoiser, config, moments, columns, chunk, own, generator)
    columns = shifted(chunk, gap.to(device), config.shift).where(kept.to(device)).columns()
    now = {
        "values": {name: value[:, reach:] for name, value in batch["values"].items()},
        "actions": batch["actions"][:, reach:],
        "mask": batch["mask"][:, reach:],
    }
    return Examples(now, columns)


def _gaps(config: DiffControlConfig, elapsed: Tensor, generator: torch.Generator) -> Tensor:
    """Return how many rows before each moment a plan was made, (B,)."""
    most = config.n_action_steps
    if config.state == "as_released":  # at the start the prior is the target itself
        return elapsed.clamp(0, most)
    return torch.randint(1, most + 1, (len(elapsed),), generator=generator)


def _own_rows(config: DiffControlConfig, batch: Batch, generator: torch.Generator) -> Tensor:
    """Return the examples whose chunk before is the network's own, (N,)."""
    if batch.get("progress", 0.0) < config.own_chunks_from:
        return torch.zeros(0, dtype=torch.int64)
    chosen = torch.rand(len(batch["actions"]), generator=generator) < config.own_chunks_share
    return chosen.nonzero()[:, 0]


def _chunks(denoiser: DiffusionPolicyNetwork, batch: Batch, offset: Tensor) -> Tensor:
    """Return the demonstrated chunk that begins at row ``offset`` (B,), normalized."""
    actions = _from(batch["actions"], offset, denoiser.config.horizon)
    chunk: Tensor = denoiser.action_normalizer(actions)
    return chunk


def _values(config: DiffControlConfig, batch: Batch, offset: Tensor) -> dict[str, Tensor]:
    steps = config.n_obs_steps
    return {name: _from(value, offset, steps) for name, value in batch["values"].items()}


def _from(block: Tensor, offset: Tensor, length: int) -> Tensor:
    """Return ``length`` rows of a block (B, N, ...), from row ``offset`` (B,) on."""
    index = offset.clamp(min=0)[:, None] + torch.arange(length)
    return block[torch.arange(len(block))[:, None], index]


def _noisy(chunk: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    deviation = largest * torch.rand(len(chunk), 1, 1, generator=generator)
    return chunk + (deviation * standard_normal(tuple(chunk.shape), generator)).to(chunk)


@torch.no_grad()
def _sampled(
    denoiser: DiffusionPolicyNetwork,
    config: DiffControlConfig,
    moments: Batch,
    columns: Tensor,
    chunk: Tensor,
    rows: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Return chunks that the network samples, (N, Tp, Da), for some rows of a batch.

    Not from noise alone: a sample that begins another stroke than the demonstration did comes
    before a target that contradicts it, and teaches that the chunk before is not to be believed.

    Args:
        denoiser: As it is in the middle of its training.
        config: The policy's.
        moments: ``values`` of the batch at which the chunks begin.
        columns: (B, Dr), what is recalled there.
        chunk: (B, Tp, Da), the demonstrated ones, normalized.
        rows: (N,).
        generator: Source of the noise.
    """
    seen = denoiser.encode({name: value[rows] for name, value in moments["values"].items()})
    cond = torch.cat([seen, columns[rows.to(columns.device)]], dim=1)
    process, fixed = denoiser.forward_process(cond), denoiser.forward_process.fixed
    steps = timesteps_for(fixed, config.own_chunk_steps, denoiser.config.spacing)
    steps = timesteps_below(steps, process.num_timesteps, config.own_chunk_level)
    guess = chunk[rows.to(chunk.device)]
    bound = Denoiser(denoiser.unet, denoiser.config, process, cond)
    begun, random = WarmStart(process, guess), _on(cond.device, generator)
    return sample_ddim(begun, bound.predict_x0, tuple(guess.shape), random, steps).float()


def _on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return a generator there, that follows from this one."""
    if device.type == generator.device.type:
        return generator
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.Generator(device).manual_seed(seed)
