"""Numbers turned into feature vectors."""

import math

import torch
from torch import Tensor, nn


def sinusoidal_features(t: Tensor, frequencies: Tensor) -> Tensor:
    """Numbers (B,) and frequencies (D / 2,) -> features (B, D)."""
    phase = t[:, None] * frequencies  # (B, D / 2)
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


def sinusoidal_frequencies(dim: int, to_end: bool = False) -> Tensor:
    """Return those of Vaswani et al. 2017, Sec. 3.5, (dim / 2,).

    Args:
        dim: Number of features.
        to_end: Whether the last one is 1 / 10000 itself, as in much released code.
    """
    return torch.exp(-math.log(10_000.0) * torch.arange(dim // 2) / (dim // 2 - to_end))


class TimestepEmbedding(nn.Module):
    """Sinusoidal timestep features followed by a two-layer MLP.

    Args:
        dim: Number of features.
        to_end: As in ``sinusoidal_frequencies``.
    """

    frequencies: Tensor

    def __init__(self, dim: int, to_end: bool = False) -> None:
        super().__init__()
        least = 4 if to_end else 2
        if dim < least or dim % 2:
            raise ValueError(
                f"timestep embedding needs an even dim of at least {least}, got {dim}"
            )
        frequencies = sinusoidal_frequencies(dim, to_end)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        """(B,) integer timesteps -> (B, dim)."""
        features: Tensor = self.mlp(sinusoidal_features(t, self.frequencies))
        return features
