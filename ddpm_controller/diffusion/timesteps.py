"""Which timesteps a shorter chain visits."""

from typing import Literal, get_args

import torch
from torch import Tensor

from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import gaussian_of

Spacing = Literal["leading", "trailing", "linspace", "karras", "signal"]
"""leading keeps t = 0 and leaves out the noisiest, trailing keeps t = T - 1, linspace keeps both
(Lin et al. 2024, Table 2); karras: Karras et al. 2022, Eq. 5, dense where there is little noise;
signal: as trailing, from the noisiest timestep at which ``LEAST_START_SIGNAL`` is left, for one to
three steps.
"""

KARRAS_RHO = 7.0
LEAST_START_SIGNAL = 0.1
"""Factor of x_0 in x_t from which ``signal`` starts. Where less is left, the error of a predicted
noise is more than ten times as large in x_0; N(0, I) is still nearly what x_t is there."""


def timesteps_for(
    process: ForwardProcess, num_inference_steps: int, spacing: Spacing = "leading"
) -> Tensor:
    """Choose which timesteps of ``process`` a shorter chain visits. (K,) int64, ascending.

    Raises:
        ValueError: If there are more inference than training steps or none, or the spacing is
            unknown.
    """
    if spacing in ("karras", "signal"):
        _refuse_steps(process.num_timesteps, num_inference_steps)
        by_noise = _karras if spacing == "karras" else _from_signal
        return by_noise(process, num_inference_steps)
    return spaced_timesteps(process.num_timesteps, num_inference_steps, spacing)


def spaced_timesteps(
    num_train_timesteps: int, num_inference_steps: int, spacing: Spacing = "leading"
) -> Tensor:
    """Choose timesteps by their number alone, ascending. (K,) int64.

    An epsilon denoiser knows little about x_0 at T - 1, so ``leading`` suits it. One step of
    ``linspace`` is T - 1, where sampling starts.

    Raises:
        ValueError: If there are more inference than training steps or none, or the spacing is
            unknown or needs the noise levels.
    """
    _refuse_steps(num_train_timesteps, num_inference_steps)
    steps = torch.arange(num_inference_steps, dtype=torch.float64)
    stride = num_train_timesteps / num_inference_steps
    if spacing == "leading":
        return (steps * stride).floor().long()
    if spacing == "trailing":
        return ((steps + 1) * stride).round().long() - 1
    if spacing == "linspace":
        if num_inference_steps == 1:
            return torch.tensor([num_train_timesteps - 1])
        return (steps * ((num_train_timesteps - 1) / (num_inference_steps - 1))).round().long()
    if spacing in ("karras", "signal"):
        raise ValueError(
            f"spacing {spacing!r} needs the noise levels: use timesteps_for(process, ...)"
        )
    raise ValueError(f"spacing {spacing!r} is unknown: use one of {list(get_args(Spacing))}")


def _from_signal(process: ForwardProcess, num_inference_steps: int) -> Tensor:
    """As many timesteps, evenly, up to the noisiest that still has ``LEAST_START_SIGNAL``."""
    signal = gaussian_of(process).alpha_bar.detach().cpu().sqrt()
    signal = signal.flatten(1).mean(1) if signal.ndim > 1 else signal  # (T,)
    informed = int((signal >= LEAST_START_SIGNAL).sum())
    # A chain of more steps than that reaches as much further as it needs.
    return spaced_timesteps(max(informed, num_inference_steps), num_inference_steps, "trailing")


def _karras(process: ForwardProcess, num_inference_steps: int) -> Tensor:
    """The timesteps whose log sigma is nearest to Karras et al. 2022, Eq. 5, all distinct."""
    alpha_bar = gaussian_of(process).alpha_bar.detach().cpu()
    log_sigma = 0.5 * (torch.log1p(-alpha_bar) - alpha_bar.log())  # sigma = spread / signal
    log_sigma = log_sigma.flatten(1).mean(1) if log_sigma.ndim > 1 else log_sigma  # (T,)
    ends = (log_sigma[[0, -1]] / KARRAS_RHO).exp()
    ramp = torch.arange(num_inference_steps, dtype=torch.float64) / max(num_inference_steps - 1, 1)
    ramp = 1 - ramp.flip(0)  # one step is the noisiest
    wanted = KARRAS_RHO * torch.log(ends[0] + ramp * (ends[1] - ends[0]))  # (K,)
    nearest = (log_sigma[:, None] - wanted).abs().argmin(0)
    # Where several are nearest to one timestep they move up, and down again from the last one.
    order = torch.arange(num_inference_steps)
    room = process.num_timesteps - num_inference_steps
    return (nearest - order).cummax(0).values.clamp(max=room) + order


def _refuse_steps(num_train_timesteps: int, num_inference_steps: int) -> None:
    if not 1 <= num_inference_steps <= num_train_timesteps:
        raise ValueError(
            f"num_inference_steps must be between 1 and num_train_timesteps = "
            f"{num_train_timesteps}, got {num_inference_steps}"
        )
