"""What is trained of a Diffusion Policy (Chi et al. 2023, RSS); it plans elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_controller.checkpoint import ACTION_STATISTICS
from ddpm_controller.diffusion.timestep_sampling import LossAwareTimesteps
from ddpm_controller.networks.image_encoder import ImageEncoder, image_features, random_shift
from ddpm_controller.networks.normalizer import MinMaxNormalizer
from ddpm_controller.networks.resnet_encoder import ResNetEncoder
from ddpm_controller.networks.unet1d import ConditionalUnet1d, with_last_column
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.denoiser import split_answer
from ddpm_controller.policies.diffusion_policy.loss import (
    Denoise,
    denoising_loss,
    schedule_loss,
    spread_timesteps,
)
from ddpm_controller.policies.diffusion_policy.prefix import Given, drawn_prefix, network_input
from ddpm_controller.policies.diffusion_policy.process import (
    PolicyProcess,
    TerminalFacts,
    terminal_facts,
)
from ddpm_controller.policies.inputs.goals import refuse_goals
from ddpm_controller.policies.inputs.masks import MASKED, drawn_masks, refuse_masks
from ddpm_controller.policies.inputs.relative_actions import RelativeActions
from ddpm_controller.types import ActionSpec, StreamSpec

Batch = Mapping[str, Any]
"""``values`` {stream: (B, To, D) float32, (B, To, H, W, 3) uint8, or (B, To, 2K) float32 where
the features of images were found before}, ``actions`` (B, Tp, Da) float32 in SI units whose row
``To - 1`` is for the newest observation, ``mask`` (B, Tp) bool. Among the values may be
``masks.MASKED``: which streams a window lacks."""

UnetOf = Callable[[Callable[..., ConditionalUnet1d], int], Any]
"""(what makes a U-Net for ``cond_dim`` and ``input_dim``, Dc) -> a module with its methods."""
ADDED = ("forward_process.", "timesteps.")
"""Weights that a checkpoint of a plainer policy may lack; at birth they change nothing."""


class DiffusionPolicyNetwork(nn.Module):
    """What is trained: image encoders and the U-Net, between normalizers.

    ``statistics`` are {stream or "action": {"min": [...], "max": [...]}} in SI units, and where
    other numbers than these are to become -1 and 1, "low" and "high" too. What another
    policy remembers comes as the last ``recalled_dim`` columns of the condition, and ``unet_of``
    makes a U-Net that has the methods of ``ConditionalUnet1d`` and may treat them apart: it gets
    what makes one for a ``cond_dim`` (and an ``input_dim``), and Dc. With ``prefix_rows`` a U-Net
    sees one more column, the last: which rows are given.

    Attributes:
        relative: What the actions are learned relative to.
        seen_dim: Columns of what is observed.
        cond_dim: Dc, with what is recalled.
    """

    def __init__(
        self,
        config: DiffusionPolicyConfig,
        action_spec: ActionSpec,
        streams: Sequence[StreamSpec],
        statistics: Mapping[str, Mapping[str, Sequence[float]]],
        *,
        recalled_dim: int = 0,
        unet_of: UnetOf | None = None,
        forward_process: Any = None,
    ) -> None:
        super().__init__()
        refuse_goals(config.goal_streams, streams)
        refuse_masks(config.maskable_streams, streams)
        self.config = config
        self.streams = tuple(streams)
        action_dim = len(action_spec.joint_names)
        self.action_normalizer = _normalizer(statistics, ACTION_STATISTICS, action_dim)
        self.relative = RelativeActions(action_spec, streams)
        self.normalizers, self.encoders = nn.ModuleDict(), nn.ModuleDict()
        for each in streams:
            if each.kind == "vector":
                self.normalizers[each.name] = _normalizer(statistics, each.name, each.shape[0])
            else:
                self.encoders[each.name] = _encoder(each, config)
        self.action_dim, self.seen_dim = action_dim, _cond_dim(config, self.streams)
        self.cond_dim = self.seen_dim + recalled_dim
        self.forward_process: Any = forward_process or PolicyProcess(
            config, action_spec, self.seen_dim, self.action_normalizer.half_range
        )
        self.timesteps: LossAwareTimesteps | None = None
        if config.timestep_sampling == "loss_second_moment":
            self.timesteps = LossAwareTimesteps(config.num_train_timesteps)
        make = _unet_maker(config, action_dim)
        self.unet: Any = unet_of(make, self.cond_dim) if unet_of else make(cond_dim=self.cond_dim)

    def terminal_facts(self) -> TerminalFacts:
        """Return what the forward process leaves at its end; where it is learned, for cond 0."""
        device = self.action_normalizer.centre.device
        process = self.forward_process(torch.zeros(1, self.cond_dim, device=device))
        return terminal_facts(process, (self.config.horizon, self.action_dim))

    def begin_with(self, weights: Mapping[str, Tensor], added: tuple[str, ...] = ADDED) -> None:
        """Take the weights of a plainer policy; what it lacks stays as it is, the identity.

        Args:
            weights: As its checkpoint has them.
            added: What their names may begin with that are lacking.

        Raises:
            ValueError: If a weight has no place here, or one that is needed is missing.
        """
        own = self.state_dict()
        weights = self.widened(weights)
        misfits = [
            f"{name} {tuple(weight.shape)}"
            for name, weight in weights.items()
            if name not in own or own[name].shape != weight.shape
        ]
        lacking = [name for name in own if name not in weights and not name.startswith(added)]
        if misfits or lacking:
            raise ValueError(
                f"the initial checkpoint is not of this network: it has {misfits[:3]} too many "
                f"and lacks {lacking[:3]}; use the recipe's policy sizes of that checkpoint"
            )
        self.load_state_dict(dict(weights), strict=False)

    def widened(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights with zeros for what they lack of a column or an answer.

        The column of given rows, and a variance that was not learned before.
        """
        widened = dict(weights)
        if self.config.prefix_rows:
            widened = with_last_column(widened, self.state_dict())
        if self.config.variance != "learned_range":
            return widened
        own = self.state_dict()
        for name in ("unet.out.weight", "unet.out.bias"):
            given = widened.get(name)
            if given is not None and name in own and 2 * len(given) == len(own[name]):
                widened[name] = torch.cat([given, torch.zeros_like(given)])
        return widened

    def encode(self, values: Mapping[str, Tensor]) -> Tensor:
        """{stream: (B, To, ...)}, see ``Batch`` -> what is seen of cond (B, Dc).

        Where streams can be masked, these are zeros for a window that lacks them, and the last
        columns mark which it has.
        """
        features = []
        for stream in self.streams:
            value = values[stream.name]
            if stream.kind == "image":
                flat = value.flatten(0, 1)  # (B * To, ...)
                found = image_features(self.encoders[stream.name], flat)
                features.append(found.reshape(len(value), -1))
            else:
                features.append(self.normalizers[stream.name](value).flatten(1))
        return torch.cat(self._masked(features, values.get(MASKED)), dim=1)

    def _masked(self, features: list[Tensor], masked: Tensor | None) -> list[Tensor]:
        maskable = self.config.maskable_streams
        if not maskable:
            return features
        if masked is None:
            masked = torch.zeros(len(features[0]), len(maskable), dtype=torch.bool)
        masked = masked.to(features[0].device)
        names = [stream.name for stream in self.streams]
        for column, name in enumerate(maskable):
            place = names.index(name)
            features[place] = features[place].masked_fill(masked[:, column, None], 0.0)
        return [*features, (~masked).to(features[0])]

    def normalized_actions(self, batch: Batch) -> Tensor:
        """Return the actions of a batch as they are learned, (B, Tp, Da)."""
        actions: Tensor = batch["actions"]
        if self.relative.are_any:
            in_force = actions[:, self.config.n_obs_steps - 1]
            actions = actions - self.relative.reference(batch["values"], in_force)[:, None]
        normalized: Tensor = self.action_normalizer(actions)
        return normalized

    def condition(self, values: Mapping[str, Tensor], recalled: Tensor | None = None) -> Tensor:
        """Return ``encode`` of the values with the recalled columns (B, Dr) behind, (B, Dc)."""
        seen = self.encode(values)
        return seen if recalled is None else torch.cat([seen, recalled.to(seen)], dim=1)

    def denoise(
        self, xt: Tensor, t: Tensor, cond: Tensor, given: Given | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return prediction and fraction of the variance at ``t`` (B,), each (B, Tp, Da).

        Args:
            xt: Noisy normalized chunk, (B, Tp, Da).
            t: (B,).
            cond: (B, Dc).
            given: Rows that are known; None: none.
        """
        seen = network_input(xt, given) if self.config.prefix_rows else xt
        return split_answer(self.unet(seen, t, cond), self.config.variance)

    def forward(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return ``loss``; so that a wrapper for many processes sees the call."""
        return self.loss(batch, generator, noise_draws)

    def loss(
        self,
        batch: Batch,
        generator: torch.Generator,
        noise_draws: int = 1,
        recalled: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch, a scalar. Images are shifted in training mode only.

        Args:
            batch: See ``Batch``.
            generator: Source of image shifts, masks, timesteps, given rows and noise, in this
                order.
            noise_draws: Timesteps and noises per example. The observations are encoded once for
                all of them; the timesteps of one example are spread evenly over the chain, which
                leaves each uniform.
            recalled: (B, Dr), the last columns of the condition.
        """
        seen = self.condition(self.augmented(batch, generator), recalled)
        cond = seen.repeat_interleave(noise_draws, dim=0)  # (B * K, Dc)
        x0 = self.normalized_actions(batch).repeat_interleave(noise_draws, dim=0)
        mask = batch["mask"].repeat_interleave(noise_draws, dim=0)
        t, weights = self._timesteps(len(batch["actions"]), noise_draws, generator)
        t = t.to(x0.device)
        process = self.forward_process(cond)
        denoise, unknown = self._given_some(x0, mask, generator)
        loss, rows = denoising_loss(
            denoise, self.config, process, x0, t, cond, unknown, generator, weights
        )
        if self.timesteps is not None and self.training:
            self.timesteps.record(t, rows)
        if self.forward_process.schedule is not None:
            loss = loss + schedule_loss(
                self.unet, self.config, self.forward_process, x0, cond, mask, generator
            )
        return loss

    def _given_some(
        self, x0: Tensor, mask: Tensor, generator: torch.Generator
    ) -> tuple[Denoise, Tensor]:
        """Return what is trained, given some first rows, and the mask of what it has to find.

        In evaluation mode it is given none, so that the loss is that of the whole chunk.
        """
        most = self.config.prefix_rows if self.training else 0
        if not most:
            return self.denoise, mask
        which = drawn_prefix((len(x0), x0.shape[1]), most, generator).to(x0.device)
        return partial(self.denoise, given=Given(x0, which)), mask & ~which

    def augmented(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Return the values of a batch, in training mode with images shifted and streams masked.

        Args:
            batch: See ``Batch``.
            generator: Source of image shifts and masks, in this order.
        """
        values: Mapping[str, Tensor] = batch["values"]
        if not self.training:
            return values
        values = self._shifted(values, generator)
        if self.config.maskable_streams:
            values = {**values, MASKED: self._masks(len(batch["actions"]), generator)}
        return values

    def _masks(self, rows: int, generator: torch.Generator) -> Tensor:
        config = self.config
        return drawn_masks(config.maskable_streams, config.mask_share, rows, generator)

    def _timesteps(
        self, rows: int, draws: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        if self.timesteps is None:
            T = self.config.num_train_timesteps
            return spread_timesteps(T, rows, draws, generator), None
        return self.timesteps.draw(rows * draws, generator)

    def _shifted(
        self, values: Mapping[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        pixels = self.config.image_shift_pixels
        return {
            name: random_shift(value, pixels, generator) if name in self.encoders else value
            for name, value in values.items()
        }


def _unet_maker(
    config: DiffusionPolicyConfig, action_dim: int
) -> Callable[..., ConditionalUnet1d]:
    """Return what lacks only ``cond_dim`` to make a U-Net."""
    return partial(
        ConditionalUnet1d,
        action_dim=action_dim,
        channels=config.channels,
        kernel_size=config.kernel_size,
        num_groups=config.num_groups,
        timestep_dim=config.timestep_embedding_dim,
        cond_hidden=config.cond_hidden,
        input_dim=action_dim + config.given_columns,
        form=config.unet_form,
        answers=2 if config.variance == "learned_range" else 1,
    )


def _encoder(stream: StreamSpec, config: DiffusionPolicyConfig) -> ImageEncoder | ResNetEncoder:
    if config.image_encoder == "resnet18":
        return ResNetEncoder(stream.shape, config.num_keypoints, config.image_crop)
    return ImageEncoder(
        stream.shape, config.image_channels, config.num_keypoints, config.num_groups
    )


def _cond_dim(config: DiffusionPolicyConfig, streams: Sequence[StreamSpec]) -> int:
    """Dc: every stream at every step of the window, and which of the maskable ones it has."""
    sizes = [2 * config.num_keypoints if s.kind == "image" else s.shape[0] for s in streams]
    return config.n_obs_steps * sum(sizes) + len(config.maskable_streams)


def _normalizer(
    statistics: Mapping[str, Mapping[str, Sequence[float]]], name: str, size: int
) -> MinMaxNormalizer:
    if name not in statistics or len(statistics[name]["min"]) != size:
        have = {key: len(each["min"]) for key, each in statistics.items()}
        raise ValueError(f"statistics need {size} values of {name!r}, there are {have}")
    each = statistics[name]
    return MinMaxNormalizer(each["min"], each["max"], each.get("low"), each.get("high"))
