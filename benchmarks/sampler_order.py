"""How fast the error of each deterministic sampler falls with its steps, against a fine reference.

The data are a Gaussian mixture, whose denoiser is known exactly, so that nothing but the sampler
is to blame. The steps are even in log(signal / spread). Each sampler starts from the same noise;
the error is the root mean square distance of its samples to those of 2048 steps of UniPC.

    python benchmarks/sampler_order.py --picture docs/pictures/sampler_order.png
"""

import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ddpm_controller.diffusion.chain import PredictX0
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.samplers import SAMPLERS
from ddpm_controller.diffusion.timesteps import spaced_timesteps

CLAIMED = {"ddim": 1, "dpm_solver_pp_2m": 2, "heun": 2, "edm": 2, "unipc": 3}
FINEST = 2048
STEPS = (4, 8, 16, 32, 64, 128, 256)
MEANS, SPREADS, WEIGHTS = (-0.6, 0.5), (0.3, 0.2), (0.25, 0.75)


@dataclass(frozen=True)
class Options:
    """Measure the order of every deterministic sampler.

    Attributes:
        picture: Where to write the picture.
        samples: Starts that are averaged over.
    """

    picture: Path = Path("docs/pictures/sampler_order.png")
    samples: int = 200


def exact_denoiser(process: GaussianProcess) -> PredictX0:
    """Return E[x_0 | x_t] of the mixture."""
    means, spreads, weights = (
        torch.tensor(each)[:, None, None] for each in (MEANS, SPREADS, WEIGHTS)
    )

    def predict_x0(xt: Tensor, t: Tensor) -> Tensor:
        signal, noise = process.scales(t, xt)
        total = (signal * spreads).square() + noise.square()  # (2, B, 1)
        distance = (xt - signal * means).square() / total
        share = (weights.log() - 0.5 * (distance + total.log())).softmax(0)
        centre = means + signal * spreads.square() / total * (xt - signal * means)
        return (share * centre).sum(0)

    return predict_x0


def samples_of(process: GaussianProcess, name: str, steps: int, count: int) -> Tensor:
    """Return (count, 1)."""
    timesteps = spaced_timesteps(process.num_timesteps, steps + 1, "linspace")
    generator = torch.Generator().manual_seed(0)
    return SAMPLERS[name](process, exact_denoiser(process), (count, 1), generator, timesteps)


def measured(options: Options) -> dict[str, list[float]]:
    """Return the errors of each sampler at ``STEPS``."""
    log_snr = torch.linspace(3.0, -2.5, FINEST + 1)
    process = GaussianProcess.from_alpha_bar(torch.sigmoid(2 * log_snr))
    reference = samples_of(process, "unipc", FINEST, options.samples)

    def error(name: str, steps: int) -> float:
        found = samples_of(process, name, steps, options.samples)
        return (found - reference).square().mean().sqrt().item()

    return {name: [error(name, steps) for steps in STEPS] for name in CLAIMED}


def order(errors: list[float]) -> float:
    """Return the slope of the last three points."""
    return math.log2(errors[-3] / errors[-1]) / 2


def table_of(errors: dict[str, list[float]]) -> Table:
    """Return errors, measured and claimed orders."""
    table = Table("sampler", *map(str, STEPS), "order", "claimed", title="error at so many steps")
    for name, found in errors.items():
        table.add_row(
            name, *(f"{each:.1e}" for each in found), f"{order(found):.2f}", str(CLAIMED[name])
        )
    return table


def draw(errors: dict[str, list[float]], path: Path) -> None:
    """Write the picture."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, found in errors.items():
        label = f"{name}: order {order(found):.2f}, claimed {CLAIMED[name]}"
        axes.loglog(STEPS, found, marker="o", label=label, base=2)
    axes.set_yscale("log", base=10)
    axes.set(
        xlabel="steps (heun and edm ask the denoiser twice in each)",
        ylabel="rms error of the sample",
    )
    axes.set_title("Exact denoiser of a Gaussian mixture, float64")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options, description=__doc__)
    torch.set_default_dtype(torch.float64)
    errors = measured(options)
    Console(width=110).print(table_of(errors))
    draw(errors, options.picture)
    print(f"wrote {options.picture}")


if __name__ == "__main__":
    main()
