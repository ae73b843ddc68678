"""The terms of the variational bound: what one step back, and the start, cost in nats."""

import torch
from torch import Tensor

from ddpm_controller.diffusion.decoders import gaussian_decoder
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import GaussianProcess, gaussian_of
from ddpm_controller.diffusion.noise import Generators, standard_normal
from ddpm_controller.diffusion.shaped import ShapedProcess
from ddpm_controller.diffusion.variances import step_variance


def prior_term(process: ForwardProcess, x0: Tensor, generator: Generators) -> Tensor:
    """Return L_T = KL(q(x_T | x_0) || p(x_T)) of x0 (B, ...), nats per element.

    Closed form for a Gaussian process. For a shaped one an estimate of one draw, whose elements
    have a meaning only together where the noise is coloured.
    """
    last = torch.full((len(x0),), process.num_timesteps - 1, device=x0.device)
    signal, spread = process.scales(last, x0)
    if not isinstance(process, ShapedProcess):
        remains = signal.square()
        return 0.5 * (remains * x0.square() - remains - torch.log1p(-remains))
    noise = standard_normal(tuple(x0.shape), generator).to(x0)
    xt = process.sample(x0, last, noise)
    # x_T is drawn as M(noise), without the factor of the noise in q.
    drawn = process.noise_from(xt * spread, torch.zeros_like(x0), last)
    forward = _log_normal(noise) - process.log_slope(noise, last) - spread.log()
    return forward - _log_normal(drawn) + process.log_slope(drawn, last)


def step_kl(
    process: ForwardProcess,
    x0: Tensor,
    predicted: Tensor,
    noise: Tensor,
    t: Tensor,
    variance: Tensor,
    generator: Generators,
) -> Tensor:
    """Return L_{t-1} at ``t`` (B,) >= 1, nats per element, (B, ...).

    In closed form for a Gaussian process; for a shaped one by ``shaped_kl``, whose fresh noise
    is drawn here. The others as there.
    """
    if isinstance(process, ShapedProcess):
        fresh = standard_normal(tuple(x0.shape), generator).to(x0)
        return shaped_kl(process, x0, predicted, noise.to(x0), fresh, t, variance)
    return gaussian_kl(gaussian_of(process), x0 - predicted, t, variance)


def gaussian_kl(process: GaussianProcess, error: Tensor, t: Tensor, variance: Tensor) -> Tensor:
    """Return KL(q(x_{t-1} | x_t, x_0) || N(mean of the predicted x_0, variance)), t >= 1.

    Both means differ by the x_0 that was missed, so ``error`` = x_0 - predicted x_0 (B, ...) is
    all that counts. Nats per element, (B, ...).
    """
    # At t = 0, where there is no such term, this is not 0: no infinite slope is left behind.
    exact = step_variance(process, t, error, "fixed_small")
    difference = process.posterior(error, torch.zeros_like(error), t)[0]
    ratio = (variance / exact).log()
    return 0.5 * (ratio - 1 + (exact + difference.square()) / variance)


def shaped_kl(
    process: ShapedProcess,
    x0: Tensor,
    predicted: Tensor,
    noise: Tensor,
    fresh: Tensor,
    t: Tensor,
    variance: Tensor,
) -> Tensor:
    """Estimate the KL of the step back from ``t`` >= 1 with one draw, nats per element.

    x_{t-1} = M(rho noise_t + g fresh) is drawn with the x_0 that is true and judged by the one
    that is predicted. Both densities are exact, taken in the space of N(0, I) noise, so they
    need the slope of the noise map; its colouring is the same in both and cancels.

    Args:
        process: The shaped process.
        x0: (B, ...).
        predicted: (B, ...), the denoiser's x_0 for x_t.
        noise: (B, ...), the N(0, I) noise of x_t.
        fresh: (B, ...), N(0, I).
        t: (B,).
        variance: Sigma_t of the step back, in terms of the Gaussian base.
    """
    renewed = process.renewal(t, x0)
    kept = (1 - renewed).sqrt()
    before = kept * noise + renewed.sqrt() * fresh
    sample = process.sample(x0, t - 1, before)
    judged = process.noise_from(sample, predicted, t - 1)
    centre = kept * process.noise_from(process.sample(x0, t, noise), predicted, t)
    share = variance / process.scales(t - 1, x0)[1].square()
    forward = _log_normal(fresh) - 0.5 * renewed.log() - process.log_slope(before, t - 1)
    backward = _log_normal((judged - centre) / share.sqrt()) - 0.5 * share.log()
    return forward - backward + process.log_slope(judged, t - 1)


def bound_term(
    process: ForwardProcess, x0: Tensor, predicted: Tensor, t: Tensor, variance: Tensor
) -> Tensor:
    """Return the term of each row's own ``t`` (B,): L_0 (Gaussian) at 0, else the KL. (B, ...).

    Raises:
        ValueError: If the process is shaped: its terms need the noise of x_t as well.
    """
    if isinstance(process, ShapedProcess):
        raise ValueError("a shaped process has no closed form: use variational_bound")
    error = x0 - predicted
    first = gaussian_decoder(x0, predicted, variance)
    is_first = (t == 0).reshape(-1, *[1] * (x0.ndim - 1))
    return torch.where(is_first, first, gaussian_kl(gaussian_of(process), error, t, variance))


def _log_normal(noise: Tensor) -> Tensor:
    """Log of N(0, 1) up to the constant, which cancels wherever this is used."""
    return -0.5 * noise.square()
