"""What a Diffusion Policy (Chi et al. 2023, RSS) is and what is trained; it plans elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from ddpm_controller.checkpoint import ACTION_STATISTICS
from ddpm_controller.diffusion.gaussian import GaussianProcess, standard_normal
from ddpm_controller.diffusion.losses import simple_loss
from ddpm_controller.diffusion.samplers import SAMPLERS, Spacing, spaced_timesteps
from ddpm_controller.diffusion.schedules import SCHEDULES
from ddpm_controller.diffusion.targets import Prediction, training_target
from ddpm_controller.networks.image_encoder import ImageEncoder, random_shift
from ddpm_controller.networks.normalizer import MinMaxNormalizer, normalize_images
from ddpm_controller.networks.unet1d import ConditionalUnet1d, check_unet_sizes
from ddpm_controller.types import ActionSpec, StreamSpec

Batch = Mapping[str, Any]
"""``values`` {stream: (B, To, D) float32 or (B, To, H, W, 3) uint8}, ``actions`` (B, Tp, Da)
float32 in SI units whose row ``To - 1`` is for the newest observation, ``mask`` (B, Tp) bool."""


@dataclass(frozen=True)
class DiffusionPolicyConfig:
    """What the policy is; saved in its checkpoints.

    Attributes:
        n_obs_steps: Observations per window, To.
        horizon: Rows that are denoised, Tp; the first is for the oldest observation.
        n_action_steps: Rows sent to the robot, Ta, from the newest observation on.
        num_train_timesteps: Noise levels, T.
        schedule: Key of ``diffusion.schedules.SCHEDULES``.
        prediction: What the network answers.
        clip_x0: Hold every estimate of the clean chunk within the range seen in training.
        sampler: Key of ``diffusion.samplers.SAMPLERS``.
        num_inference_steps: Denoising steps per plan.
        spacing: Which timesteps a short chain visits.
        channels: Widths of the U-Net's levels; each level halves the time axis.
        kernel_size: Of the U-Net's convolutions, odd.
        num_groups: Of every group normalization; divides all widths.
        timestep_embedding_dim: Features of the timestep.
        image_channels: Widths of the image encoder's layers; the first two halve the image.
        num_keypoints: Image points per camera and frame that the policy sees.
        image_shift_pixels: Largest random shift of training images; costs precision of place.
    """

    n_obs_steps: int = 2
    horizon: int = 16
    n_action_steps: int = 8
    num_train_timesteps: int = 100
    schedule: Literal["linear", "cosine"] = "cosine"
    prediction: Prediction = "epsilon"
    clip_x0: bool = True
    sampler: Literal["ddpm", "ddim"] = "ddim"
    num_inference_steps: int = 10
    spacing: Spacing = "leading"
    channels: tuple[int, ...] = (64, 128, 256)
    kernel_size: int = 5
    num_groups: int = 8
    timestep_embedding_dim: int = 128
    image_channels: tuple[int, ...] = (16, 32, 32)
    num_keypoints: int = 32
    image_shift_pixels: int = 4

    def __post_init__(self) -> None:
        for name, known in (("schedule", SCHEDULES), ("sampler", SAMPLERS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r}: use one of {sorted(known)}")
        for name, known_values in (("prediction", Prediction), ("spacing", Spacing)):
            if getattr(self, name) not in get_args(known_values):
                choices = list(get_args(known_values))
                raise ValueError(f"{name} {getattr(self, name)!r}: use one of {choices}")
        if self.n_obs_steps < 1 or self.image_shift_pixels < 0:
            raise ValueError(
                f"n_obs_steps must be at least 1 and image_shift_pixels at least 0, got "
                f"{self.n_obs_steps} and {self.image_shift_pixels}"
            )
        refuse_rows(self, self.n_action_steps)
        check_unet_sizes(self.horizon, self.channels, self.kernel_size, self.num_groups)
        spaced_timesteps(self.num_train_timesteps, self.num_inference_steps)


def refuse_rows(config: DiffusionPolicyConfig, n_action_steps: int) -> None:
    """Raise ValueError unless a chunk of ``n_action_steps`` rows lies within the horizon."""
    available = config.horizon - config.n_obs_steps + 1
    if not 1 <= n_action_steps <= available:
        raise ValueError(
            f"n_action_steps must be between 1 and {available} = horizon {config.horizon} - "
            f"n_obs_steps {config.n_obs_steps} + 1, got {n_action_steps}"
        )


def config_from(values: Mapping[str, Any]) -> DiffusionPolicyConfig:
    """Return the config that ``dataclasses.asdict`` made ``values`` of, also by way of JSON.

    Raises:
        ValueError: If a field is unknown or breaks a rule.
    """
    unknown = sorted(set(values) - {field.name for field in fields(DiffusionPolicyConfig)})
    if unknown:
        raise ValueError(f"unknown fields {unknown} in the config")
    return TypeAdapter(DiffusionPolicyConfig).validate_python(dict(values))


class DiffusionPolicyNetwork(nn.Module):
    """What is trained: image encoders and the U-Net, between normalizers.

    ``statistics`` are {stream or "action": {"min": [...], "max": [...]}} in SI units.
    """

    def __init__(
        self,
        config: DiffusionPolicyConfig,
        action_spec: ActionSpec,
        streams: Sequence[StreamSpec],
        statistics: Mapping[str, Mapping[str, Sequence[float]]],
    ) -> None:
        super().__init__()
        self.config = config
        self.streams = tuple(streams)
        self.process = GaussianProcess(SCHEDULES[config.schedule](config.num_train_timesteps))
        action_dim = len(action_spec.joint_names)
        self.action_normalizer = _normalizer(statistics, ACTION_STATISTICS, action_dim)
        self.normalizers = nn.ModuleDict(
            {
                each.name: _normalizer(statistics, each.name, each.shape[0])
                for each in streams
                if each.kind == "vector"
            }
        )
        self.encoders = nn.ModuleDict(
            {
                each.name: ImageEncoder(
                    each.shape, config.image_channels, config.num_keypoints, config.num_groups
                )
                for each in streams
                if each.kind == "image"
            }
        )
        per_step = sum(
            2 * config.num_keypoints if each.kind == "image" else each.shape[0] for each in streams
        )
        self.unet = ConditionalUnet1d(
            action_dim=action_dim,
            cond_dim=config.n_obs_steps * per_step,
            channels=config.channels,
            kernel_size=config.kernel_size,
            num_groups=config.num_groups,
            timestep_dim=config.timestep_embedding_dim,
        )

    def encode(self, values: Mapping[str, Tensor]) -> Tensor:
        """{stream: (B, To, ...)} in SI units or uint8 -> cond (B, Dc)."""
        features = []
        for stream in self.streams:
            value = values[stream.name]
            if stream.kind == "image":
                flat = normalize_images(value.flatten(0, 1))  # (B * To, 3, H, W)
                features.append(self.encoders[stream.name](flat).reshape(len(value), -1))
            else:
                features.append(self.normalizers[stream.name](value).flatten(1))
        return torch.cat(features, dim=1)

    def denoise(self, xt: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Noisy normalized chunk (B, Tp, Da), t (B,), cond (B, Dc) -> prediction (B, Tp, Da)."""
        prediction: Tensor = self.unet(xt, t, cond)
        return prediction

    def forward(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return ``loss``; so that a wrapper for many processes sees the call."""
        return self.loss(batch, generator, noise_draws)

    def loss(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return L_simple of a batch, a scalar. Images are shifted in training mode only.

        Args:
            batch: See ``Batch``.
            generator: Source of image shifts, timesteps and noise, in this order.
            noise_draws: Timesteps and noises per example. The observations are encoded once for
                all of them; the timesteps of one example are spread evenly over the chain, which
                leaves each uniform.
        """
        values = batch["values"]
        if self.training:
            values = self._shifted(values, generator)
        cond = self.encode(values).repeat_interleave(noise_draws, dim=0)  # (B * K, Dc)
        x0 = self.action_normalizer(batch["actions"])
        x0 = x0.repeat_interleave(noise_draws, dim=0)
        mask = batch["mask"].repeat_interleave(noise_draws, dim=0)
        place = torch.rand(len(batch["actions"]), noise_draws, generator=generator)
        place = (torch.arange(noise_draws) + place) / noise_draws  # in [0, 1)
        t = (place * self.config.num_train_timesteps).long().flatten()
        t = t.clamp(max=self.config.num_train_timesteps - 1).to(x0.device)  # rounding can reach 1
        noise = standard_normal(tuple(x0.shape), generator).to(x0.device)
        answer = self.denoise(self.process.sample(x0, t, noise), t, cond)
        target = training_target(self.process, x0, noise, t, self.config.prediction)
        return simple_loss(answer, target, mask)

    def _shifted(
        self, values: Mapping[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        pixels = self.config.image_shift_pixels
        return {
            name: random_shift(value, pixels, generator) if name in self.encoders else value
            for name, value in values.items()
        }


def _normalizer(
    statistics: Mapping[str, Mapping[str, Sequence[float]]], name: str, size: int
) -> MinMaxNormalizer:
    if name not in statistics or len(statistics[name]["min"]) != size:
        have = {key: len(each["min"]) for key, each in statistics.items()}
        raise ValueError(f"statistics need {size} values of {name!r}, there are {have}")
    return MinMaxNormalizer(statistics[name]["min"], statistics[name]["max"])
