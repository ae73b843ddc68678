"""A small network that takes known noise out of a short history of states."""

import torch
from torch import Tensor, nn


class StateDenoiserNetwork(nn.Module):
    """x_0 of the noisy history x_t at one level of noise: x_0 = x_t - correction(x_t).

    The correction is 0 at birth. It sees how far each row is from the median of its column,
    in units of the noise, so that it neither knows nor needs where in its range the robot is.

    Args:
        num_rows: N, rows of a history.
        num_columns: D.
        width: Width of the hidden layers.
    """

    def __init__(self, num_rows: int, num_columns: int, width: int = 128) -> None:
        super().__init__()
        size = num_rows * num_columns
        self.layers = nn.Sequential(
            nn.Linear(2 * size, width), nn.Mish(), nn.Linear(width, width), nn.Mish()
        )
        self.correction = nn.Linear(width, size)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, history: Tensor) -> Tensor:
        """Noisy (B, N, D) -> clean (B, N, D), both in deviations of the noise."""
        centre = history.median(dim=1, keepdim=True).values
        apart = (history - centre).flatten(1)
        # Knocks are many deviations large: the second half of the features stays bounded.
        features = torch.cat([apart.asinh(), apart.tanh()], dim=1)
        correction = self.correction(self.layers(features)).reshape(history.shape)
        return history - correction
