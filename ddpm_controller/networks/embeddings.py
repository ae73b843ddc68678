"""Numbers turned into feature vectors."""

import math

import torch
from torch import Tensor, nn


def sinusoidal_features(t: Tensor, frequencies: Tensor) -> Tensor:
    """Numbers (B,) and frequencies (D / 2,) -> features (B, D)."""
    phase = t[:, None] * frequencies  # (B, D / 2)
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


def sinusoidal_frequencies(dim: int) -> Tensor:
    """Return those of Vaswani et al. 2017, Sec. 3.5, (dim / 2,)."""
    return torch.exp(-math.log(10_000.0) * torch.arange(dim // 2) / (dim // 2))


class TimestepEmbedding(nn.Module):
    """Sinusoidal timestep features followed by a two-layer MLP."""

    frequencies: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise ValueError(f"timestep embedding needs an even dim of at least 2, got {dim}")
        self.register_buffer("frequencies", sinusoidal_frequencies(dim), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        """(B,) integer timesteps -> (B, dim)."""
        features: Tensor = self.mlp(sinusoidal_features(t, self.frequencies))
        return features
