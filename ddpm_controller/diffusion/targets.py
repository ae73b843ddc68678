"""What a denoiser predicts, and how x_0 follows from it."""

from typing import Literal, get_args

from torch import Tensor

from ddpm_controller.diffusion.gaussian import GaussianProcess

Prediction = Literal["epsilon", "x0", "v"]
"""epsilon: the noise (Ho et al. 2020); x0: the clean sample; v: Salimans & Ho 2022, App. D."""


def training_target(
    process: GaussianProcess, x0: Tensor, noise: Tensor, t: Tensor, prediction: Prediction
) -> Tensor:
    """Return what the denoiser should answer at ``t`` (B,). All others (B, ...)."""
    if prediction == "epsilon":
        return noise
    if prediction == "x0":
        return x0
    if prediction == "v":
        signal, spread = process.scales(t, x0)
        return signal * noise - spread * x0
    raise ValueError(_unknown(prediction))


def x0_from(
    process: GaussianProcess, answer: Tensor, xt: Tensor, t: Tensor, prediction: Prediction
) -> Tensor:
    """Return the x_0 that the denoiser's ``answer`` at ``t`` (B,) stands for. Others (B, ...)."""
    if prediction == "x0":
        return answer
    signal, spread = process.scales(t, xt)
    if prediction == "epsilon":
        return (xt - spread * answer) / signal
    if prediction == "v":
        return signal * xt - spread * answer
    raise ValueError(_unknown(prediction))


def _unknown(prediction: str) -> str:
    return f"prediction {prediction!r} is unknown: use one of {list(get_args(Prediction))}"
