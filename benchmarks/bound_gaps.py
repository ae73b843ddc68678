"""How far the bound lies above the true likelihood, by schedule, timesteps and variance.

A mixture of two modes and its exact denoiser, by quadrature: nothing is trained or sampled, so
the figures are the same on every machine. Nats per dimension, ours / the reference figure.

    python benchmarks/bound_gaps.py
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

# The mixtures and integrals are those of the tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "test" / "diffusion"))

from exact_bounds import TWO_MODES, Spread, entropy, exact_gap
from reference_gaps import BY_VARIANCE, GAMMA_ENDS, schedule_of

SPREADS: tuple[Spread, ...] = ("fixed_small", "fixed_large", "average", "pointwise")


@dataclass(frozen=True)
class Options:
    """Print the table of gaps.

    Attributes:
        nodes: Of the trapezoid rule at every timestep; 201 have converged to 1e-8.
    """

    nodes: int = 201


def beside(ours: float, reference: float | None) -> str:
    """Return "ours / reference (difference in %)"; a gap of about 0 has no percentage."""
    if reference is None:
        return f"{ours:.4f} / ~0"
    return f"{ours:.3f} / {reference:.3f} ({100 * (ours / reference - 1):+.0f} %)"


def main() -> int:
    """Compute every gap and print the table."""
    options = tyro.cli(Options)
    table = Table(title="gap above the true likelihood, nats per dimension, ours / reference")
    columns = ("fixed small", "fixed large", "best of each t", "best at each x_t")
    for column in ("schedule", "T", *columns):
        table.add_column(column, justify="right")
    for (name, steps), reference in BY_VARIANCE.items():
        process = schedule_of(name, steps)
        gaps = [float(exact_gap(TWO_MODES, process, each, options.nodes)) for each in SPREADS]
        cells = [beside(*pair) for pair in zip(gaps, reference, strict=True)]
        table.add_row(name, str(steps), *cells)
    console = Console(width=130)
    console.print(table)
    modes = zip(TWO_MODES.weights, TWO_MODES.means[:, 0], TWO_MODES.stds[:, 0], strict=True)
    data = " + ".join(f"{w:.2f} N({mean:.2f}, {std:.2f}^2)" for w, mean, std in modes)
    console.print(f"data {data}, true likelihood {float(entropy(TWO_MODES)):.4f} nats")
    console.print(f"linear in gamma: from {GAMMA_ENDS[0]} to {GAMMA_ENDS[1]}, fitted as the data")
    return 0


if __name__ == "__main__":
    sys.exit(main())
