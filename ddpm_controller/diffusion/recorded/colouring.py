"""Noise that remembers: autoregression over the rows of a chunk, correlation across its joints."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True, eq=False)
class Colouring:
    """A linear map of chunks whose every row has variance 1 when that of white noise has.

    Autoregression is described by its reflection coefficients (partial autocorrelations): each
    between -1 and 1 is a stationary process and every such process is one (Barndorff-Nielsen &
    Schou 1973), so they can be fitted freely and scaled down without ever leaving it.

    Attributes:
        reflection: (p, Da), or (B, p, Da) for one process per row of a batch.
        correlation: (Da, Da) or (B, Da, Da): correlation of the joints' innovations.
    """

    reflection: Tensor
    correlation: Tensor

    def __post_init__(self) -> None:
        joints = self.reflection.shape[-1]
        if self.reflection.ndim < 2 or self.correlation.shape[-2:] != (joints, joints):
            raise ValueError(
                f"reflection (p, Da) and correlation (Da, Da) do not fit: "
                f"{tuple(self.reflection.shape)} and {tuple(self.correlation.shape)}"
            )
        # Not "above 1": a NaN would pass.
        if not bool((self.reflection.abs() < 1).all()):
            raise ValueError(
                f"reflection coefficients must lie between -1 and 1, got "
                f"{self.reflection.tolist()}: the noise would grow without end"
            )

    def at(self, strength: Tensor) -> "Colouring":
        """Return the colouring at ``strength`` (B, 1, 1): 1 is this one, 0 is white."""
        unit = torch.eye(self.correlation.shape[-1]).to(self.correlation)
        mixed = unit + strength * (self.correlation - unit)
        return Colouring(self.reflection * strength, mixed)

    def to(self, device: torch.device) -> "Colouring":
        """Return the colouring on ``device``."""
        return Colouring(self.reflection.to(device), self.correlation.to(device))

    def forward(self, white: Tensor) -> Tensor:
        """Return the coloured noise of white noise, both (B, Tp, Da)."""
        mixed = white @ self._factor().mT
        rows = whitening(self.reflection, white.shape[-2])
        solved: Tensor = torch.linalg.solve_triangular(rows, mixed.mT[..., None], upper=False)
        return solved[..., 0].mT

    def inverse(self, coloured: Tensor) -> Tensor:
        """Return the white noise of which ``forward`` makes ``coloured``."""
        rows = whitening(self.reflection, coloured.shape[-2])
        mixed = (rows @ coloured.mT[..., None])[..., 0]  # (B, Da, Tp)
        white: Tensor = torch.linalg.solve_triangular(self._factor(), mixed, upper=False)
        return white.mT

    def log_determinant(self, num_rows: int) -> Tensor:
        """Return the log of the volume that a chunk's noise is stretched by, () or (B,)."""
        rows = whitening(self.reflection, num_rows)
        rate = -rows.diagonal(dim1=-2, dim2=-1).log().sum((-2, -1))
        return rate + num_rows * self._factor().diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def _factor(self) -> Tensor:
        factor: Tensor = torch.linalg.cholesky(self.correlation)
        return factor


def whitening(reflection: Tensor, num_rows: int) -> Tensor:
    """Return the triangular matrices that whiten the rows of a stationary process of variance 1.

    Row n predicts x_n from x_{n-1}, x_{n-2}, ... and divides by the error's deviation; the
    predictors of growing order come from the reflection coefficients by the Durbin-Levinson
    recursion (Brockwell & Davis 1991, Prop. 5.2.1).

    Args:
        reflection: (..., p, Da), each between -1 and 1.
        num_rows: Tp.

    Returns:
        (..., Da, Tp, Tp), lower triangular, the diagonal above 0.
    """
    order = reflection.shape[-2]
    shape = (*reflection.shape[:-2], reflection.shape[-1])
    predictor = reflection.new_zeros((*shape, 0))  # of x_{n-1}, x_{n-2}, ...
    variance = reflection.new_ones((*shape, 1))
    rows = []
    for n in range(num_rows):
        if 0 < n <= order:
            newest = reflection[..., n - 1, :, None]
            predictor = torch.cat([predictor - newest * predictor.flip(-1), newest], dim=-1)
            variance = variance * (1 - newest.square())
        row = torch.cat([-predictor.flip(-1), torch.ones_like(variance)], dim=-1)
        rows.append(pad(row / variance.sqrt(), (n + 1 - row.shape[-1], num_rows - 1 - n)))
    return torch.stack(rows, dim=-2)
