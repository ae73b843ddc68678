"""Recorded noise against models of it, in one picture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RECORDED = "recorded"
_COLORS = ("C7", "C0", "C3", "C2")


def draw_noise(
    path: Path,
    title: str,
    held_out: Mapping[str, float],
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    frequencies_hz: np.ndarray,
    period_s: float,
    probabilities: np.ndarray,
) -> None:
    """Draw likelihood, memory, tails and spectrum of one column of noise.

    Args:
        path: Where the PNG is written.
        title: Above all.
        held_out: Model -> nats per number on held-out recordings.
        curves: ``recorded`` and each model -> autocorrelation (Tp,), quantiles (Q,) in
            deviations, and power (F,).
        frequencies_hz: (F,).
        period_s: Time between rows.
        probabilities: (Q,) of the quantiles.
    """
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    figure.suptitle(title)
    bars, memory, tails, power = figure.subplots(1, 4)
    colors = dict(zip(held_out, _COLORS, strict=False)) | {RECORDED: "k"}
    _draw_bars(bars, held_out, colors)
    for name, (lags, quantiles, density) in curves.items():
        style = "o" if name == RECORDED else "-"
        look = {"color": colors[name], "label": name, "markersize": 3}
        memory.plot(np.arange(len(lags)) * period_s, lags, style, **look)
        tails.plot(curves[RECORDED][1], quantiles, style, **look)
        power.plot(frequencies_hz[1:], density[1:], style, **look)
    tails.set(xlabel="recorded quantile, deviations", ylabel="quantile, deviations")
    tails.set_title(f"tails, {probabilities[0]:g} to {probabilities[-1]:g}")
    memory.set(xlabel="lag, s", title="autocorrelation")
    power.set(xlabel="Hz", yscale="log", title="power density")
    memory.legend(fontsize=7)
    for axes in (memory, tails, power):
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_bars(axes: Axes, held_out: Mapping[str, float], colors: Mapping[str, str]) -> None:
    names = list(held_out)
    values = [held_out[name] for name in names]
    # From the worst down: nats have no natural 0, since they depend on the unit.
    worst = max(values)
    axes.bar(names, [worst - value for value in values], color=[colors[n] for n in names])
    for place, value in enumerate(values):
        axes.text(place, worst - value, f"{value:.3f}", ha="center", va="bottom", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.set(title="held out: nats per number better\nthan the worst (figure: its NLL)")
    axes.margins(y=0.15)
