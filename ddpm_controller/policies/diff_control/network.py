"""What is trained of a Diff-Control policy; it plans elsewhere."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ddpm_controller.networks.belief import BeliefEncoder
from ddpm_controller.networks.unet1d import with_last_column
from ddpm_controller.policies.diff_control.belief_state import belief_encoder
from ddpm_controller.policies.diff_control.chunk_examples import Examples
from ddpm_controller.policies.diff_control.config import CONTROLLED, DiffControlConfig
from ddpm_controller.policies.diff_control.states import STATES
from ddpm_controller.policies.diffusion_policy.network import (
    ADDED,
    Batch,
    DiffusionPolicyNetwork,
)
from ddpm_controller.types import ActionSpec, StreamSpec


class DiffControlNetwork(nn.Module):
    """A denoiser with what it remembers in its condition.

    Attributes:
        denoiser: Its weights have names that begin with ``denoiser.``; on a control branch's base
            only the branch learns.
        belief: Encoder of the state "belief"; None for others.
    """

    def __init__(
        self,
        config: DiffControlConfig,
        action_spec: ActionSpec,
        streams: Sequence[StreamSpec],
        statistics: Mapping[str, Mapping[str, Sequence[float]]],
    ) -> None:
        super().__init__()
        self.config, self._state = config, STATES[config.state]
        action_dim = len(action_spec.joint_names)
        self.denoiser = DiffusionPolicyNetwork(
            config.policy,
            action_spec,
            streams,
            statistics,
            recalled_dim=self._state.recalled_dim(config, action_dim),
            unet_of=self._state.unet(config, action_dim),
        )
        self.belief: BeliefEncoder | None = None
        if config.state == "belief":
            self.belief = belief_encoder(self.denoiser, config)
        if config.state in CONTROLLED:
            self.denoiser.requires_grad_(False)
            self.denoiser.unet.branch.requires_grad_(True)
        if config.frozen_encoders:
            self.denoiser.encoders.requires_grad_(False)

    @property
    def fixed_encoders(self) -> Mapping[str, nn.Module]:
        """Stream -> encoder, where it does not learn and the images that it sees do not move."""
        if not self.config.has_base or self.config.policy.image_shift_pixels:
            return {}
        return dict(self.denoiser.encoders.items())

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a policy of this kind, or a base's, on which a branch then begins.

        Raises:
            ValueError: If a weight has no place here, or one that is needed is missing.
        """
        if any(name.startswith("denoiser.") for name in weights):
            self._go_on_with(weights)
        elif self.config.state in CONTROLLED:
            placed = {_in_base(name): weight for name, weight in weights.items()}
            kept = {name: w for name, w in placed.items() if not name.startswith("timesteps.")}
            self.denoiser.begin_with(kept, added=(*ADDED, "unet.branch."))
            self.denoiser.unet.copy_base()
        elif self.config.frozen_encoders:
            self._see_with(weights)
        else:
            raise ValueError(
                f"state {self.config.state!r} is trained from scratch: leave initial_checkpoint "
                "out, or name a diff_control checkpoint of the same state; a belief may also take "
                "the image encoders of a diffusion_policy: frozen_encoders"
            )

    def _go_on_with(self, weights: Mapping[str, Tensor]) -> None:
        try:
            self.load_state_dict(self._widened(weights))
        except RuntimeError as error:
            raise ValueError(f"the initial checkpoint is not of this network: {error}") from error

    def _widened(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not self.config.policy.prefix_rows:
            return dict(weights)
        return with_last_column(weights, self.state_dict())

    def _see_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take the image encoders of a diffusion policy."""
        prefix = "encoders."
        kept = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
        try:
            self.denoiser.encoders.load_state_dict(kept)
        except RuntimeError as error:
            raise ValueError(
                f"the image encoders are not those of this network: {error}"
            ) from error

    def forward(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return ``loss``; so that a wrapper for many processes sees the call."""
        return self.loss(batch, generator, noise_draws)

    def loss(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            batch: Batch of ``config.training_window``; ``progress`` is the finished share of the
                training.
            generator: Source of everything random.
            noise_draws: As ``DiffusionPolicyNetwork.loss``.
        """
        found = self.examples(batch, generator)
        loss = self.denoiser.loss(found.batch, generator, noise_draws, found.recalled)
        if found.aside is None:
            return loss
        return loss + (found.aside - found.aside.detach())  # its gradient, and 0

    def examples(self, batch: Batch, generator: torch.Generator) -> Examples:
        """Return what the denoiser learns from of a batch of ``config.training_window``."""
        return self._state.examples(self, batch, generator)


def _in_base(name: str) -> str:
    return name.replace("unet.", "unet.base.", 1) if name.startswith("unet.") else name
