"""Every system by the kind that its checkpoints carry. The only file that knows them all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpm_controller.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from ddpm_controller.inference.choice import AUTO
from ddpm_controller.inference.engine import EngineError
from ddpm_controller.planners.config import PlannerConfig
from ddpm_controller.policies.bc_lstm.policy import BcLstm, BcLstmConfig, BcLstmNetwork
from ddpm_controller.policies.consistency_policy.policy import (
    ConsistencyConfig,
    ConsistencyNetwork,
    refuse_to_restore,
    student_of,
)
from ddpm_controller.policies.diff_control.bound import remembering_bound
from ddpm_controller.policies.diff_control.policy import (
    DiffControl,
    DiffControlConfig,
    DiffControlNetwork,
)
from ddpm_controller.policies.diffusion_policy.bound import policy_bound
from ddpm_controller.policies.diffusion_policy.policy import (
    DiffusionPolicy,
    DiffusionPolicyConfig,
    DiffusionPolicyNetwork,
)
from ddpm_controller.policies.inputs.relative_actions import RelativeActions
from ddpm_controller.policies.mip.policy import Mip, MipConfig, MipNetwork
from ddpm_controller.policies.mlp_policy.policy import MlpPolicy, MlpPolicyConfig
from ddpm_controller.policy import PlanSettings, Policy


@dataclass(frozen=True)
class System:
    """One kind of system.

    Attributes:
        config: Frozen dataclass: what the policy is.
        restore: A policy from a checkpoint, ready to plan.
        network: What is trained: ``network(config, action_spec, streams, statistics)``; None for
            a system that has nothing to train.
        based_on: (config, initial checkpoint or None) -> the config of a training that begins
            with it; refuses one that cannot be its base.
        fixed_encoders: network -> {image stream: encoder} that find the same features of an
            image throughout a training.
        keeps_ranges: config -> whether weights that do not learn see numbers in the ranges of the
            initial checkpoint, so that these ranges cannot change.
        relative: (action spec, streams) -> what each row of a chunk is learned relative to; None
            for a system that learns absolute actions only.
        bound: (network, batch of training, generator) -> the bound on -log p(actions |
            observations), a ``diffusion.bound.Bound``; None for a system that has none.
        result: (config, weights) -> kind, config and weights of the checkpoint that a training
            ends with; None: its own.
    """

    config: type[Any]
    restore: Callable[[Checkpoint, PlanSettings], Policy]
    network: Callable[..., Any] | None = None
    based_on: Callable[[Any, Checkpoint | None], Any] = lambda config, initial: config
    fixed_encoders: Callable[[Any], Mapping[str, Any]] = lambda network: {}
    keeps_ranges: Callable[[Any], bool] = lambda config: False
    relative: Callable[[Any, Sequence[Any]], Any] | None = None
    bound: Callable[[Any, Mapping[str, Any], Any], Any] | None = None
    result: Callable[[Any, Mapping[str, Any]], tuple[str, Any, Mapping[str, Any]]] | None = None


SYSTEMS: dict[str, System] = {
    "diffusion_policy": System(
        DiffusionPolicyConfig,
        DiffusionPolicy.restore,
        DiffusionPolicyNetwork,
        relative=RelativeActions,
        bound=policy_bound,
    ),
    "diff_control": System(
        DiffControlConfig,
        DiffControl.restore,
        DiffControlNetwork,
        based_on=DiffControlConfig.based_on,
        fixed_encoders=lambda network: network.fixed_encoders,
        keeps_ranges=lambda config: config.is_controlled,
        bound=remembering_bound,
    ),
    "bc_lstm": System(BcLstmConfig, BcLstm.restore, BcLstmNetwork),
    "mlp_policy": System(MlpPolicyConfig, MlpPolicy.restore),
    "mip": System(MipConfig, Mip.restore, MipNetwork, relative=RelativeActions),
    "consistency_policy": System(
        ConsistencyConfig,
        refuse_to_restore,
        ConsistencyNetwork,
        based_on=ConsistencyConfig.based_on,
        fixed_encoders=lambda network: network.teacher.encoders,
        keeps_ranges=lambda config: True,
        relative=RelativeActions,
        result=student_of,
    ),
    "dial_mpc": System(PlannerConfig, lambda *of: _restored_planner(*of)),
}


def _restored_planner(checkpoint: Checkpoint, settings: PlanSettings) -> Policy:
    # Imported here: a controller that plans by a network needs no simulator.
    from ddpm_controller.planners.saved import restore_planner

    return restore_planner(checkpoint, settings, restore)


def restore(source: Path | str | Checkpoint, settings: PlanSettings | None = None) -> Policy:
    """Return the policy of a checkpoint, or of the folder that has it.

    Raises:
        CheckpointError: If it cannot be read, is of an unknown kind or does not fit its config.
        ValueError: If the settings break a rule of this policy, or name an engine that does not
            serve it here.
    """
    checkpoint = source if isinstance(source, Checkpoint) else load_checkpoint(source)
    system = SYSTEMS.get(checkpoint.manifest.kind)
    if system is None:
        raise CheckpointError(
            f"{checkpoint.folder}: kind {checkpoint.manifest.kind!r} is unknown to this release, "
            f"which has {sorted(SYSTEMS)}; use the release that wrote it"
        )
    settings = settings or PlanSettings()
    policy = system.restore(checkpoint, settings)
    if settings.engine not in (AUTO, policy.facts.engine):
        raise EngineError(
            f"engine {settings.engine!r} does not serve a policy of kind "
            f"{checkpoint.manifest.kind!r}: let engine be {policy.facts.engine} or {AUTO}"
        )
    return policy
