"""The noise of a recording: amounts, memory and tails, as one density of chunks."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddpm_controller.diffusion.noise import Generators, standard_normal
from ddpm_controller.diffusion.recorded.noise_map import NoiseMap


@dataclass(frozen=True, eq=False)
class RecordedNoise:
    """mean + scale * map(N(0, I)) for chunks of rows ``period_s`` apart.

    Attributes:
        names: One for each column, in order.
        units: One for each column.
        period_s: Time between rows; the memory is in rows, so it is of this period only.
        mean: (Da,) float64, in ``units``.
        scale: (Da,) float64, standard deviations in ``units``.
        noise_map: The noise of variance 1.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    period_s: float
    mean: Tensor
    scale: Tensor
    noise_map: NoiseMap

    def __post_init__(self) -> None:
        columns = self.noise_map.num_joints
        lengths = {
            "names": len(self.names),
            "units": len(self.units),
            "mean": self.mean.numel(),
            "scale": self.scale.numel(),
        }
        wrong = {name: length for name, length in lengths.items() if length != columns}
        if wrong:
            raise ValueError(f"the map has {columns} columns, but there are {wrong}")
        if len(set(self.names)) != columns:
            raise ValueError(f"names must differ, got {list(self.names)}")
        if not self.period_s > 0:
            raise ValueError(f"period_s must be above 0, got {self.period_s}")
        if not bool((self.scale > 0).all()) or not bool(torch.isfinite(self.scale).all()):
            raise ValueError(f"scale must be above 0 and finite, got {self.scale.tolist()}")
        if not bool(torch.isfinite(self.mean).all()):
            raise ValueError(f"mean must be finite, got {self.mean.tolist()}")

    def sample(self, num_chunks: int, num_rows: int, generator: Generators) -> Tensor:
        """Draw chunks (B, Tp, Da) of this noise, float64, in ``units``."""
        noise = standard_normal((num_chunks, num_rows, len(self.names)), generator)
        return self.mean + self.scale * self.noise_map.forward(noise.double())

    def log_density(self, chunks: Tensor) -> Tensor:
        """Return the log density of chunks (B, Tp, Da) in ``units``, (B,) nats."""
        return self.noise_map.log_density_of(chunks, self.mean, self.scale)

    def selected(self, names: tuple[str, ...]) -> "RecordedNoise":
        """Return the noise of these columns, in this order.

        Raises:
            ValueError: With both lists, if one was not recorded.
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ValueError(
                f"no noise was fitted for {missing}: needed {list(names)}, fitted "
                f"{list(self.names)}; fit it from recordings that have them"
            )
        columns = [self.names.index(name) for name in names]
        return replace(
            self,
            names=names,
            units=tuple(self.units[i] for i in columns),
            mean=self.mean[columns],
            scale=self.scale[columns],
            noise_map=self.noise_map.selected(columns),
        )
