"""What is trained of a Minimal Iterative Policy (Pan et al. 2025): two regressions in one."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_controller.diffusion.losses import simple_loss
from ddpm_controller.diffusion.noise import standard_normal
from ddpm_controller.policies.diffusion_policy.network import Batch, DiffusionPolicyNetwork
from ddpm_controller.policies.mip.config import MipConfig
from ddpm_controller.policies.mip.process import MipLevels
from ddpm_controller.types import ActionSpec, StreamSpec


class MipNetwork(nn.Module):
    """The network of a Diffusion Policy, taught to answer two questions with the same chunk.

    Attributes:
        denoiser: Answers x_0 at t = 1 of nothing, at t = 0 of a chunk under a little noise.
    """

    def __init__(
        self,
        config: MipConfig,
        action_spec: ActionSpec,
        streams: Sequence[StreamSpec],
        statistics: Mapping[str, Mapping[str, Sequence[float]]],
    ) -> None:
        super().__init__()
        self.config = config
        self.denoiser = DiffusionPolicyNetwork(
            config.policy,
            action_spec,
            streams,
            statistics,
            forward_process=MipLevels(config.signal),
        )

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a policy of this kind.

        Raises:
            ValueError: If they are of another network.
        """
        own = "denoiser."
        self.denoiser.begin_with({name.removeprefix(own): each for name, each in weights.items()})

    def forward(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return ``loss``; so that a wrapper for many processes sees the call."""
        return self.loss(batch, generator, noise_draws)

    def loss(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return the sum of both regressions, Pan et al. 2025, a scalar.

        Args:
            batch: As ``DiffusionPolicyNetwork.loss`` takes it.
            generator: Source of image shifts, masks and noise, in this order.
            noise_draws: Noises per example of the second question.
        """
        cond = self.denoiser.condition(self.denoiser.augmented(batch, generator))
        x0, mask = self.denoiser.normalized_actions(batch), batch["mask"]
        nothing = self._loss(torch.zeros_like(x0), 1, x0, cond, mask)
        if self.config.iterations == 1:
            return nothing
        x0, cond, mask = (each.repeat_interleave(noise_draws, dim=0) for each in (x0, cond, mask))
        noise = standard_normal(tuple(x0.shape), generator).to(x0)
        noisy = self.config.signal * x0 + (1 - self.config.signal) * noise
        return nothing + self._loss(noisy, 0, x0, cond, mask)

    def _loss(self, xt: Tensor, level: int, x0: Tensor, cond: Tensor, mask: Any) -> Tensor:
        t = torch.full((len(xt),), level, device=xt.device)
        answer, _ = self.denoiser.denoise(xt, t, cond)
        return simple_loss(answer, x0, mask)
