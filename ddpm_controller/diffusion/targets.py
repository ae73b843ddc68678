"""What a denoiser predicts, and how x_0 follows from it."""

from typing import Literal, get_args

from torch import Tensor

from ddpm_controller.diffusion.forward_process import ForwardProcess

Prediction = Literal["epsilon", "x0", "v"]
"""epsilon: the noise (Ho et al. 2020); x0: the clean sample; v: Salimans & Ho 2022, App. D."""

_PREDICTIONS = get_args(Prediction)

LEAST_SIGNAL = 1.01e-5
"""Factor of x_0 in x_t up to which the noise does not determine it; zero-terminal-SNR has 1e-5."""


def training_target(
    process: ForwardProcess, x0: Tensor, xt: Tensor, t: Tensor, prediction: Prediction
) -> Tensor:
    """Return what the denoiser should answer at ``t`` (B,). All others (B, ...).

    The noise is the one that ``xt`` has, (xt - signal x0) / spread: where a process shapes it, the
    shaped one.

    Raises:
        ValueError: If the prediction is unknown or the shapes do not fit.
    """
    _refuse(prediction, x0, xt, t)
    if prediction == "x0":
        return x0
    signal, spread = process.scales(t, x0)
    noise = (xt - signal * x0) / spread
    return noise if prediction == "epsilon" else signal * noise - spread * x0


def x0_from(
    process: ForwardProcess, answer: Tensor, xt: Tensor, t: Tensor, prediction: Prediction
) -> Tensor:
    """Return the x_0 that the denoiser's ``answer`` at ``t`` (B,) stands for. Others (B, ...).

    Raises:
        ValueError: If the prediction is unknown, the shapes do not fit, or the noise is predicted
            where no signal is left, as with ``schedules.zero_terminal_snr`` at T - 1.
    """
    _refuse(prediction, answer, xt, t)
    if prediction == "x0":
        return answer
    signal, spread = process.scales(t, xt)
    if prediction == "v":
        return signal * xt - spread * answer
    least = signal.item() if signal.numel() == 1 else float(signal.min())
    if least <= LEAST_SIGNAL:
        raise ValueError(
            f"prediction 'epsilon' determines nothing about x0 where the factor of x0 in xt is "
            f"{least:.3g}, at t = {int(t.max())}: predict 'v' or 'x0', or use a "
            "schedule or spacing that leaves more signal"
        )
    return (xt - spread * answer) / signal


def _refuse(prediction: str, values: Tensor, xt: Tensor, t: Tensor) -> None:
    if prediction not in _PREDICTIONS:
        raise ValueError(f"prediction {prediction!r} is unknown: use one of {list(_PREDICTIONS)}")
    if values.shape != xt.shape or t.shape not in (xt.shape[:1], (1,)):
        shapes = [tuple(each.shape) for each in (values, xt, t)]
        raise ValueError(f"two tensors (B, ...) and t (B,) do not fit: {shapes}")
