"""Which timesteps training looks at."""

import torch
from torch import Tensor, nn


class LossAwareTimesteps(nn.Module):
    """Draws t more often where the loss has been large, Nichol & Dhariwal 2021, Sec. 3.3.

    The chance of t is proportional to sqrt(E[L_t^2]) over its last losses, mixed with a small
    uniform part; every t has the same chance until each has been seen ``history`` times. All it
    knows are buffers, so a training that resumes from its ``state_dict`` draws the same.

    Args:
        num_timesteps: T.
        history: Losses that are kept of each t.
        uniform: Share of the uniform part.
    """

    losses: Tensor
    counts: Tensor

    def __init__(self, num_timesteps: int, history: int = 10, uniform: float = 0.001) -> None:
        super().__init__()
        if num_timesteps < 1 or history < 1:
            raise ValueError(
                f"num_timesteps and history must be at least 1, got {num_timesteps}, {history}"
            )
        if not 0.0 < uniform <= 1.0:
            raise ValueError(f"uniform must be above 0 and at most 1, got {uniform}")
        self.uniform = uniform
        zeros = torch.zeros(num_timesteps, history, dtype=torch.float64)
        self.register_buffer("losses", zeros)
        self.register_buffer("counts", torch.zeros(num_timesteps, dtype=torch.int64))

    def probabilities(self) -> Tensor:
        """Return the chance of each t, (T,) float64."""
        num_timesteps, history = self.losses.shape
        even = torch.full_like(self.losses[:, 0], 1 / num_timesteps)
        size = self.losses.square().mean(1).sqrt()
        if bool((self.counts < history).any()) or not bool((size > 0).any()):
            return even
        return (1 - self.uniform) * size / size.sum() + self.uniform * even

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return t (count,) int64 and weights (count,) float64.

        The mean of weight times loss is that under uniform t.
        """
        chances = self.probabilities()
        t = torch.multinomial(
            chances.to(generator.device), count, replacement=True, generator=generator
        ).to(chances.device)
        return t, 1 / (len(chances) * chances[t])

    @torch.no_grad()
    def record(self, t: Tensor, losses: Tensor) -> None:
        """Remember the losses (B,) at ``t`` (B,), unweighted and in this order.

        Raises:
            ValueError: If a loss is not finite or the shapes differ.
        """
        t, losses = t.to(self.counts.device), losses.to(self.losses)
        if t.ndim != 1 or t.shape != losses.shape:
            raise ValueError(
                f"t {tuple(t.shape)} and losses {tuple(losses.shape)} must be (B,) both"
            )
        if not bool(torch.isfinite(losses).all()):
            wrong = t[~torch.isfinite(losses)].tolist()
            raise ValueError(f"losses must be finite, those at t = {wrong[:5]} are not")
        history = self.losses.shape[1]
        order = torch.sort(t, stable=True).indices
        t, losses = t[order], losses[order]
        seen = torch.bincount(t, minlength=len(self.counts))
        rank = torch.arange(len(t), device=t.device) - (seen.cumsum(0) - seen)[t]
        newest = rank >= seen[t] - history  # one place is written once
        place = (self.counts[t] + rank) % history
        self.losses[t[newest], place[newest]] = losses[newest]
        self.counts += seen
