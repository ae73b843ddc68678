"""Noise fitted to recordings and judged on others: everything that is printed and drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.diffusion.recorded.noise_fit import (
    FittedNoise,
    GaussianNoise,
    NoiseShape,
    choose_shape,
    fit_full_covariance,
    fit_noise,
    fit_white,
    nats_per_number,
)
from ddpm_controller.diffusion.recorded.recorded_noise import RecordedNoise
from ddpm_controller.identification.noise_statistics import (
    autocorrelation,
    energy_test,
    excess_kurtosis,
    spectrum,
)
from ddpm_controller.identification.residuals import ResidualError, Residuals, chunks_of, hold_out

WHITE, FULL, FITTED = "white Gaussian", "full covariance", "fitted"
TRAINING = "the recordings fitted"
"""No model of these recordings can be expected to be nearer to the held-out ones than they."""
_MOST_CHUNKS = 400
"""Size of each sample in the two-sample test; more would take long and show no more."""
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Look:
    """What a set of chunks looks like.

    Attributes:
        autocorrelation: (Tp, D).
        excess_kurtosis: (D,).
        quantiles: (Q, D) of the values divided by their deviation.
        power: (F, D), units squared per Hz.
    """

    autocorrelation: np.ndarray
    excess_kurtosis: np.ndarray
    quantiles: np.ndarray
    power: np.ndarray


@dataclass(frozen=True)
class NoiseReport:
    """A fit and how it compares where it was not fitted.

    Attributes:
        noise: The fit on the training part.
        shape: What was fitted.
        shape_scores: Shape -> nats per number on the last part of the training recordings.
        held_out: Model -> nats per number on the held-out part.
        energy: Model, and the recordings that were fitted themselves -> energy distance to the
            held-out chunks and frequency by chance.
        looks: ``recorded`` and each model -> what it looks like.
        frequencies_hz: (F,) of the spectra.
        num_fitted: Chunks that were fitted, overlapping.
        num_held_out: Chunks that were held out, not overlapping.
    """

    noise: RecordedNoise
    shape: NoiseShape
    shape_scores: dict[NoiseShape, float]
    held_out: dict[str, float]
    energy: dict[str, tuple[float, float]]
    looks: dict[str, Look]
    frequencies_hz: np.ndarray
    num_fitted: int
    num_held_out: int


QUANTILES = np.array([0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999])


def report_on(
    residuals: Sequence[Residuals],
    shapes: Sequence[NoiseShape],
    *,
    num_rows: int = 16,
    held_out: float = 0.33,
    seed: int = 0,
    on_progress: OnProgress = lambda done, total: None,
) -> NoiseReport:
    """Choose a shape and fit it on the first recordings, and judge it by the last ones.

    The shape is chosen within the first ones too, so that nothing is fitted to what judges.

    Raises:
        ResidualError: If recordings are too few, too short or unlike, or a column never changes.
    """
    if not residuals:
        raise ResidualError("no recording is long enough; record longer")
    training, judging = hold_out(residuals, held_out, num_rows)
    hop = max(num_rows // 4, 1)
    fitting = _tensor(chunks_of(training, num_rows, hop))
    held = _tensor(chunks_of(judging, num_rows, num_rows))
    if min(len(fitting), len(held)) < 2:
        raise ResidualError(
            f"{len(fitting)} chunks to fit and {len(held)} to judge by are too few, each needs 2: "
            f"record more, or ask for less than the {num_rows} rows of a chunk"
        )
    _refuse_still(fitting, training[0])
    total = len(shapes) + 1
    scores: dict[NoiseShape, float] = {}
    shape = shapes[0]
    if len(shapes) > 1:
        first, last = hold_out(training, held_out, num_rows)
        shape, scores = choose_shape(
            _tensor(chunks_of(first, num_rows, hop)),
            _tensor(chunks_of(last, num_rows, num_rows)),
            shapes,
            lambda done, _: on_progress(done, total),
        )
    fitted = fit_noise(fitting, shape)
    on_progress(total, total)
    gaussians = {WHITE: fit_white(fitting), FULL: fit_full_covariance(fitting)}
    noise = recorded_noise(fitted, training[0])
    return _report(noise, fitted, gaussians, fitting, held, scores, seed)


def recorded_noise(fitted: FittedNoise, like: Residuals) -> RecordedNoise:
    """Return a fit with the names, units and rate of its residuals."""
    return RecordedNoise(
        like.names, like.units, like.period_s, fitted.mean, fitted.scale, fitted.noise_map
    )


def _report(
    noise: RecordedNoise,
    fitted: FittedNoise,
    gaussians: dict[str, GaussianNoise],
    fitting: Tensor,
    held: Tensor,
    scores: dict[NoiseShape, float],
    seed: int,
) -> NoiseReport:
    generator = torch.Generator().manual_seed(seed)
    shape = (max(len(held), 2000), *held.shape[1:])
    drawn = {
        name: each.transformed(torch.randn(shape, generator=generator, dtype=torch.float64))
        for name, each in gaussians.items()
    }
    drawn[FITTED] = noise.sample(shape[0], shape[1], generator)
    compared = {**drawn, TRAINING: _some(fitting[::4])}  # four overlap
    densities = {name: each.log_density for name, each in gaussians.items()}
    densities[FITTED] = noise.log_density
    frequencies_hz, _ = spectrum(held.numpy(), noise.period_s)
    return NoiseReport(
        noise=noise,
        shape=fitted.shape,
        shape_scores=scores,
        held_out={name: nats_per_number(density, held) for name, density in densities.items()},
        energy={
            name: energy_test(_some(held).numpy(), _some(each).numpy(), seed=seed)
            for name, each in compared.items()
        },
        looks={
            name: _look(each.numpy(), noise.period_s)
            for name, each in {"recorded": held, **drawn}.items()
        },
        frequencies_hz=frequencies_hz,
        num_fitted=len(fitting),
        num_held_out=len(held),
    )


def _some(chunks: Tensor) -> Tensor:
    """Return at most so many chunks, evenly over all."""
    every = -(-len(chunks) // _MOST_CHUNKS)
    return chunks[::every]


def _look(chunks: np.ndarray, period_s: float) -> Look:
    rows = chunks.reshape(-1, chunks.shape[-1])
    return Look(
        autocorrelation(chunks),
        excess_kurtosis(chunks),
        np.quantile(rows / rows.std(axis=0), QUANTILES, axis=0),
        spectrum(chunks, period_s)[1],
    )


def _refuse_still(chunks: Tensor, like: Residuals) -> None:
    still = [
        name
        for name, each in zip(like.names, chunks.flatten(0, 1).std(0), strict=True)
        if each == 0
    ]
    if still:
        moving = [name for name in like.names if name not in still]
        raise ResidualError(
            f"the residual of {still} never changes, so it has no noise: choose the others, "
            f"{moving}"
        )


def _tensor(chunks: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(chunks, dtype=np.float64))
