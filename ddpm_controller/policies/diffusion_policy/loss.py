"""What training a Diffusion Policy minimises: L_simple, and the bound where something else learns.

The denoiser learns from L_simple whatever adds the noise, a learned variance and a learned
schedule from the bound alone: the error of denoising falls when noise is left out.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ddpm_controller.diffusion.bound import bound_term, prior_term
from ddpm_controller.diffusion.chain import Chain
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import GaussianProcess, gaussian_of
from ddpm_controller.diffusion.losses import (
    masked_mean,
    row_means,
    simple_loss,
    variance_losses,
)
from ddpm_controller.diffusion.noise import standard_normal
from ddpm_controller.diffusion.targets import training_target, x0_from
from ddpm_controller.diffusion.timesteps import timesteps_for
from ddpm_controller.diffusion.variances import step_variance
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.denoiser import split_answer
from ddpm_controller.policies.diffusion_policy.prefix import network_input
from ddpm_controller.policies.diffusion_policy.process import PolicyProcess

Denoise = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""(xt (B, Tp, Da), t (B,), cond (B, Dc)) -> prediction and fraction of the variance, or None."""
SCHEDULE_SHARE = 4
"""Every so many rows of a batch teach a learned schedule, which has few weights."""


def spread_timesteps(
    num_timesteps: int, rows: int, draws: int, generator: torch.Generator
) -> Tensor:
    """Return uniform timesteps, (rows * draws,); those of one row spread evenly over the chain."""
    place = torch.rand(rows, draws, generator=generator)
    place = (torch.arange(draws) + place) / draws  # in [0, 1)
    t = (place * num_timesteps).long().flatten()
    return t.clamp(max=num_timesteps - 1)  # rounding can reach 1


def denoising_loss(
    denoise: Denoise,
    config: DiffusionPolicyConfig,
    process: ForwardProcess,
    x0: Tensor,
    t: Tensor,
    cond: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the denoiser's loss, a scalar, and the loss of each row, (B,) without a gradient.

    L_simple, and ``bound_weight`` times the bound with a detached mean where the variance is
    learned (Nichol & Dhariwal 2021, Eq. 16).

    Args:
        denoise: What is trained.
        config: What it predicts, and the weight of the bound.
        process: What adds the noise; no gradient reaches it.
        x0: (B, Tp, Da), normalized.
        t: (B,).
        cond: (B, Dc).
        mask: (B, Tp) bool, False where a row is padding or is given.
        generator: Source of the noise.
        weights: (B,) of the rows, where t was not drawn uniformly.
    """
    if isinstance(process, GaussianProcess):
        process = GaussianProcess(process.betas.detach())
    noise = standard_normal(tuple(x0.shape), generator).to(x0.device)
    xt = process.sample(x0, t, noise)
    answer, fraction = denoise(xt, t, cond)
    target = training_target(process, x0, xt, t, config.prediction)
    if weights is None and fraction is None:
        loss = simple_loss(answer, target, mask)
        return loss, loss.detach().expand(len(x0))
    rows = row_means((answer - target).square(), mask)
    if fraction is not None:
        rows = rows + config.bound_weight * variance_losses(
            process, x0, xt, t, answer, fraction, config.prediction, mask
        )
    weighted = rows if weights is None else rows * weights.to(rows)
    return weighted.mean(), rows.detach()


def schedule_loss(
    unet: Any,
    config: DiffusionPolicyConfig,
    forward_process: PolicyProcess,
    x0: Tensor,
    cond: Tensor,
    mask: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Return the full bound of a chain of ``bound_steps`` steps, nats per dimension, a scalar.

    L_T and K times the term of one step drawn for each row, L_0 among them. Its gradient reaches
    the schedule and nothing else, by way of x_t too: the denoiser is held, and given no rows.
    """
    x0, cond, mask = (each[::SCHEDULE_SHARE].detach() for each in (x0, cond, mask))
    timesteps = timesteps_for(forward_process.fixed, config.bound_steps, config.spacing)
    chain = Chain.of(forward_process(cond), tuple(x0.shape), timesteps)
    index = torch.randint(len(chain), (len(x0),), generator=generator).to(x0.device)
    noise = standard_normal(tuple(x0.shape), generator).to(x0.device)
    xt = chain.process.sample(x0, index, noise)
    held = {name: weight.detach() for name, weight in unet.named_parameters()}
    asked = timesteps.to(x0.device)[index]
    seen = network_input(xt, None) if config.prefix_rows else xt
    raw = functional_call(unet, held, (seen, asked, cond))
    answer, fraction = split_answer(raw, config.variance)
    predicted = x0_from(chain.process, answer, xt, index, config.prediction)
    if config.clip_x0:
        predicted = predicted.clamp(-1, 1)
    spread = step_variance(chain.process, index, x0, config.variance, fraction)
    if fraction is None:  # L_0 with beta_0, as ``policy_bound`` has it
        gaussian = gaussian_of(chain.process)
        first = (index == 0).reshape(-1, 1, 1)
        spread = torch.where(first, gaussian.at(gaussian.betas, index, x0), spread)
    terms = len(chain) * bound_term(chain.process, x0, predicted, index, spread)
    return masked_mean(terms + prior_term(chain.process, x0, generator), mask)
