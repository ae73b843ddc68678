"""A U-Net that reads the chunk before beside the noisy one, trained from scratch."""

import torch
from torch import Tensor, nn

from ddpm_controller.networks.recalled_chunk import RecalledChunk, recalled_chunk, recalled_dim
from ddpm_controller.networks.unet1d import ConditionalUnet1d


class PriorUnet1d(nn.Module):
    """One U-Net; the rows of the chunk before and where it has some are further columns of x_t.

    Its age is part of the condition. The answer is null + w (with prior - null), the
    classifier-free guidance of Ho & Salimans 2022 with the prior as its condition.

    Args:
        inner: For 2 Da + 1 columns and those that ``xt`` has behind Da, and what is seen with one
            more column as the condition.
        horizon: Tp of the chunk before.
        told: Whether the network is given a mask of that chunk's rows, and its age.
    """

    def __init__(self, inner: ConditionalUnet1d, *, horizon: int, told: bool = True) -> None:
        super().__init__()
        self.inner, self.horizon, self.told = inner, horizon, told
        self.action_dim, self.seen_dim = inner.action_dim, inner.cond_dim - 1
        self.recalled_dim = recalled_dim(horizon, self.action_dim)

    def time_modulation(self, t: Tensor) -> Tensor:
        """(B,) timesteps -> (B, M), the timestep's part of the modulation."""
        of_time = self.inner.time_modulation(t)
        none = of_time.new_zeros(len(t), of_time.shape[1] + self.recalled_dim)
        return torch.cat([of_time, none], dim=1)

    def cond_modulation(self, cond: Tensor) -> Tensor:
        """(B, Dc) -> (B, M): with prior, the difference to a null prior, and the prior."""
        seen, columns = cond[:, : self.seen_dim], cond[:, self.seen_dim :]
        age = columns[:, -1:] if self.told else torch.zeros_like(columns[:, -1:])
        given = self.inner.cond_modulation(torch.cat([seen, age], dim=1))
        null = self.inner.cond_modulation(torch.cat([seen, torch.zeros_like(age)], dim=1))
        return torch.cat([given, null - given, columns], dim=1)

    def forward(self, xt: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Return what training sees: with the prior, (B, Tp, answers * Da)."""
        modulation = self.time_modulation(t) + self.cond_modulation(cond)
        given, _, recalled = self._parts(modulation)
        return self._answer(xt, given, recalled)

    def denoise_modulated(self, xt: Tensor, modulation: Tensor) -> Tensor:
        """Noisy chunk (B, Tp, Da), both parts added (B, M) -> (B, Tp, answers * Da)."""
        return self.scaled(xt, modulation, 1.0)

    def scaled(self, xt: Tensor, modulation: Tensor, scale: float) -> Tensor:
        """Return as ``denoise_modulated``, with w; 0 and 1 cost one pass, everything else two."""
        given, to_null, recalled = self._parts(modulation)
        exists = recalled.exists
        if scale == 1.0 or not bool(exists.any()):
            return self._answer(xt, given, recalled)
        plain = self._answer(xt, given + to_null, recalled.where(torch.zeros_like(exists)))
        if scale == 0.0:
            return plain
        return plain + scale * (self._answer(xt, given, recalled) - plain)

    def _parts(self, modulation: Tensor) -> tuple[Tensor, Tensor, RecalledChunk]:
        size = (modulation.shape[1] - self.recalled_dim) // 2
        given, to_null, columns = modulation.split([size, size, self.recalled_dim], dim=1)
        return given, to_null, recalled_chunk(columns, self.horizon, self.action_dim)

    def _answer(self, xt: Tensor, modulation: Tensor, recalled: RecalledChunk) -> Tensor:
        valid = recalled.valid if self.told else torch.zeros_like(recalled.valid)
        chunk, given = xt[..., : self.action_dim], xt[..., self.action_dim :]
        features = torch.cat([chunk, recalled.rows, valid, given], dim=2)
        return self.inner.denoise_modulated(features, modulation)
