"""What a consistency distillation ends with: a Diffusion Policy that plans in few evaluations."""

from collections.abc import Mapping

from torch import Tensor

from ddpm_controller.checkpoint import Checkpoint, CheckpointError
from ddpm_controller.policies.consistency_policy.config import TEACHER_KIND, ConsistencyConfig
from ddpm_controller.policies.consistency_policy.network import ConsistencyNetwork
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policy import PlanSettings

__all__ = ["ConsistencyConfig", "ConsistencyNetwork", "refuse_to_restore", "student_of"]

_STUDENT = "student."


def student_of(
    config: ConsistencyConfig, weights: Mapping[str, Tensor]
) -> tuple[str, DiffusionPolicyConfig, Mapping[str, Tensor]]:
    """Return kind, config and weights of the student, which is a Diffusion Policy of its own."""
    own = {
        name.removeprefix(_STUDENT): weight
        for name, weight in weights.items()
        if name.startswith(_STUDENT)
    }
    return TEACHER_KIND, config.policy, own


def refuse_to_restore(checkpoint: Checkpoint, settings: PlanSettings) -> DiffusionPolicy:
    """Raise CheckpointError: a distillation has no checkpoints of its own kind."""
    raise CheckpointError(
        f"{checkpoint.folder}: kind 'consistency_policy' is a training, whose checkpoints are of "
        f"kind {TEACHER_KIND!r}; this folder was not written by it"
    )
