"""How each policy of a comparison of memories is trained: alike in everything but its state."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ddpm_controller.policies.bc_lstm.policy import BcLstmConfig
from ddpm_controller.policies.diff_control.config import CONTROLLED, DiffControlConfig, StateName
from ddpm_controller.training.config import TrainingConfig

STATELESS = "stateless"
ARMS = (
    STATELESS, "stateless_2", "stateless_8", "as_released", "controlnet", "controlnet_1.5",
    "chunk_prior", "belief", "bc_lstm",
)  # fmt: skip
"""A number behind it is how many observations a stateless policy sees, or the transition scale
with which the training of the arm without the number is run."""
_FUTURE: Mapping[str, Any] = {"future_steps": 16}
BELIEFS: Mapping[str, Mapping[str, Any]] = {
    "belief": _FUTURE,
    "belief_bare": {},
    "belief_past": {**_FUTURE, "past_steps": 32},
    "transformer": {**_FUTURE, "belief_cell": "transformer"},
    "transformer_past": {**_FUTURE, "belief_cell": "transformer", "past_steps": 32},
    "belief_frozen": {**_FUTURE, "frozen_encoders": True},
}
"""The belief of ``ARMS``, which is made to tell what is done next at every tick, and further ones:
one that is not, one that tells what it did in the past seconds too, a transformer over the ticks
in place of the recurrent cell, and one that sees with the encoders of the stateless arm."""
_FROM_NOISE: Mapping[str, Any] = {"own_chunk_level": 1.0, "own_chunk_steps": 4}
FROM_NOISE: Mapping[str, tuple[StateName, Mapping[str, Any]]] = {
    "controlnet_from_noise": ("controlnet", _FROM_NOISE),
    "chunk_prior_from_noise": ("chunk_prior", _FROM_NOISE),
}
"""Further arms, whose own chunks in the training begin with noise alone."""
_SCALED = {"controlnet_1.5": ("controlnet", 1.5)}
_CHUNKS_PER_EPISODE = 8
"""That a recurrent policy learns at once, so that its batches have so many fewer episodes."""


def run_with_scale(arm: str) -> tuple[str, float | None]:
    """Return the arm that is trained, and the transition scale where it is not the trained one."""
    return _SCALED.get(arm, (arm, None))


def arm_recipe(
    config: TrainingConfig,
    arm: str,
    episode_steps: int,
    base: Callable[[], Path],
    changes: Mapping[str, Any] | None = None,
) -> TrainingConfig:
    """Return how an arm is trained: with the seam ``switch``, as others are a memory too.

    Args:
        config: Of the stateless arm.
        arm: One of ``ARMS``, of ``BELIEFS`` or of ``FROM_NOISE``.
        episode_steps: Longest history, rows.
        base: Returns the stateless checkpoint that a control branch, which has half as many
            updates, is trained on, or whose encoders a belief has.
        changes: Fields of a ``DiffControlConfig`` that differ.
    """
    seam = replace(config.policy.seam, strategy="switch")
    policy = replace(config.policy, seam=seam)
    config, few = replace(config, policy=policy), config.batch_size // _CHUNKS_PER_EPISODE
    if arm.startswith(STATELESS):
        seen = int(arm.removeprefix(STATELESS).removeprefix("_") or 1)
        # Rows for what is seen beside those that are wanted, as the U-Net halves them.
        rows = policy.horizon + (0 if seen == 1 else 8)
        return replace(config, policy=replace(policy, n_obs_steps=seen, horizon=rows))
    if arm == "bc_lstm":
        lstm = BcLstmConfig(
            horizon=policy.horizon,
            n_action_steps=policy.n_action_steps,
            episode_steps=episode_steps,
            fade_s=policy.seam.fade_s,
            image_shift_pixels=policy.image_shift_pixels,
        )
        return replace(config, kind=arm, policy=lstm, batch_size=few)
    state, own = FROM_NOISE.get(arm, (cast(StateName, arm), {}))
    if arm in BELIEFS:
        state, own = "belief", BELIEFS[arm]
    changes = {**own, **(changes or {})}
    stateful = DiffControlConfig(policy, state, episode_steps=episode_steps, **changes)
    config = replace(config, kind="diff_control", policy=stateful)
    if stateful.has_base:
        config = replace(config, initial_checkpoint=str(base()))
    if arm in BELIEFS:
        return replace(config, batch_size=few)
    return replace(config, num_steps=config.num_steps // 2) if state in CONTROLLED else config
