"""What is trained of a behaviour-cloning LSTM, and every choice that its checkpoints carry."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_controller.checkpoint import ACTION_STATISTICS
from ddpm_controller.diffusion.losses import simple_loss
from ddpm_controller.networks.belief import HistoryEncoder
from ddpm_controller.networks.image_encoder import ImageEncoder, random_shift
from ddpm_controller.networks.normalizer import MinMaxNormalizer
from ddpm_controller.policies.inputs.row_features import RowFeatures
from ddpm_controller.policies.memory.taught_moments import (
    executed_before,
    taught_moments,
    without_the_time_before,
)
from ddpm_controller.policies.restored import validated_config
from ddpm_controller.types import ActionSpec, StreamSpec

_POSITIVE = (
    "n_obs_steps", "horizon", "n_action_steps", "episode_steps", "targets_per_episode",
    "size", "hidden", "num_keypoints", "num_groups",
)  # fmt: skip


@dataclass(frozen=True)
class BcLstmConfig:
    """What the policy is; saved in its checkpoints.

    Attributes:
        n_obs_steps: Observations per window; must reach back to the plan before.
        horizon: Rows that are regressed, Tp; the first is for the newest observation.
        n_action_steps: Rows sent to the robot, Ta.
        episode_steps: Longest history in training, in rows; longer episodes lose their beginning.
        targets_per_episode: Moments of a history that one update teaches.
        size: Of the LSTM.
        hidden: Width of the two layers between it and the chunk.
        fade_s: Time in which the controller fades one chunk into another.
        action_noise: Added to the executed actions in training, in units of half their range.
        image_channels: Of the image encoder.
        num_keypoints: Per camera.
        num_groups: Of the encoder's group normalizations.
        image_shift_pixels: Largest random shift of training images.
        image_rows: Images of each history with a gradient.
    """

    n_obs_steps: int = 16
    horizon: int = 16
    n_action_steps: int = 8
    episode_steps: int = 256
    targets_per_episode: int = 8
    size: int = 96
    hidden: int = 256
    fade_s: float = 0.2
    action_noise: float = 0.05
    image_channels: tuple[int, ...] = (16, 32, 32)
    num_keypoints: int = 32
    num_groups: int = 8
    image_shift_pixels: int = 4
    image_rows: int = 16

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            _require(self, name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("action_noise", "fade_s", "image_shift_pixels", "image_rows"):
            _require(self, name, getattr(self, name) >= 0, "must not be below 0")
        inside = self.n_action_steps <= self.horizon
        _require(self, "n_action_steps", inside, f"must be at most horizon = {self.horizon}")

    @property
    def training_window(self) -> tuple[int, int]:
        """Observations and rows of one training example: a history, and a chunk at its end."""
        return self.episode_steps, self.episode_steps + self.horizon - 1


@dataclass(frozen=True)
class BcLstmSettings:
    """How a checkpoint is run; all of it can be overridden.

    Attributes:
        expected_delay_s: Time that a plan takes, in which what the robot does is settled; None:
            as plans of the run have taken.
    """

    expected_delay_s: float | None = None

    def __post_init__(self) -> None:
        delay_s = self.expected_delay_s
        if delay_s is not None and not 0 <= delay_s < math.inf:
            raise ValueError(f"expected_delay_s must be finite and not below 0, got {delay_s}")


def _require(config: BcLstmConfig, name: str, fulfilled: bool, rule: str) -> None:
    if not fulfilled:
        raise ValueError(f"{name} {rule}, got {getattr(config, name)!r}")


class BcLstmNetwork(nn.Module):
    """What is trained: image encoders, the LSTM and the regression, between normalizers."""

    def __init__(
        self,
        config: BcLstmConfig,
        action_spec: ActionSpec,
        streams: Sequence[StreamSpec],
        statistics: Mapping[str, Mapping[str, Sequence[float]]],
    ) -> None:
        super().__init__()
        self.config, self.streams = config, tuple(streams)
        self.normalizers, self.encoders = nn.ModuleDict(), nn.ModuleDict()
        for each in streams:
            if each.kind == "vector":
                self.normalizers[each.name] = _normalizer(statistics, each.name)
            else:
                self.encoders[each.name] = ImageEncoder(
                    each.shape, config.image_channels, config.num_keypoints, config.num_groups
                )
        self.action_normalizer = _normalizer(statistics, ACTION_STATISTICS)
        self.features = RowFeatures(
            self.streams, self.normalizers, self.encoders, config.num_keypoints
        )
        action_dim = len(action_spec.joint_names)
        self.history = HistoryEncoder(self.features.size, action_dim, config.size, "lstm")
        self.regression = nn.Sequential(
            nn.Linear(config.size, config.hidden),
            nn.Mish(),
            nn.Linear(config.hidden, config.hidden),
            nn.Mish(),
            nn.Linear(config.hidden, config.horizon * action_dim),
        )

    def chunk(self, read: Tensor) -> Tensor:
        """What is read of the memory (B, H) -> normalized chunk (B, Tp, Da)."""
        flat: Tensor = self.regression(read)
        return flat.unflatten(1, (self.config.horizon, self.history.action_dim))

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of another training of the same sizes.

        Raises:
            ValueError: If they do not fit.
        """
        try:
            self.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise ValueError(f"the initial checkpoint is not of this network: {error}") from error

    def forward(
        self, batch: Mapping[str, Any], generator: torch.Generator, noise_draws: int = 1
    ) -> Tensor:
        """Return ``loss``; so that a wrapper for many processes sees the call."""
        return self.loss(batch, generator, noise_draws)

    def loss(
        self, batch: Mapping[str, Any], generator: torch.Generator, noise_draws: int = 1
    ) -> Tensor:
        """Return the mean squared error of the chunks of some moments of each history, a scalar.

        Args:
            batch: ``values`` {stream: (B, L, ...)}, ``actions`` (B, L + Tp - 1, Da) SI units and
                ``mask`` (B, L + Tp - 1) bool, False where there is no episode.
            generator: Source of image shifts, image rows, noise and moments.
            noise_draws: Not used: there is no noise to draw.
        """
        config = self.config
        batch = without_the_time_before(batch, config.horizon)
        valid = batch["mask"][:, : batch["mask"].shape[1] - config.horizon + 1]
        values, noise = batch["values"], 0.0
        if self.training:
            values = {
                name: random_shift(value, config.image_shift_pixels, generator)
                if name in self.encoders
                else value
                for name, value in values.items()
            }
            noise = config.action_noise
        features = self.features.of_histories(values, valid, config.image_rows, generator)
        normalized = self.action_normalizer(batch["actions"])
        executed = executed_before(normalized, valid, noise, generator)
        read = self.history(features, executed, valid)
        count = config.targets_per_episode
        taught = taught_moments({**batch, "values": {}}, 1, config.horizon, count, generator)
        rows = taught.rows[:, :, None].expand(-1, -1, config.size)
        answer = self.chunk(read.gather(1, rows).flatten(0, 1))
        return simple_loss(answer, self.action_normalizer(taught.actions), taught.mask)


def config_from(values: Mapping[str, Any]) -> BcLstmConfig:
    """Return the config that ``dataclasses.asdict`` made ``values`` of, also by way of JSON.

    Raises:
        ValueError: If a field is unknown or breaks a rule.
    """
    return validated_config(values, BcLstmConfig)


def _normalizer(
    statistics: Mapping[str, Mapping[str, Sequence[float]]], name: str
) -> MinMaxNormalizer:
    if name not in statistics:
        raise ValueError(f"statistics of {name!r} are missing, there are {sorted(statistics)}")
    return MinMaxNormalizer(statistics[name]["min"], statistics[name]["max"])
