"""The range of numbers of which a few may be far away: these are cut, and do not widen it."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ddpm_controller.types import Episode, StreamSpec

_FEW_SHARE = 0.001
_FEWEST = 3
_LEAST_ROWS = 200
"""Fewer numbers do not show what is usual."""
_WIDTHS = 4.0
"""Widths of the usual range beyond it at which a number begins to be an outlier."""
_LEAST_DISTINCT = 50
"""A signal of fewer levels, as of a gripper that is open or closed, has no outliers."""


def robust_range(values: np.ndarray) -> tuple[float, float] | None:
    """Return the range (lowest, highest) without outliers; None: there are none.

    The usual range is between the numbers at which one in a thousand, and at least three, are
    beyond on either side. Outliers are further from it than four times its width; the range ends
    with the last number that is none.

    Args:
        values: (N,), finite.
    """
    beyond = max(_FEWEST, int(_FEW_SHARE * len(values)))
    if len(values) < _LEAST_ROWS:
        return None
    ordered = np.partition(values, [beyond, len(values) - 1 - beyond])
    low, high = float(ordered[beyond]), float(ordered[-1 - beyond])
    way = _WIDTHS * (high - low)
    usual = (values >= low - way) & (values <= high + way)
    if usual.all() or way == 0 or len(np.unique(values[usual])) < _LEAST_DISTINCT:
        return None
    return float(values[usual].min()), float(values[usual].max())


def bounded(
    episodes: Sequence[Episode], streams: Sequence[StreamSpec]
) -> tuple[list[Episode], list[str]]:
    """Return episodes with their outliers cut at the range of the others, and a line a column.

    A warning has each line. Positions are as they are: what a joint cannot have is left out when a
    recording is read.

    Args:
        episodes: All of a training.
        streams: What is observed.
    """
    lines: list[str] = []
    limits: dict[str, dict[int, tuple[float, float]]] = {}
    for stream in streams:
        if stream.kind != "vector" or stream.holds:
            continue
        joined = np.concatenate([each.values[stream.name] for each in episodes])
        for column, (name, unit) in enumerate(zip(stream.names, stream.units, strict=True)):
            if unit in ("rad", "m") or not np.isfinite(joined[:, column]).all():
                continue
            if (found := robust_range(joined[:, column])) is None:
                continue
            low, high = found
            count = int(((joined[:, column] < low) | (joined[:, column] > high)).sum())
            lines.append(
                f"{stream.name} {name}: {count} of {len(joined)} numbers are beyond {low:.4g} to "
                f"{high:.4g} {unit}, as far as {joined[:, column].min():.4g} and "
                f"{joined[:, column].max():.4g}"
            )
            limits.setdefault(stream.name, {})[column] = found
    for line in lines:
        warnings.warn(f"{line}: cut there, so that the range is of the others", stacklevel=2)
    return [_cut(each, limits) for each in episodes] if limits else list(episodes), lines


def _cut(episode: Episode, limits: Mapping[str, Mapping[int, tuple[float, float]]]) -> Episode:
    values = dict(episode.values)
    for name, columns in limits.items():
        values[name] = values[name].copy()
        for column, (low, high) in columns.items():
            values[name][:, column] = np.clip(values[name][:, column], low, high)
    return replace(episode, values=values)
