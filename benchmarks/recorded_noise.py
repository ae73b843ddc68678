"""What matched noise is worth: likelihood of recorded residuals, and denoising with it.

Synthetic noise is AR(1) of 0.9 and deviation 0.25 with 5 % spikes of deviation 1.5 added; the real
one is that of a Franka arm (optional: a MATLAB file, see ``ddpm fit-noise --help``). Every
denoiser is the same network with the same updates on the same smooth signals; only the noise
that it is trained with differs. Run: python benchmarks/recorded_noise.py
"""

import itertools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ddpm_controller.diffusion.recorded.noise_fit import (
    GaussianNoise,
    NoiseShape,
    fit_full_covariance,
    fit_noise,
    fit_white,
    nats_per_number,
)
from ddpm_controller.identification.noise_recordings import residuals_of_matlab
from ddpm_controller.identification.residuals import ResidualChoice, chunks_of, hold_out
from ddpm_controller.identification.state_denoising import train_state_denoiser

ROWS, MEMORY, SLOW, RATE, SPIKE = 16, 0.9, 0.25, 0.05, 1.5
MODELS = ("white Gaussian", "full covariance", "fitted")
RESAMPLED = "recorded chunks"
"""The recordings that were fitted, drawn as they are: no likelihood, but no model either."""
REFERENCE_NATS = (0.546, 0.464, -0.246)
REFERENCE_RMSE = (0.420, 0.282, 0.271, 0.237)
SMOOTHNESS = 6.0  # rows over which the clean signal stays alike
MOST_SPIKES = 3  # in a chunk, 99 % have no more
POOL = 20_000  # chunks of noise that a denoiser is trained with


@dataclass(frozen=True)
class Options:
    """Print both tables and draw them.

    Attributes:
        recording: MATLAB file of a real arm; left out where it is not.
        output: Picture.
        num_steps: Updates of each denoiser.
    """

    recording: Path = Path("../shared/data/panda_comanip_real/symbol_data.mat")
    output: Path = Path("docs/pictures/recorded_noise.png")
    num_steps: int = 1500


@dataclass(frozen=True, eq=False)
class Data:
    """Chunks (B, ROWS, D) to fit and to judge by, and what they are."""

    name: str
    fitting: Tensor
    held: Tensor
    shape: NoiseShape


def spiky(num_chunks: int, seed: int) -> Tensor:
    """Draw synthetic noise, (B, ROWS, 1)."""
    generator = torch.Generator().manual_seed(seed)
    fresh = torch.randn(num_chunks, ROWS, generator=generator).double() * SLOW
    rows = [fresh[:, 0]]
    for row in range(1, ROWS):
        rows.append(MEMORY * rows[-1] + math.sqrt(1 - MEMORY**2) * fresh[:, row])
    struck = torch.rand(num_chunks, ROWS, generator=generator) < RATE
    knocks = SPIKE * torch.randn(num_chunks, ROWS, generator=generator)
    return (torch.stack(rows, 1) + struck * knocks)[..., None]


def franka(path: Path, field: str) -> Data:
    """Read the residuals of a real arm; the last two of six recordings judge."""
    residuals = residuals_of_matlab(path, ResidualChoice(field=field, window=31))  # type: ignore[arg-type]
    training, judging = hold_out(residuals, 0.33, ROWS)
    fitting, held = (
        torch.from_numpy(chunks_of(part, ROWS, hop))
        for part, hop in ((training, 4), (judging, 16))
    )
    return Data(f"Franka {field}", fitting, held, NoiseShape(6))


def kernel() -> Tensor:
    """Return the covariance of the clean signal, (ROWS, ROWS)."""
    lags = torch.arange(ROWS).double()
    return (-0.5 * ((lags[:, None] - lags) / SMOOTHNESS).square()).exp()


def clean_signals(num_chunks: int, columns: int, seed: int) -> Tensor:
    """Draw smooth signals of variance 1, (B, ROWS, D)."""
    generator = torch.Generator().manual_seed(seed)
    factor = torch.linalg.cholesky(kernel() + 1e-8 * torch.eye(ROWS).double())
    return factor @ torch.randn(num_chunks, ROWS, columns, generator=generator).double()


def samplers(data: Data) -> dict[str, tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]]:
    """Fit every model; return name -> log density and a map from N(0, I) to its noise."""
    fitted = fit_noise(data.fitting, data.shape)
    gaussians: list[GaussianNoise] = [fit_white(data.fitting), fit_full_covariance(data.fitting)]
    found: dict[str, tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]] = {
        name: (each.log_density, each.transformed)
        for name, each in zip(MODELS, gaussians, strict=False)
    }

    def matched(noise: Tensor) -> Tensor:
        return fitted.mean + fitted.scale * fitted.noise_map.forward(noise)

    return found | {MODELS[2]: (fitted.log_density, matched)}


def root_mean_square(error: Tensor) -> float:
    """Return the root of the mean square."""
    return float(error.square().mean().sqrt())


