"""A recorded-noise map of every kind, small, and noise with known memory and spikes."""

import torch

from ddpm_controller.diffusion.recorded.colouring import Colouring
from ddpm_controller.diffusion.recorded.element_maps import ScaleMixture, SinhArcsinh
from ddpm_controller.diffusion.recorded.noise_map import NoiseMap

CORRELATION = torch.tensor([[1.0, 0.4], [0.4, 1.0]]).double()
REFLECTION = torch.tensor([[0.9, 0.5], [-0.2, 0.1]]).double()
ELEMENTS = {
    "sinh_arcsinh": SinhArcsinh(
        torch.tensor([0.3, -0.2]).double(), torch.tensor([0.5, 1.3]).double()
    ),
    "scale_mixture": ScaleMixture(
        torch.tensor([[0.85, 0.6], [0.1, 0.3], [0.05, 0.1]]).double(),
        torch.tensor([[0.1, 0.5], [0.3, 1.0], [2.0, 3.0]]).double(),
    ),
}


def small_map(elements: str = "sinh_arcsinh", shapes_innovations: bool = True) -> NoiseMap:
    """Two joints that remember two rows."""
    return NoiseMap(Colouring(REFLECTION, CORRELATION), ELEMENTS[elements], shapes_innovations)


def spiky_noise(num_chunks: int, seed: int, num_rows: int = 16, spikes: float = 0.05):
    """(B, Tp, 1): AR(1) of 0.9 and deviation 0.25, with spikes of deviation 1.5 added to some."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_chunks, num_rows)
    fresh = torch.randn(shape, generator=generator).double() * 0.25
    rows = [fresh[:, 0]]
    for row in range(1, num_rows):
        rows.append(0.9 * rows[-1] + (1 - 0.9**2) ** 0.5 * fresh[:, row])
    struck = torch.rand(shape, generator=generator) < spikes
    return (torch.stack(rows, 1) + struck * 1.5 * torch.randn(shape, generator=generator))[
        ..., None
    ]
