"""BC-LSTM: behaviour cloning with a memory, the plain baseline of the stateful policies.

As BC-RNN of Mandlekar et al. 2021 ("What matters in learning from offline human demonstrations"),
with chunks: a long short-term memory over all that was seen and executed, and a regression of the
chunk by least squares. It has one answer to every situation where diffusion has many.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from ddpm_controller.checkpoint import Checkpoint
from ddpm_controller.networks.device import usable_device
from ddpm_controller.policies.bc_lstm.network import (
    BcLstmConfig,
    BcLstmNetwork,
    BcLstmSettings,
    config_from,
)
from ddpm_controller.policies.inputs.training_range import middle_window
from ddpm_controller.policies.memory.previous_chunk import ROWS, START
from ddpm_controller.policies.memory.recalled import SINCE, refuse_memory
from ddpm_controller.policies.memory.recurrent_state import RecurrentState, weights_digest
from ddpm_controller.policies.memory.since_last_plan import Execution, Unseen
from ddpm_controller.policies.overrides import as_overrides, overridden
from ddpm_controller.policies.restored import restored_network
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings, PolicyFacts, Window
from ddpm_controller.types import ActionChunk, ActionSpec, Memory, Plan

__all__ = ["BcLstm", "BcLstmConfig", "BcLstmNetwork"]


class BcLstm:
    """A trained network that plans.

    Attributes:
        facts: What the runtime may ask.
        n_action_steps: Rows per chunk.
    """

    def __init__(
        self,
        network: BcLstmNetwork,
        action_spec: ActionSpec,
        settings: PlanSettings,
        checkpoint_hash: str = "",
    ) -> None:
        config = network.config
        self.network = network.to(usable_device(settings.device)).eval()
        self.n_action_steps = settings.n_action_steps or config.n_action_steps
        if not 1 <= self.n_action_steps <= config.horizon:
            raise ValueError(
                f"n_action_steps must be between 1 and {config.horizon} = horizon, got "
                f"{self.n_action_steps}"
            )
        chosen = overridden(BcLstmSettings(), settings.overrides)
        self._seam = SeamSettings("switch", expected_delay_s=chosen.expected_delay_s)
        delay_s = chosen.expected_delay_s or 0.0
        self._state = RecurrentState(
            network.history,
            partial(
                network.features.of_observations,
                goal_ranges={},
                device=torch.device(settings.device),
            ),
            network.features.size,
            network.action_normalizer,
            Execution(0, self.n_action_steps, action_spec.period_s, delay_s, config.fade_s),
            config.horizon,
        )
        self.facts = _facts(network, action_spec, chosen, checkpoint_hash)

    @classmethod
    def restore(cls, checkpoint: Checkpoint, settings: PlanSettings) -> "BcLstm":
        """Return the policy of a checkpoint.

        Raises:
            CheckpointError: If the config or the weights do not fit this class.
            ValueError: If the settings break a rule.
        """
        network = restored_network(checkpoint, config_from, BcLstmNetwork)
        return cls(network, checkpoint.manifest.action_spec, settings, checkpoint.hash)

    def initial_memory(self, seed: int) -> Memory:
        """Return the memory of a run that begins; the seed is kept, though nothing is drawn."""
        return {**self._numbers(np.array(seed, np.int64), 0), **self._state.initial()}

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk, a pure function of window and memory."""
        return self.plan_batch([window], [memory])[0]

    def plan_batch(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Plan]:
        """Return one plan per run, equal to ``plan`` up to rounding.

        Raises:
            ValueError: If a window or a memory does not fit.
        """
        for window, memory in zip(windows, memories, strict=True):
            if len(window) != self.facts.n_obs_steps:
                raise ValueError(
                    f"a window has {self.facts.n_obs_steps} observations, got {len(window)}"
                )
            refuse_memory(memory, self._state.initial(), self.facts.memory_kind)
        with torch.inference_mode():
            advanced = self._state.advanced(windows, memories)
            chunk = self.network.chunk(self.network.history.read(advanced.states))
            rows = self.network.action_normalizer.unnormalize(chunk.clamp(-1, 1)).cpu().numpy()
            kept = [
                self._state.kept(*each)
                for each in zip(windows, memories, advanced.unseen, advanced.states, strict=True)
            ]
        return [
            self._plan(*each)
            for each in zip(windows, memories, advanced.unseen, kept, rows, strict=True)
        ]

    def _plan(
        self,
        window: Window,
        memory: Memory,
        new: Unseen,
        kept: dict[str, np.ndarray],
        rows: np.ndarray,
    ) -> Plan:
        spec, now_s = self.facts.action_spec, window[-1].stamp_s
        sent = rows[: self.n_action_steps]
        chunk = ActionChunk(now_s, spec.period_s, spec.joint_names, sent)
        numbers = self._numbers(memory["seed"], int(memory["plan_number"]) + 1)
        remembered = {**numbers, ROWS: rows, START: np.array(now_s), **kept}
        age_s = now_s - float(kept[SINCE])
        traces = {"horizon": rows, "state_age_s": age_s, "state_gap_s": new.gap_s}
        return Plan(chunk, remembered, traces)

    def _numbers(self, seed: np.ndarray, plan_number: int) -> dict[str, np.ndarray]:
        number = np.array(plan_number, np.int64)
        return {"seed": seed, "plan_number": number, **self._seam.delay_of_each_plan}


def _facts(
    network: BcLstmNetwork, action_spec: ActionSpec, chosen: BcLstmSettings, checkpoint_hash: str
) -> PolicyFacts:
    steps, period_s = network.config.n_obs_steps, action_spec.period_s
    return PolicyFacts(
        streams=network.streams,
        action_spec=action_spec,
        n_obs_steps=steps,
        checkpoint_hash=checkpoint_hash,
        settings=as_overrides(chosen),
        expected_delay_s=chosen.expected_delay_s,
        remembers_plans=True,
        memory_kind=f"bc_lstm:{weights_digest(network.history)}",
        warm_up=middle_window(network.streams, network.normalizers, steps, period_s),
    )
