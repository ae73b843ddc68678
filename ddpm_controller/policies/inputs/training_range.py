"""Where the commanded joints were in training, as the normalizers of a network know it."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from ddpm_controller.networks.normalizer import MinMaxNormalizer
from ddpm_controller.policy import TrainingRange, Window
from ddpm_controller.types import ActionSpec, Observation, StreamSpec, measuring


def training_range_of(
    streams: Sequence[StreamSpec],
    normalizers: nn.ModuleDict,
    action_normalizer: MinMaxNormalizer,
    action_spec: ActionSpec,
) -> TrainingRange | None:
    """Return the ranges; None where the streams do not measure all commanded joints.

    A column that is not measured, of a twist, may be anywhere.
    """
    found = measuring(streams, action_spec)
    if found is None:
        return None
    ends = {name: ends_of(normalizers[name]) for name in found.names}
    low, high = (found.row({name: each[i] for name, each in ends.items()}) for i in range(2))
    is_measured = found.are_measured
    action_low, action_high = ends_of(action_normalizer)
    return TrainingRange(
        np.where(is_measured, low, -np.inf),
        np.where(is_measured, high, np.inf),
        action_low,
        action_high,
    )


def middle_window(
    streams: Sequence[StreamSpec], normalizers: nn.ModuleDict, n_obs_steps: int, period_s: float
) -> Window:
    """Return a window at rest in the middle of the training, with black images."""
    values = {}
    for stream in streams:
        if stream.kind == "image":
            values[stream.name] = np.zeros(stream.shape, np.uint8)
        else:
            low, high = ends_of(normalizers[stream.name])
            values[stream.name] = ((low + high) / 2).astype(np.float64)
    return [Observation(index * period_s, values) for index in range(1 - n_obs_steps, 1)]


def ends_of(normalizer: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest values that a normalizer was made for, (D,) each."""
    assert isinstance(normalizer, MinMaxNormalizer)
    ends = normalizer.ends
    centre, half = ends.mean(0), (ends[1] - ends[0]) / 2 * normalizer.moved
    return (centre - half).cpu().numpy(), (centre + half).cpu().numpy()
