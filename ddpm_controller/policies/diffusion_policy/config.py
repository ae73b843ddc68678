"""What a Diffusion Policy (Chi et al. 2023, RSS) is: every choice that its checkpoints carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict

from ddpm_controller.diffusion.samplers import SAMPLERS
from ddpm_controller.diffusion.schedules import SCHEDULES
from ddpm_controller.diffusion.targets import Prediction
from ddpm_controller.diffusion.timesteps import Spacing
from ddpm_controller.diffusion.variances import Variance
from ddpm_controller.networks.unet1d import UnetForm, check_unet_sizes
from ddpm_controller.policies.restored import validated_config
from ddpm_controller.policies.seams.strategies import SeamSettings

ForwardProcessName = Literal["fixed", "scalar", "element", "recorded"]
"""fixed: the schedule as it is; scalar: one learned schedule; element: one learned for every row
and joint, given the observation; recorded: the noise shaped as a recording's."""
TimestepSampling = Literal["uniform", "loss_second_moment"]
EncoderName = Literal["small", "resnet18"]
"""small: a few convolutions; resnet18: ResNet-18, as the code that Chi et al. released has it."""
DdimNoise = Literal["of_clipped", "predicted"]
"""of_clipped: ddim continues along the noise that is left of x_t beside the clipped x_0, so that
both agree; predicted: along the noise that the network predicts, clipped or not, which is the
default of diffusers."""

MOST_TIMESTEPS, MOST_ROWS = 100_000, 10_000
"""A manifest that asks for more would take memory in proportion; papers have 1000 and 64."""


_BEFORE_SEAMS = "rtc_exact"
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "schedule": tuple(SCHEDULES),
    "sampler": tuple(SAMPLERS),
    "prediction": get_args(Prediction),
    "spacing": get_args(Spacing),
    "variance": get_args(Variance),
    "forward_process": get_args(ForwardProcessName),
    "timestep_sampling": get_args(TimestepSampling),
    "unet_form": get_args(UnetForm),
    "image_encoder": get_args(EncoderName),
    "ddim_noise": get_args(DdimNoise),
}


