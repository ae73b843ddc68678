"""What a consistency distillation (Prasad et al. 2024, RSS, arXiv:2405.07503) is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ddpm_controller.checkpoint import Checkpoint, CheckpointError
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig, config_from

TEACHER_KIND = "diffusion_policy"

AS_STUDENT: Mapping[str, Any] = {
    "prediction": "v",
    "variance": "fixed_small",
    "timestep_sampling": "uniform",
    "sampler": "consistency",
    "spacing": "signal",
    "num_inference_steps": 2,
}
"""Fields in which a student is another than its teacher."""
_FREE = {
    *AS_STUDENT,
    *("n_action_steps", "bound_steps", "bound_weight", "clip_x0", "threshold_quantile", "seam"),
    *("image_shift_pixels", "goal_streams", "mask_share", "ddim_noise"),
}
"""Fields in which it may be another one."""


@dataclass(frozen=True)
class ConsistencyConfig:
    """What the distillation is. What it ends with is a checkpoint of kind diffusion_policy.

    Attributes:
        policy: The student, in all that decides about weights as its teacher, whose
            ``initial_checkpoint`` it needs. It predicts ``v``: then the consistency function is
            signal x_t - spread v, which is x_t where there is no noise.
        teacher: Config of the teacher; in a recipe empty.
        levels: Steps of the teacher from noise alone to a clean chunk that the student learns to
            jump over, spaced evenly.
        growing_share: Share of the training in which their number doubles from one to ``levels``.
            With one level the student learns what its teacher answers.
        target_decay: Decay, per update, of the average of the student that answers at the end of
            a step of the teacher.
    """

    policy: DiffusionPolicyConfig = field(
        default_factory=lambda: DiffusionPolicyConfig(**AS_STUDENT)
    )
    teacher: DiffusionPolicyConfig | None = None
    levels: int = 8
    growing_share: float = 0.5
    target_decay: float = 0.95

    def __post_init__(self) -> None:
        most = self.policy.num_train_timesteps
        self._require("levels", 1 <= self.levels <= most, f"must be between 1 and {most}")
        for name in ("growing_share", "target_decay"):
            self._require(name, 0 <= getattr(self, name) < 1, "must be in [0, 1)")

    def _require(self, name: str, fulfilled: bool, rule: str) -> None:
        if not fulfilled:
            raise ValueError(f"{name} {rule}, got {getattr(self, name)!r}")

    @classmethod
    def of(cls, teacher: Checkpoint, num_inference_steps: int, levels: int) -> "ConsistencyConfig":
        """Return the distillation of a checkpoint to so many evaluations per plan.

        Raises:
            CheckpointError: If it is of another kind.
            ValueError: If a number breaks a rule.
        """
        config = _teacher_config(teacher)
        student = {**AS_STUDENT, "num_inference_steps": num_inference_steps}
        return cls(policy=replace(config, **student), levels=levels)

    @property
    def training_window(self) -> tuple[int, int]:
        """Observations and rows of a training window."""
        return self.policy.training_window

    @property
    def n_action_steps(self) -> int:
        """Rows that are sent."""
        return self.policy.n_action_steps

    def levels_at(self, progress: float) -> int:
        """Return the number of levels at this share of the training: 1, 2, 4 ... ``levels``."""
        stages = (self.levels - 1).bit_length()
        if progress >= self.growing_share:
            return self.levels
        return int(min(2 ** int(progress / self.growing_share * stages), self.levels))

    def based_on(self, initial: Checkpoint | None) -> "ConsistencyConfig":
        """Return the config with that of the teacher that it begins with.

        Raises:
            CheckpointError: If the teacher is missing, of another kind, or has a config with which
                it cannot be this student's; with both sides.
        """
        if initial is None:
            raise CheckpointError(
                "a distillation needs its teacher: name the folder of a checkpoint of kind "
                f"{TEACHER_KIND!r} as initial_checkpoint"
            )
        teacher = _teacher_config(initial)
        theirs, mine = asdict(teacher), asdict(self.policy)
        differing = [
            f"{name}: {theirs[name]} there, {mine[name]} here"
            for name in mine
            if name not in _FREE and theirs[name] != mine[name]
        ]
        if differing:
            raise CheckpointError(
                f"{initial.folder} cannot be the teacher, for these fields must agree: "
                f"{'; '.join(differing)}"
            )
        return replace(self, teacher=teacher)


def _teacher_config(checkpoint: Checkpoint) -> DiffusionPolicyConfig:
    if checkpoint.manifest.kind != TEACHER_KIND:
        raise CheckpointError(
            f"{checkpoint.folder}: a teacher must be of kind {TEACHER_KIND!r}, this checkpoint is "
            f"of kind {checkpoint.manifest.kind!r}"
        )
    return config_from(checkpoint.manifest.config)
