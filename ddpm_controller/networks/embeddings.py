"""Numbers turned into feature vectors."""

import math

import torch
from torch import Tensor, nn


class TimestepEmbedding(nn.Module):
    """Sinusoidal timestep features followed by a two-layer MLP.

    Frequencies follow Vaswani et al. 2017, Sec. 3.5.
    """

    frequencies: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise ValueError(f"timestep embedding needs an even dim of at least 2, got {dim}")
        exponent = torch.arange(dim // 2) / (dim // 2)
        frequencies = torch.exp(-math.log(10_000.0) * exponent)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        """(B,) integer timesteps -> (B, dim)."""
        phase = t[:, None] * self.frequencies  # (B, dim / 2)
        features: Tensor = self.mlp(torch.cat([phase.sin(), phase.cos()], dim=-1))
        return features
