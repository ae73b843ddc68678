"""A state that is a belief: a network over all that was seen and executed.

Trained by back-propagation through whole episodes; at a plan it goes on by the ticks that have
passed since the plan before.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ddpm_controller.networks.belief import BeliefEncoder
from ddpm_controller.policies.diff_control.chunk_examples import Examples
from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.inputs.goals import goal_ranges_of
from ddpm_controller.policies.inputs.row_features import RowFeatures
from ddpm_controller.policies.memory.recalled import SINCE, Recalled, expected_rows, gap_of
from ddpm_controller.policies.memory.recurrent_state import (
    Advanced,
    RecurrentState,
    weights_digest,
)
from ddpm_controller.policies.memory.since_last_plan import Execution
from ddpm_controller.policies.memory.taught_moments import (
    executed_before,
    taught_moments,
    without_the_time_before,
)
from ddpm_controller.policy import Window
from ddpm_controller.types import Memory

Batch = Mapping[str, Any]
EXPECTATION_WEIGHT = 0.1
"""Of what the belief expects to see, in training; it shares no weights with the rest."""
PAST_WEIGHT = 0.1
"""Of what a belief tells of the past."""
FUTURE_WEIGHT = 1.0
"""Of what it tells of the actions to come."""


def row_features(denoiser: DiffusionPolicyNetwork) -> RowFeatures:
    """Return what the belief is given of an observation: the denoiser's own features."""
    return RowFeatures(
        denoiser.streams, denoiser.normalizers, denoiser.encoders, denoiser.config.num_keypoints
    )


def belief_encoder(denoiser: DiffusionPolicyNetwork, config: DiffControlConfig) -> BeliefEncoder:
    """Return a belief that has learned nothing."""
    return BeliefEncoder(
        row_features(denoiser).size,
        denoiser.action_dim,
        config.belief_size,
        config.belief_cell,
        config.episode_steps,
        config.past_steps,
        config.future_steps,
    )


def belief_examples(
    denoiser: DiffusionPolicyNetwork,
    belief: BeliefEncoder,
    config: DiffControlConfig,
    batch: Batch,
    generator: torch.Generator,
) -> Examples:
    """Return the denoiser's batch, the beliefs (B * K, H) and what the expectation costs.

    Each history gives ``targets_per_episode`` examples, and its beliefs are computed once for all
    of them. In training mode the executed actions are noisy; what is expected is learned aside,
    and what had been executed where ``past_steps`` asks for it. With ``future_steps`` the belief
    of every row, not of the taught moments alone, tells what is done next.

    Args:
        denoiser: The policy's.
        belief: The policy's.
        config: The policy's.
        batch: Of ``DiffControlConfig.training_window``.
        generator: Source of image rows, noise and moments.
    """
    batch = without_the_time_before(batch, config.horizon)
    valid = batch["mask"][:, : batch["mask"].shape[1] - config.horizon + 1]
    noise = config.action_noise if denoiser.training else 0.0
    features = row_features(denoiser).of_histories(
        batch["values"], valid, config.image_rows, generator
    )
    normalized = denoiser.action_normalizer(batch["actions"])
    executed = executed_before(normalized, valid, noise, generator)
    beliefs = belief(features, executed, valid)  # (B, L, H)
    count = config.targets_per_episode
    taught = taught_moments(batch, config.n_obs_steps, config.horizon, count, generator)
    rows = taught.rows[:, :, None].expand(-1, -1, beliefs.shape[2])
    now = {"values": taught.values, "actions": taught.actions, "mask": taught.mask}
    recalled = beliefs.gather(1, rows).flatten(0, 1)
    if not denoiser.training:
        return Examples(now, recalled)
    aside = EXPECTATION_WEIGHT * belief.expectation_loss(beliefs, features, valid)
    if config.past_steps:
        done = executed_before(normalized, valid, 0.0, generator)
        aside = aside + PAST_WEIGHT * belief.past_loss(beliefs, done)
    if config.future_steps:
        wanted = normalized.masked_fill(~batch["mask"][:, :, None], float("nan"))
        aside = aside + FUTURE_WEIGHT * belief.future_loss(beliefs, wanted, valid)
    return Examples(now, recalled, aside)


class BeliefMemory:
    """Recalls the belief, after everything that was seen and executed since the plan before.

    Attributes:
        n_obs_steps: Observations that may be new at a plan.
        kind: Equal for policies with the same belief.
    """

    def __init__(
        self,
        denoiser: DiffusionPolicyNetwork,
        belief: BeliefEncoder,
        config: DiffControlConfig,
        execution: Execution,
    ) -> None:
        self._encoder, self._execution = belief, execution
        features = row_features(denoiser)
        self._state = RecurrentState(
            belief,
            partial(
                features.of_observations,
                goal_ranges=goal_ranges_of(config.policy.goal_streams, denoiser.normalizers),
                device=denoiser.action_normalizer.centre.device,
            ),
            features.size,
            denoiser.action_normalizer,
            execution,
            config.horizon,
        )
        self.n_obs_steps = config.history_steps
        self.kind = f"belief:{belief.state_size}:{weights_digest(belief)}"

    def initial(self) -> Memory:
        """Return the memory before the first plan: of nothing."""
        return self._state.initial()

    def recall(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Recalled]:
        """Return the belief of each run."""
        advanced = self._state.advanced(windows, memories)
        spreads, surprises = self._views(advanced)
        return [
            self._of_one(windows[run], memories[run], advanced, run, spreads[run], surprises[run])
            for run in range(len(windows))
        ]

    def _of_one(
        self,
        window: Window,
        memory: Memory,
        advanced: Advanced,
        run: int,
        spread: float,
        surprise: float,
    ) -> Recalled:
        new, state = advanced.unseen[run], advanced.states[run]
        kept = self._state.kept(window, memory, new, state)
        execution = self._execution
        start_s = window[-1].stamp_s - execution.first * execution.period_s
        gap = None if new.begins else gap_of(memory, start_s, execution.period_s)
        return Recalled(
            columns=self._encoder.read(state[None])[0],
            expected=expected_rows(memory, gap),
            kept=kept,
            traces={
                "state_age_s": window[-1].stamp_s - float(kept[SINCE]),
                "state_gap_s": new.gap_s,
                "state_spread": spread,
                "state_surprise": surprise,
            },
        )

    def _views(self, advanced: Advanced) -> tuple[list[float], list[float]]:
        """Return of each run how unsure it is of the next observation, and how wrong it was.

        The one is the root mean square of the deviations that are expected, in half ranges of the
        features; the other that of what has come less what was expected, in these deviations.
        """
        read, expected = self._encoder.read, self._encoder.expected
        _, log_deviation = expected(read(advanced.states))
        spreads = log_deviation.exp().square().mean(dim=1).sqrt().tolist()
        mean, log_deviation = expected(read(advanced.before))
        apart = (advanced.features - mean) * torch.exp(-log_deviation)
        surprises = apart.square().mean(dim=1).sqrt().tolist()
        ticked = [bool(each.observations) and not each.begins for each in advanced.unseen]
        return spreads, [s if t else np.nan for s, t in zip(surprises, ticked, strict=True)]
