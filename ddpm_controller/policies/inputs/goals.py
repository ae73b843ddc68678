"""Goals: vector streams that say what is wanted; what was never trained for is refused."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from ddpm_controller.policies.inputs.training_range import ends_of
from ddpm_controller.types import StreamSpec

GoalRanges = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Stream -> its smallest and largest value in training, (D,) each."""
ROUNDING = 1e-6
"""By which a goal may be beyond, as a share of the numbers: they have been through float32."""


def refuse_goals(goal_streams: Sequence[str], streams: Sequence[StreamSpec]) -> None:
    """Raise ValueError unless every goal stream is a vector stream that the policy observes."""
    vectors = [each.name for each in streams if each.kind == "vector"]
    unknown = sorted(set(goal_streams) - set(vectors))
    if unknown:
        raise ValueError(f"goal_streams {unknown} must be among the vector streams {vectors}")


def goal_ranges_of(goal_streams: Sequence[str], normalizers: nn.ModuleDict) -> GoalRanges:
    """Return the range of every goal in training, as its normalizer knows it."""
    return {name: ends_of(normalizers[name]) for name in goal_streams}


def refuse_goal(
    name: str, values: np.ndarray, ranges: GoalRanges, elements: Sequence[str]
) -> None:
    """Raise unless values (..., D) of a goal are in the range of the training; others are free.

    Raises:
        ValueError: With the first element outside, its value and its range.
    """
    if name not in ranges:
        return
    low, high = ranges[name]
    margin = ROUNDING * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
    outside = (values < low - margin) | (values > high + margin)
    if outside.any():
        place = tuple(np.argwhere(outside)[0])
        column = int(place[-1])
        raise ValueError(
            f"goal {name!r}: {elements[column]} is {values[place]:g}, in training it was between "
            f"{low[column]:g} and {high[column]:g}; ask for something that was trained"
        )
