"""What a Diff-Control policy (Liu et al. 2024, IROS) is: a denoiser and what it remembers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from ddpm_controller.checkpoint import Checkpoint, CheckpointError
from ddpm_controller.policies.diffusion_policy.config import (
    DenoisingSettings,
    DiffusionPolicyConfig,
    config_from,
    denoising_settings,
)
from ddpm_controller.policies.overrides import as_overrides
from ddpm_controller.policies.restored import validated_config

StateName = Literal["controlnet", "as_released", "chunk_prior", "belief"]
"""controlnet: a control branch on a frozen base, given the chunk before; as_released: the same
as the published code has it, for comparison only; chunk_prior: the chunk before beside the noisy
one, trained from scratch; belief: a recurrent state over all that was seen and executed."""
CONTROLLED = ("controlnet", "as_released")
"""States that need a base."""
LARGEST_SCALE = 1.5
"""Of the transition."""

AS_RELEASED: Mapping[str, Any] = {
    "shift": False,
    "mask": False,
    "null_prior_share": 0.0,
    "prior_noise": 0.0,
    "own_chunks_share": 0.0,
    "branch_every": 1,
}
"""What the published code leaves out."""
_FREE = {
    *("n_action_steps", "bound_steps", "bound_weight", "timestep_sampling", "clip_x0"),
    *("threshold_quantile", "sampler", "ddim_noise", "num_inference_steps", "spacing", "seam"),
    *("image_shift_pixels", "goal_streams", "mask_share"),
}
"""Fields in which a policy may differ from its base."""
_OF_ENCODERS = {
    *("image_encoder", "image_crop", "image_channels", "num_keypoints", "num_groups"),
}
"""Fields in which a policy that takes encoders alone must be as where they are from."""


@dataclass(frozen=True)
class DiffControlConfig:
    """What the policy is; saved in its checkpoints.

    Attributes:
        policy: The denoiser, and what it observes now.
        state: What it remembers.
        base_hash: Hash of the diffusion_policy checkpoint that a control branch was trained on, or
            of the checkpoint whose frozen encoders a belief sees with; in a recipe empty, or the
            one that it must be.
        transition_scale: w: the answer is base + w (controlled - base), in [0, 1.5].
        null_prior_share: Share of the training examples, without the chunk before.
        prior_noise: Largest deviation of the noise on the chunk before in training, normalized
            units; drawn evenly for each example.
        own_chunks_from: Share of the training behind which some examples have a chunk of the
            network's own before them, instead of the demonstrated one.
        own_chunks_share: How many of them.
        own_chunk_steps: Denoising steps from noise alone; such a chunk is given the last of them.
        own_chunk_level: How noisy the demonstrated chunk is made of which it is denoised, as a
            share of the timesteps; 1: so noisy that hardly anything of it is left.
        branch_every: Denoising steps of a plan for which a control branch is asked once; between
            two of them it adds its last answer.
        shift: Whether the chunk before is moved to the moments of the new one.
        mask: Whether the network is given a mask of that chunk's rows, and its age.
        belief_size: Numbers of a belief, H.
        belief_cell: What folds the ticks into a belief: ``gru``, or a ``transformer`` over the
            last ``episode_steps`` of them.
        past_steps: Executed actions that a belief is trained to predict, so that it does not
            forget; 0: none.
        future_steps: Actions from now on that the belief of every row is trained to predict,
            where a plan is learned at few of them; 0: none.
        history_steps: Observations per window of a belief: those that may be new at a plan.
        episode_steps: Longest history in training, in rows; longer episodes lose their beginning.
        targets_per_episode: Moments of a history that one update teaches.
        action_noise: Deviation of the noise on the executed actions that a belief is given in
            training, in half ranges.
        image_rows: Images of each history whose features have a gradient, for a belief.
        frozen_encoders: A belief sees with the image encoders of ``initial_checkpoint``, which do
            not learn, so that the features of every image are found once, before the training.
    """

    policy: DiffusionPolicyConfig = field(default_factory=DiffusionPolicyConfig)
    state: StateName = "controlnet"
    base_hash: str = ""
    transition_scale: float = 1.0
    null_prior_share: float = 0.1
    prior_noise: float = 0.2
    own_chunks_from: float = 0.75
    own_chunks_share: float = 0.4
    own_chunk_steps: int = 8
    own_chunk_level: float = 0.5
    branch_every: int = 4
    shift: bool = True
    mask: bool = True
    belief_size: int = 96
    belief_cell: Literal["gru", "transformer"] = "gru"
    past_steps: int = 0
    future_steps: int = 0
    history_steps: int = 16
    episode_steps: int = 256
    targets_per_episode: int = 8
    action_noise: float = 0.05
    image_rows: int = 16
    frozen_encoders: bool = False

    def __post_init__(self) -> None:
        known = get_args(StateName)
        self._require("state", self.state in known, f"must be one of {sorted(known)}")
        if self.state == "as_released":
            for name, value in AS_RELEASED.items():  # so that its checkpoints name what it is
                object.__setattr__(self, name, value)
        refuse_scale(self.transition_scale)
        released = self.state == "as_released" and self.policy.prefix_rows
        rule = "is as the published code has it, which gives no rows: use prefix_rows 0"
        self._require("state", not released, rule)
        for name in ("null_prior_share", "own_chunks_from", "own_chunks_share"):
            self._require(name, 0 <= getattr(self, name) <= 1, "must be in [0, 1]")
        self._require("prior_noise", 0 <= self.prior_noise < 10, "must be in [0, 10)")
        steps = self.policy.num_train_timesteps
        fits = self.state == "belief" or 1 <= self.own_chunk_steps <= steps
        self._require("own_chunk_steps", fits, f"must be between 1 and {steps}")
        self._require("own_chunk_level", 0 < self.own_chunk_level <= 1, "must be in (0, 1]")
        self._require("branch_every", self.branch_every >= 1, "must be at least 1")
        frozen = self.frozen_encoders
        rule = f"is for a belief, not for state {self.state!r}"
        self._require("frozen_encoders", not frozen or self.state == "belief", rule)
        needless = self.base_hash and not self.has_base
        rule = f"belongs to {CONTROLLED} and to frozen_encoders, not to {self.state!r}"
        self._require("base_hash", not needless, rule)
        pixels = self.policy.image_shift_pixels
        rule = f"needs image_shift_pixels 0, not {pixels}: features are kept of images as they are"
        self._require("frozen_encoders", not frozen or pixels == 0, rule)
        for name in ("belief_size", "episode_steps", "targets_per_episode"):
            self._require(name, getattr(self, name) >= 1, "must be at least 1")
        whole = self.belief_cell != "transformer" or self.belief_size % 4 == 0
        self._require("belief_size", whole, "must be a multiple of 4 for a transformer")
        cells = ("gru", "transformer")
        self._require("belief_cell", self.belief_cell in cells, f"must be one of {cells}")
        for name in ("action_noise", "image_rows", "past_steps", "future_steps"):
            self._require(name, getattr(self, name) >= 0, "must not be below 0")
        fewest = max(self.policy.n_obs_steps, self.policy.n_action_steps)
        reaches = self.state != "belief" or self.history_steps >= fewest
        rule = f"must be at least {fewest}, the observations and the rows between two plans"
        self._require("history_steps", reaches, rule)

    def _require(self, name: str, fulfilled: bool, rule: str) -> None:
        if not fulfilled:
            raise ValueError(f"{name} {rule}, got {getattr(self, name)!r}")

    @property
    def n_obs_steps(self) -> int:
        """Observations that the denoiser sees."""
        return self.policy.n_obs_steps

    @property
    def horizon(self) -> int:
        """Rows that are denoised."""
        return self.policy.horizon

    @property
    def n_action_steps(self) -> int:
        """Rows that are sent; also the most rows by which two chunks are apart in training."""
        return self.policy.n_action_steps

    @property
    def has_base(self) -> bool:
        """Whether weights of another checkpoint are in it, which do not learn."""
        return self.is_controlled or self.frozen_encoders

    @property
    def is_controlled(self) -> bool:
        """Whether it is a control branch on a base whose weights, all of them, do not learn."""
        return self.state in CONTROLLED

    @property
    def training_window(self) -> tuple[int, int]:
        """Observations and rows of a training window.

        With the two chunks before, or for a belief with the whole history before the chunk.
        """
        if self.state == "belief":
            return self.episode_steps, self.episode_steps + self.horizon - 1
        reach = 2 * self.n_action_steps
        return self.n_obs_steps + reach, self.horizon + reach

    def based_on(self, initial: Checkpoint | None) -> "DiffControlConfig":
        """Return the config with the hash of the base that it begins with.

        Raises:
            CheckpointError: If a base is missing, of another hash or kind, or has a config with
                which it cannot be this policy's; with both sides.
        """
        if not self.has_base:
            return self
        if initial is None:
            raise CheckpointError(
                f"state {self.state!r} is trained on a frozen base: name the folder of its "
                "diffusion_policy checkpoint as initial_checkpoint"
                if self.state in CONTROLLED
                else "frozen_encoders are those of another checkpoint: name its folder as "
                "initial_checkpoint"
            )
        found = self._hash_of_base(initial)
        if self.base_hash and self.base_hash != found:
            raise CheckpointError(
                f"{initial.folder}: the base is {found}, the recipe's base_hash is "
                f"{self.base_hash}; name that checkpoint or leave base_hash out"
            )
        self._refuse_other(initial)
        return replace(self, base_hash=found)

    def _hash_of_base(self, initial: Checkpoint) -> str:
        manifest = initial.manifest
        if manifest.kind == "diffusion_policy":
            return initial.hash
        state = manifest.config["state"] if manifest.kind == "diff_control" else None
        of_base = str(manifest.config.get("base_hash", ""))
        if self.state in CONTROLLED and state in CONTROLLED:
            return of_base
        if self.state == state:  # a belief that has learned to see, or that has such eyes itself
            return of_base or initial.hash
        raise CheckpointError(
            f"{initial.folder}: the base must be of kind 'diffusion_policy', or continue "
            f"one with state {self.state!r}, got {manifest.kind!r}"
            + (f" with state {state!r}" if state else "")
        )

    def _refuse_other(self, initial: Checkpoint) -> None:
        of_base = initial.manifest.config
        theirs = asdict(config_from(of_base.get("policy", of_base)))
        mine = asdict(self.policy)
        encoders_alone = self.frozen_encoders and initial.manifest.kind == "diffusion_policy"
        needed = _OF_ENCODERS if encoders_alone else mine.keys() - _FREE
        differing = [
            f"{name}: {theirs[name]} there, {mine[name]} here"
            for name in mine
            if name in needed and mine[name] != theirs[name]
        ]
        if differing:
            raise CheckpointError(
                f"{initial.folder} cannot be the base, for these fields must agree: "
                f"{'; '.join(differing)}"
            )


@dataclass(frozen=True)
class DiffControlSettings(DenoisingSettings):
    """How a checkpoint is run; all of it can be overridden.

    Attributes:
        transition_scale: w, the weight of what is remembered; None for a state that has no
            transition apart from the rest.
    """

    transition_scale: float | None = None

    @property
    def denoising(self) -> dict[str, float | str]:
        """Overrides of the denoiser that make the rest."""
        every = as_overrides(self)
        return {name: value for name, value in every.items() if name != "transition_scale"}


def diff_control_settings(config: DiffControlConfig) -> DiffControlSettings:
    """Return how a checkpoint is run by default."""
    scale = None if config.state == "belief" else config.transition_scale
    return DiffControlSettings(**asdict(denoising_settings(config.policy)), transition_scale=scale)


def refuse_scale(scale: float) -> None:
    """Raise ValueError unless ``scale`` can be that of a transition."""
    if not 0 <= scale <= LARGEST_SCALE:
        raise ValueError(f"transition_scale must be in [0, {LARGEST_SCALE}], got {scale}")


def diff_control_config_from(values: Mapping[str, Any]) -> DiffControlConfig:
    """Return the config that ``dataclasses.asdict`` made ``values`` of, also by way of JSON.

    Raises:
        ValueError: If a field is unknown or breaks a rule.
    """
    rest = {**values, "policy": config_from(values.get("policy", {}))}
    return validated_config(rest, DiffControlConfig)
