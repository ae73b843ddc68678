"""Noise as it was recorded: coloured over the rows of a chunk, with the tails that it has."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_controller.diffusion.recorded.colouring import Colouring
from ddpm_controller.diffusion.recorded.element_maps import ElementMap


@dataclass(frozen=True, eq=False)
class NoiseMap:
    """An exactly invertible map between N(0, I) chunks and recorded noise of variance 1.

    Attributes:
        colouring: L, linear: the memory over rows and the correlation of joints.
        elements: S, of each number by itself: tails and skew.
        shapes_innovations: True: L(S(noise)), the innovations have the tails, as after knocks;
            False: S(L(noise)), the noise itself has them, as a bent scale gives.
    """

    colouring: Colouring
    elements: ElementMap
    shapes_innovations: bool = True

    @property
    def num_joints(self) -> int:
        """Da."""
        return self.colouring.reflection.shape[-1]

    def at(self, strength: float | Tensor) -> "NoiseMap":
        """Return the map at ``strength``: 1 is the recorded noise, 0 the identity.

        The parameters are interpolated, not the maps, so that every strength is as exactly
        invertible as the whole, and has variance 1.

        Args:
            strength: Between 0 and 1; a number, or (B,) with one for every row of a batch.

        Raises:
            ValueError: If it lies outside 0 .. 1.
        """
        weight = torch.as_tensor(strength).to(self.colouring.reflection).reshape(-1, 1, 1)
        if not bool(((weight >= 0) & (weight <= 1)).all()):
            raise ValueError(f"strength must lie between 0 and 1, got {weight.flatten().tolist()}")
        return NoiseMap(
            self.colouring.at(weight), self.elements.at(weight), self.shapes_innovations
        )

    def selected(self, columns: list[int]) -> "NoiseMap":
        """Return the map of these joints, in this order; unbatched maps only."""
        colouring = Colouring(
            self.colouring.reflection[..., columns],
            self.colouring.correlation[columns][:, columns],
        )
        return NoiseMap(colouring, self.elements.selected(columns), self.shapes_innovations)

    def to(self, device: torch.device) -> "NoiseMap":
        """Return the map on ``device``."""
        colouring, elements = self.colouring.to(device), self.elements.to(device)
        return NoiseMap(colouring, elements, self.shapes_innovations)

    def forward(self, noise: Tensor) -> Tensor:
        """Return the shaped noise of N(0, I) noise, both (B, Tp, Da), computed in float64.

        Raises:
            ValueError: If the noise is not (B, Tp, Da) with this map's joints.
        """
        exact = self._checked(noise)
        if self.shapes_innovations:
            shaped = self.colouring.forward(self.elements.forward(exact))
        else:
            shaped = self.elements.forward(self.colouring.forward(exact))
        return shaped.to(noise)

    def inverse(self, shaped: Tensor) -> Tensor:
        """Return the noise of which ``forward`` makes ``shaped``, (B, Tp, Da).

        Raises:
            ValueError: As ``forward``.
        """
        exact = self._checked(shaped)
        if self.shapes_innovations:
            noise = self.elements.inverse(self.colouring.inverse(exact))
        else:
            noise = self.colouring.inverse(self.elements.inverse(exact))
        return noise.to(shaped)

    def log_slope(self, noise: Tensor) -> Tensor:
        """Return the log slope of S where ``noise`` passes it, (B, Tp, Da).

        Their sum and ``colouring.log_determinant`` make the log of the whole map's volume.

        Raises:
            ValueError: As ``forward``.
        """
        exact = self._checked(noise)
        if not self.shapes_innovations:
            exact = self.colouring.forward(exact)
        return self.elements.log_slope(exact).to(noise)

    def log_density(self, shaped: Tensor) -> Tensor:
        """Return the log density of shaped chunks, (B,), nats per chunk.

        Raises:
            ValueError: As ``forward``.
        """
        exact = self._checked(shaped)
        volume = self.colouring.log_determinant(shaped.shape[-2])
        if self.shapes_innovations:
            innovations = self.colouring.inverse(exact)
            return self.elements.log_density(innovations).sum((-2, -1)) - volume
        # Through the density of S, which is closed: its slope would have to be solved for.
        coloured = self.elements.inverse(exact)
        noise = self.colouring.inverse(coloured)
        change = 0.5 * (coloured.square() - noise.square())
        return (self.elements.log_density(exact) + change).sum((-2, -1)) - volume

    def log_density_of(self, chunks: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """Return the log density of chunks mean + scale * map(noise), (B,), nats per chunk.

        Args:
            chunks: (B, Tp, Da).
            mean: (Da,), in the unit of the chunks.
            scale: (Da,), likewise, above 0.
        """
        volume = chunks.shape[-2] * scale.log().sum()
        return self.log_density((chunks - mean) / scale) - volume

    def _checked(self, chunk: Tensor) -> Tensor:
        if chunk.ndim != 3 or chunk.shape[-1] != self.num_joints:
            raise ValueError(
                f"noise must be (B, Tp, {self.num_joints}), one column for each joint of the "
                f"recorded noise, got {tuple(chunk.shape)}"
            )
        return chunk.to(self.colouring.reflection)
