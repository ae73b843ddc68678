"""How likely a Diffusion Policy finds a chunk: the bound of its own chain, in physical units."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ddpm_controller.diffusion.bound import (
    Bound,
    Decoder,
    gaussian_decoder,
    gaussian_decoder_of,
    tick_decoder,
    variational_bound,
)
from ddpm_controller.diffusion.gaussian import gaussian_of
from ddpm_controller.diffusion.timesteps import timesteps_for
from ddpm_controller.diffusion.variances import Variance
from ddpm_controller.policies.diffusion_policy.denoiser import Denoiser
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork


def policy_bound(
    network: DiffusionPolicyNetwork,
    batch: Mapping[str, Any],
    generator: torch.Generator,
    *,
    num_steps: int | None = None,
    variance: Variance | None = None,
    ticks: Tensor | None = None,
    draws: int = 1,
    recalled: Tensor | None = None,
) -> Bound:
    """Return the bound on -log p(actions | observations), nats in physical units.

    Ho et al. 2020, Eq. 5, term by term; a chunk's rows beyond the episode do not count. L_0 of a
    fixed variance has beta_0, which is near the best, where the steps' own would be half of it.

    Args:
        network: The policy's.
        batch: ``values``, ``actions`` and ``mask`` as training takes them.
        generator: Source of all noise.
        num_steps: Number of steps of the chain, spaced as in the config; None: every timestep.
        variance: Variance of the steps back, in place of the config's.
        ticks: (Da,), widths of encoder counts in SI units: bounds the probability of the counts
            and not the density.
        draws: Noises per chunk and timestep.
        recalled: (B, Dr), the last columns of the condition.
    """
    config = network.config
    cond = network.condition(batch["values"], recalled)
    process = network.forward_process(cond)
    denoiser = Denoiser(network.unet, config, process, cond)
    steps = num_steps or config.num_train_timesteps
    timesteps = timesteps_for(network.forward_process.fixed, steps, config.spacing)
    kind = variance or config.variance
    half_range = network.action_normalizer.half_range
    decoder: Decoder = gaussian_decoder
    if ticks is not None:
        decoder = tick_decoder(ticks / half_range)
    elif kind != "learned_range":
        decoder = gaussian_decoder_of(gaussian_of(process).respaced(timesteps).betas[0])
    return variational_bound(
        process,
        denoiser.predict_x0,
        network.normalized_actions(batch),
        generator,
        timesteps=timesteps,
        variance=kind,
        predict_fraction=denoiser.predict_fraction if kind == "learned_range" else None,
        decoder=decoder,
        log_scale=half_range.log() if ticks is None else torch.zeros_like(half_range),
        mask=batch["mask"],
        draws=draws,
    )