def denoised(data: Data, models: dict, scale: Tensor, num_steps: int) -> dict[str, float]:
    """Return name -> RMSE on held-out noise, in deviations of ``scale`` for a real arm."""
    columns = data.held.shape[-1]
    clean = clean_signals(len(data.held), columns, 1)
    noisy = clean + data.held / scale
    found = {"raw": root_mean_square(noisy - clean)}
    training = clean_signals(20_000, columns, 2).float()
    generator = torch.Generator().manual_seed(3)
    white = torch.randn(POOL, ROWS, columns, generator=generator, dtype=torch.float64)
    pools = {name: transformed(white) for name, (_, transformed) in models.items()}
    pools[RESAMPLED] = data.fitting
    for name, drawn in pools.items():

        def draw(count: int, source: torch.Generator, pool: Tensor = drawn) -> Tensor:
            return pool[torch.randint(len(pool), (count,), generator=source)] / scale

        network = train_state_denoiser(training, draw, num_steps=num_steps)
        with torch.no_grad():
            found[name] = root_mean_square(network(noisy.float()).double() - clean)
    return found


def bayes(num_chunks: int) -> float:
    """Return the least RMSE possible for the synthetic noise, by enumeration of spike patterns.

    Given where spikes are, signal and noise are Gaussian: the best estimate is the mean of the
    linear ones, weighted by each pattern's evidence. No importance weights can degenerate.
    """
    lags = torch.arange(ROWS).double()
    slow = SLOW**2 * MEMORY ** (lags[:, None] - lags).abs()
    counts = range(MOST_SPIKES + 1)
    places = [p for n in counts for p in itertools.combinations(range(ROWS), n)]
    struck = torch.zeros(len(places), ROWS).double()
    for number, where in enumerate(places):
        struck[number, list(where)] = 1.0
    covariance = kernel() + slow + torch.diag_embed(SPIKE**2 * struck)
    precision = torch.linalg.inv(covariance)
    amount = struck.sum(1)
    prior = amount * math.log(RATE) + (ROWS - amount) * math.log(1 - RATE)
    prior = prior - 0.5 * torch.linalg.slogdet(covariance)[1]
    clean, noise = clean_signals(num_chunks, 1, 1)[..., 0], spiky(num_chunks, 5)[..., 0]
    whitened = torch.einsum("pij,bj->pbi", precision, clean + noise)
    evidence = prior[:, None] - 0.5 * (whitened * (clean + noise)).sum(-1)
    weights = evidence.softmax(0)  # (P, B)
    estimate = torch.einsum("pb,pbi->bi", weights, whitened) @ kernel()
    return root_mean_square(estimate - clean)


def main() -> int:
    """Print both tables and write the picture."""
    options, console = tyro.cli(Options), Console(width=110)
    torch.set_num_threads(1)
    sets = [Data("synthetic", spiky(6000, 0), spiky(3000, 5), NoiseShape(3))]
    if options.recording.exists():
        sets += [franka(options.recording, field) for field in ("position", "force", "velocity")]
    likelihood = Table(title="held-out NLL, nats per number")
    rmse = Table(
        title="denoising: RMSE on held-out noise (a real arm's in deviations of its noise)"
    )
    for table, columns in (
        (likelihood, ("noise", *MODELS)),
        (rmse, ("noise", "raw", *MODELS, RESAMPLED, "Bayes")),
    ):
        for column in columns:
            table.add_column(column, justify="right")
    likelihood.add_row("reference figures", *(f"{x:.3f}" for x in REFERENCE_NATS))
    rmse.add_row("reference figures", *(f"{x:.3f}" for x in REFERENCE_RMSE), "-", "-")
    nats, errors = {}, {}
    for data in sets:
        models = samplers(data)
        found = {
            name: nats_per_number(density, data.held) for name, (density, _) in models.items()
        }
        real = data is not sets[0]
        scale = data.fitting.flatten(0, 1).std(0) / 0.42 if real else torch.ones(1).double()
        errors[data.name] = denoised(data, models, scale, options.num_steps)
        nats[data.name] = found
        best = "-" if real else f"{bayes(1000):.3f}"
        likelihood.add_row(data.name, *(f"{x:.3f}" for x in found.values()))
        rmse.add_row(data.name, *(f"{x:.3f}" for x in errors[data.name].values()), best)
    console.print(likelihood)
    console.print(rmse)
    draw(options.output, nats, errors)
    return 0


def draw(path: Path, nats: dict, errors: dict) -> None:
    """Draw both tables as bars."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, name in enumerate((*MODELS, RESAMPLED)):
        places = np.arange(len(nats)) + 0.2 * (number - 1.5)
        gains = [each[MODELS[0]] - each.get(name, math.nan) for each in nats.values()]
        left.bar(places, gains, 0.19, label=name)
        right.bar(places, [each[name] / each["raw"] for each in errors.values()], 0.19)
    left.set(title="held out: nats per number better than white", ylabel="nats")
    right.set(title="denoising: error left, as a share of the noise")
    for axes in (left, right):
        axes.set_xticks(np.arange(len(nats)), list(nats))
        axes.grid(alpha=0.3, axis="y")
    left.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