@dataclass(frozen=True)
class DiffusionPolicyConfig:
    """What the policy is; saved in its checkpoints.

    Attributes:
        n_obs_steps: Observations per window, To.
        horizon: Rows that are denoised, Tp; the first is for the oldest observation.
        n_action_steps: Rows sent to the robot, Ta, from the newest observation on.
        num_train_timesteps: Noise levels, T.
        schedule: Key of ``diffusion.schedules.SCHEDULES``.
        zero_terminal_snr: Rescale the schedule so that no signal is left at T - 1; not with
            prediction "epsilon".
        forward_process: What adds the noise.
        bound_steps: Steps of the chain whose bound trains a learned schedule.
        noise: Fields of the file that `ddpm fit-noise` has written; for "recorded" only. A recipe
            names the file.
        prediction: What the network answers.
        variance: Variance of a step backwards; the network learns it with "learned_range".
        bound_weight: Weight of the bound, nats per element, beside L_simple with "learned_range".
        timestep_sampling: How training draws t.
        clip_x0: Hold every estimate of the clean chunk within the range seen in training.
        threshold_quantile: In its place hold each chunk within this quantile of its own absolute
            values (Saharia et al. 2022); 0: off.
        sampler: Key of ``diffusion.samplers.SAMPLERS``.
        ddim_noise: Noise along which the sampler ddim continues: of_clipped, what is left of x_t
            beside the clipped x_0, or predicted, as the network has it.
        num_inference_steps: Denoising steps per plan.
        spacing: Which timesteps a short chain visits.
        prefix_rows: Largest number of first rows that training gives the network clean, as those
            that a robot executes while it plans (Black et al. 2025, arXiv:2512.05964): enough for
            plans below (prefix_rows - n_obs_steps) periods. 0: none, and no seam "prefix".
        seam: How a plan is joined to the one before.
        unet_form: Where the U-Net's way up is joined with its way down: standard, after doubling,
            or released, before it, as in the code that Chi et al. released and in LeRobot.
        channels: Widths of the U-Net's levels; each level halves the time axis.
        kernel_size: Kernel size of the U-Net's convolutions, odd.
        num_groups: Number of groups of every group normalization; divides all widths.
        timestep_embedding_dim: Features of the timestep.
        cond_hidden: Width of two layers through which the condition goes first; 0: none.
        image_encoder: Network that sees images: small, a few convolutions, or resnet18.
        image_crop: Height and width of the middle of an image that resnet18 sees; None: all.
        image_channels: Widths of the small image encoder's layers; the first two halve the image.
        num_keypoints: Image points per camera and frame that the policy sees.
        image_shift_pixels: Largest random shift of training images; costs precision of place.
        goal_streams: Vector streams that hold a goal: at a plan they are refused outside
            the range of the training.
        maskable_streams: Streams without which it learns to plan, see ``when_stale: mask`` in a
            robot file.
        mask_share: Share of the training windows, without each of them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    n_obs_steps: int = 2
    horizon: int = 16
    n_action_steps: int = 8
    num_train_timesteps: int = 100
    schedule: Literal["linear", "linear_unscaled", "cosine", "scaled_linear", "sigmoid"] = "cosine"
    zero_terminal_snr: bool = False
    forward_process: ForwardProcessName = "fixed"
    bound_steps: int = 8
    noise: dict[str, Any] | None = None
    prediction: Prediction = "epsilon"
    variance: Variance = "fixed_small"
    bound_weight: float = 0.1
    timestep_sampling: TimestepSampling = "uniform"
    clip_x0: bool = True
    threshold_quantile: float = 0.0
    sampler: str = "ddim"
    ddim_noise: DdimNoise = "of_clipped"
    num_inference_steps: int = 10
    spacing: Spacing = "leading"
    prefix_rows: int = 0
    seam: SeamSettings = field(default_factory=SeamSettings)
    unet_form: UnetForm = "standard"
    channels: tuple[int, ...] = (64, 128, 256)
    kernel_size: int = 5
    num_groups: int = 8
    timestep_embedding_dim: int = 128
    cond_hidden: int = 0
    image_encoder: EncoderName = "small"
    image_crop: tuple[int, int] | None = None
    image_channels: tuple[int, ...] = (16, 32, 32)
    num_keypoints: int = 32
    image_shift_pixels: int = 4
    goal_streams: tuple[str, ...] = ()
    maskable_streams: tuple[str, ...] = ()
    mask_share: float = 0.1

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            _require(self, name, getattr(self, name) in known, f"must be one of {sorted(known)}")
        _require(self, "n_obs_steps", self.n_obs_steps >= 1, "must be at least 1")
        _refuse_endless(self)
        for name in ("image_shift_pixels", "cond_hidden", "bound_weight"):
            _require(self, name, getattr(self, name) >= 0, "must not be below 0")
        _require(self, "mask_share", 0 <= self.mask_share < 1, "must be in [0, 1)")
        quantile = self.threshold_quantile
        _require(self, "threshold_quantile", 0 <= quantile <= 1, "must be in [0, 1]")
        for name in ("num_inference_steps", "bound_steps"):
            inside = 1 <= getattr(self, name) <= self.num_train_timesteps
            rule = f"must be between 1 and num_train_timesteps = {self.num_train_timesteps}"
            _require(self, name, inside, rule)
        _require(
            self,
            "noise",
            (self.noise is not None) == (self.forward_process == "recorded"),
            f"belongs to forward_process 'recorded' and only to it, not {self.forward_process!r}",
        )
        _require(
            self,
            "prediction",
            not (self.zero_terminal_snr and self.prediction == "epsilon"),
            "must be 'v' or 'x0' with zero_terminal_snr: pure noise has no part of the signal",
        )
        cropped = self.image_crop is None or self.image_encoder == "resnet18"
        _require(self, "image_crop", cropped, "belongs to image_encoder 'resnet18'")
        refuse_prefix_rows(self)
        if not self.seam.strategy:  # so that its checkpoints name what it is
            object.__setattr__(self, "seam", self.seam.chosen_for(self.prefix_rows))
        refuse_untrained_prefix(self, self.seam)
        refuse_rows(self, self.n_action_steps)
        check_unet_sizes(
            self.horizon, self.channels, self.kernel_size, self.num_groups, self.unet_form
        )

    @property
    def training_window(self) -> tuple[int, int]:
        """Observations and rows of a training window."""
        return self.n_obs_steps, self.horizon

    @property
    def given_columns(self) -> int:
        """Columns that the network sees beside those of the chunk: which rows are given."""
        return 1 if self.prefix_rows else 0


def _refuse_endless(config: "DiffusionPolicyConfig") -> None:
    for name, most in (("num_train_timesteps", MOST_TIMESTEPS), ("horizon", MOST_ROWS)):
        _require(config, name, getattr(config, name) <= most, f"must be {most} at the most")


def _require(config: "DiffusionPolicyConfig", name: str, fulfilled: bool, rule: str) -> None:
    if not fulfilled:
        raise ValueError(f"{name} {rule}, got {getattr(config, name)!r}")


@dataclass(frozen=True)
class DenoisingSettings:
    """How a checkpoint is run; all of it can be overridden.

    Attributes:
        sampler: Key of ``diffusion.samplers.SAMPLERS``.
        num_inference_steps: Denoising steps per plan.
        spacing: Which timesteps a short chain visits.
        seam: How a plan is joined to the one before, key of ``seams.strategies.STRATEGIES``.
        surprise: Departure from what was expected beyond which a plan begins again without the
            one before; 0: never.
        expected_delay_s: Time that a plan takes, in which what the robot does is settled; None:
            as plans of the run have taken.
    """

    sampler: str
    num_inference_steps: int
    spacing: Spacing
    seam: str
    surprise: float
    expected_delay_s: float | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler {self.sampler!r}: use one of {sorted(SAMPLERS)}")
        if self.num_inference_steps < 1:
            raise ValueError(
                f"num_inference_steps must be at least 1, got {self.num_inference_steps}"
            )
        self.joined_as(SeamSettings())

    def joined_as(self, by_checkpoint: SeamSettings) -> SeamSettings:
        """Return the settings of the seams, the rest of them as in the checkpoint.

        Raises:
            ValueError: If one breaks a rule.
        """
        return replace(
            by_checkpoint,
            strategy=self.seam,
            expected_delay_s=self.expected_delay_s,
            surprise=self.surprise,
        )


def denoising_settings(config: DiffusionPolicyConfig) -> DenoisingSettings:
    """Return how a checkpoint is run by default."""
    seam = config.seam
    return DenoisingSettings(
        sampler=config.sampler,
        num_inference_steps=config.num_inference_steps,
        spacing=config.spacing,
        seam=seam.strategy,
        surprise=seam.surprise,
        # 0 is in checkpoints from before delays were measured: it means nothing.
        expected_delay_s=seam.expected_delay_s or None,
    )


def refuse_rows(config: DiffusionPolicyConfig, n_action_steps: int) -> None:
    """Raise ValueError unless a chunk of ``n_action_steps`` rows lies within the horizon."""
    available = config.horizon - config.n_obs_steps + 1
    if not 1 <= n_action_steps <= available:
        raise ValueError(
            f"n_action_steps must be between 1 and {available} = horizon {config.horizon} - "
            f"n_obs_steps {config.n_obs_steps} + 1, got {n_action_steps}"
        )


def refuse_prefix_rows(config: DiffusionPolicyConfig) -> None:
    """Raise ValueError where not even a plan that takes no time could use the given rows."""
    fewest, most = config.n_obs_steps + 1, config.horizon - 1
    inside = config.prefix_rows == 0 or fewest <= config.prefix_rows <= most
    rule = f"must be 0, or between n_obs_steps + 1 = {fewest} and horizon - 1 = {most}"
    _require(config, "prefix_rows", inside, rule)


def refuse_untrained_prefix(config: DiffusionPolicyConfig, seam: SeamSettings) -> None:
    """Raise ValueError where a seam gives rows to a network that was never given any."""
    if seam.strategy == "prefix" and not config.prefix_rows:
        raise ValueError(
            "seam 'prefix' gives the network the rows that are settled, and this one was trained "
            "without (prefix_rows 0): use 'warm_replace', or train it further with prefix_rows "
            "and this checkpoint as initial_checkpoint"
        )


def config_from(values: Mapping[str, Any]) -> DiffusionPolicyConfig:
    """Return the config that ``dataclasses.asdict`` made ``values`` of, also by way of JSON.

    Without a seam it is of a checkpoint from before there was a choice.

    Raises:
        ValueError: If a field is unknown or breaks a rule.
    """
    return validated_config({"seam": {"strategy": _BEFORE_SEAMS}, **values}, DiffusionPolicyConfig)
