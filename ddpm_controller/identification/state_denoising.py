"""A state denoiser trained on clean histories with noise put on them."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_controller.identification.state_denoiser_network import StateDenoiserNetwork

DrawNoise = Callable[[int, torch.Generator], Tensor]
"""(B, generator) -> noise (B, N, D), in its deviations."""


def train_state_denoiser(
    clean: Tensor,
    draw_noise: DrawNoise,
    *,
    num_steps: int = 3000,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    width: int = 128,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> StateDenoiserNetwork:
    """Return a network that estimates ``clean`` of clean + noise in the sense of least squares.

    One level of a diffusion model: the one whose noise is the recorded one. The learning rate
    falls to 0 along half a cosine.

    Args:
        clean: (M, N, D) float32, histories in deviations of the noise.
        draw_noise: Where the noise comes from.
        num_steps: Updates.
        batch_size: Histories per update.
        learning_rate: Learning rate of Adam at the start.
        width: Width of the network.
        seed: Seed of the weights, the batches and the noise.
        on_progress: Told after each update.

    Raises:
        ValueError: If there is no history or one is not finite.
    """
    if clean.ndim != 3 or not len(clean) or not bool(torch.isfinite(clean).all()):
        raise ValueError(f"clean must be finite (M, N, D) with M > 0, got {tuple(clean.shape)}")
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = StateDenoiserNetwork(clean.shape[1], clean.shape[2], width)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for step in range(1, num_steps + 1):
        chosen = clean[torch.randint(len(clean), (batch_size,), generator=generator)]
        noisy = chosen + draw_noise(batch_size, generator).to(chosen)
        loss = (network(noisy) - chosen).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        on_progress(step, num_steps)
    return network.eval()
