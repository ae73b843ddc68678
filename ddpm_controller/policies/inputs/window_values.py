"""Windows of observations as the tensors that a network takes; what does not fit is refused."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.policies.inputs.goals import GoalRanges, refuse_goal
from ddpm_controller.policy import Window
from ddpm_controller.types import StreamSpec


def window_values(
    windows: Sequence[Window],
    streams: Sequence[StreamSpec],
    n_obs_steps: int,
    goal_ranges: GoalRanges,
    maskable: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Return {stream: (B, To, ...)} of B windows; what is masked in them means nothing.

    Args:
        windows: Windows of observations.
        streams: Streams that are needed.
        n_obs_steps: To.
        goal_ranges: Goal ranges of the goals among the streams.
        maskable: Streams that may be masked.

    Raises:
        ValueError: If a window has another length, stream or shape, is not finite where it is
            not masked, or has a goal outside the range of the training.
    """
    for window in windows:
        if len(window) != n_obs_steps:
            raise ValueError(f"a window has {n_obs_steps} observations, got {len(window)}")
    return {
        each.name: torch.from_numpy(_stacked(each, windows, goal_ranges, each.name in maskable))
        for each in streams
    }


def _stacked(
    stream: StreamSpec, windows: Sequence[Window], goals: GoalRanges, maskable: bool
) -> np.ndarray:
    name = stream.name
    if any(name not in each.values for window in windows for each in window):
        raise ValueError(f"stream {name!r} is missing in the window")
    arrays = [each.values[name] for window in windows for each in window]
    for array in arrays:
        if array.shape != stream.shape:
            raise ValueError(f"stream {name!r} must be {stream.shape}, got {array.shape}")
    masked = [maskable and name in each.masked for window in windows for each in window]
    known = ~np.array(masked)
    stacked = np.stack(arrays)
    if not np.isfinite(stacked[known]).all():
        raise ValueError(f"stream {stream.name!r} is not finite in the window")
    refuse_goal(name, stacked[known], goals, stream.names)
    return stacked.reshape(len(windows), -1, *stream.shape)
