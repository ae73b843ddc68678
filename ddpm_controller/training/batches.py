"""Which windows and which noise an update uses: functions of the seed and the step alone.

So a resumed training continues with the very same batches, and nothing has to be replayed.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.data.windows import WindowBatch, WindowDataset

TRAINING, VALIDATION, WEIGHTS = range(3)
"""What a generator is for; each use has a stream of random numbers of its own."""


def generator_for(seed: int, *key: int) -> torch.Generator:
    """Return a generator, on the CPU, that depends on ``(seed, *key)`` only."""
    mixed = np.random.SeedSequence((seed, *key)).generate_state(1, np.uint32)[0]
    return torch.Generator().manual_seed(int(mixed))  # torch uses 32 bits of a seed


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_windows: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(num_windows)


def batch_indices(seed: int, step: int, batch_size: int, num_windows: int) -> np.ndarray:
    """Return the (B,) windows of update ``step``: each once per epoch, in a new order each.

    A batch may begin in one epoch and end in the next, so that all are of one size.
    """
    positions = step * batch_size + np.arange(batch_size)
    epochs, places = np.divmod(positions, num_windows)
    return np.array(
        [
            _permutation(seed, int(epoch), num_windows)[place]
            for epoch, place in zip(epochs, places, strict=True)
        ]
    )


def validation_indices(num_windows: int, most: int) -> np.ndarray:
    """Return at most ``most`` windows, evenly spread."""
    return np.unique(np.linspace(0, num_windows - 1, min(most, num_windows)).round().astype(int))


def tensors_from(
    dataset: WindowDataset, indices: np.ndarray, device: torch.device
) -> dict[str, Any]:
    """Return a batch in the form that a network's ``loss`` takes, on ``device``."""
    batch: WindowBatch = dataset.gather(indices)
    values: dict[str, Tensor] = {
        name: torch.from_numpy(block).to(device) for name, block in batch.values.items()
    }
    return {
        "values": values,
        "actions": torch.from_numpy(batch.actions).to(device),
        "mask": torch.from_numpy(batch.mask).to(device),
    }
