"""Diff-Control, Liu et al. 2024 (IROS): a diffusion policy that remembers.

What it remembers becomes further columns of the condition of an ordinary Diffusion Policy, and
what is remembered next goes into the memory of its plans; samplers, seams, batches and deadlines
are those of the ordinary one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from ddpm_controller.checkpoint import Checkpoint
from ddpm_controller.networks.device import usable_device
from ddpm_controller.policies.diff_control.config import (
    DiffControlConfig,
    diff_control_config_from,
    diff_control_settings,
    refuse_scale,
)
from ddpm_controller.policies.diff_control.network import DiffControlNetwork
from ddpm_controller.policies.diff_control.states import STATES, StateMemory
from ddpm_controller.policies.diffusion_policy.denoiser import AlongChain
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.inputs.training_range import middle_window
from ddpm_controller.policies.memory.previous_chunk import ROWS, START
from ddpm_controller.policies.memory.recalled import (
    SINCE,
    Recalled,
    disagreement,
    refuse_memory,
)
from ddpm_controller.policies.memory.since_last_plan import Execution
from ddpm_controller.policies.overrides import as_overrides, overridden
from ddpm_controller.policies.restored import restored_network
from ddpm_controller.policy import PlanSettings, PolicyFacts, Window
from ddpm_controller.types import ActionSpec, Memory, Plan

__all__ = ["DiffControl", "DiffControlConfig", "DiffControlNetwork"]


class DiffControl:
    """A trained network that plans and remembers.

    Attributes:
        facts: What the runtime may ask.
        n_action_steps: Rows per chunk.
        seam: How a plan is joined to the one before.
    """

    def __init__(
        self,
        network: DiffControlNetwork,
        action_spec: ActionSpec,
        settings: PlanSettings,
        checkpoint_hash: str = "",
    ) -> None:
        config = network.config
        self.network = network.to(usable_device(settings.device)).eval()
        chosen = overridden(diff_control_settings(config), settings.overrides)
        plain = replace(settings, overrides=chosen.denoising)
        self._denoising = DiffusionPolicy(
            network.denoiser,
            action_spec,
            plain,
            checkpoint_hash,
            along_chain=_along_chain(network, chosen.transition_scale),
        )
        own, first = self._denoising, config.n_obs_steps - 1
        execution = Execution(
            first=first,
            sent=first + own.n_action_steps,
            period_s=action_spec.period_s,
            delay_s=own.seam.expected_delay_s or 0.0,
            fade_s=own.seam.fade_s,
        )
        self._state = STATES[config.state].memory(network, action_spec, execution)
        self._half_range = network.denoiser.action_normalizer.half_range.cpu().numpy()
        self.n_action_steps, self.seam = own.n_action_steps, own.seam
        self._newest = own.facts.n_obs_steps
        self.facts = replace(
            _facts(own.facts, self._state, network), settings=as_overrides(chosen)
        )

    @classmethod
    def restore(cls, checkpoint: Checkpoint, settings: PlanSettings) -> "DiffControl":
        """Return the policy of a checkpoint.

        Raises:
            CheckpointError: If the config or the weights do not fit this class.
            ValueError: If the settings break a rule.
        """
        network = restored_network(checkpoint, diff_control_config_from, DiffControlNetwork)
        return cls(network, checkpoint.manifest.action_spec, settings, checkpoint.hash)

    def initial_memory(self, seed: int) -> Memory:
        """Return the memory of a run that begins: its seed, no plan made yet, nothing recalled."""
        return {**self._denoising.initial_memory(seed), **self._state.initial()}

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk, a pure function of window and memory."""
        return self.plan_batch([window], [memory])[0]

    def plan_batch(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Plan]:
        """Return one plan per run, equal to ``plan`` up to rounding.

        Raises:
            ValueError: If a window does not fit, see ``DiffusionPolicy.values_of``, or a memory is
                of another kind.
        """
        for memory in memories:
            refuse_memory(memory, self._state.initial(), self.facts.memory_kind)
        for window in windows:
            if len(window) != self.facts.n_obs_steps:
                raise ValueError(
                    f"a window has {self.facts.n_obs_steps} observations, got {len(window)}"
                )
        newest = [window[-self._newest :] for window in windows]
        values = self._denoising.values_of(newest)
        with torch.no_grad():
            recalled = self._state.recall(windows, memories)
            columns = torch.stack([each.columns for each in recalled])
            cond = self.network.denoiser.condition(values, columns)
        plans = self._denoising.plans_given(newest, memories, cond)
        return [self._remembering(*each) for each in zip(plans, recalled, strict=True)]

    def _remembering(self, plan: Plan, recalled: Recalled) -> Plan:
        """Return the plan with its state in memory, and what people should know of it."""
        rows, now_s = plan.traces["horizon"], plan.chunk.start_s
        start_s = now_s - (self._newest - 1) * self.facts.action_spec.period_s
        state = {ROWS: rows, START: np.array(start_s), **recalled.kept}
        traces = {
            "state_age_s": now_s - float(state[SINCE]),
            "prior_disagreement": disagreement(rows, recalled.expected, self._half_range),
            "state_spread": float("nan"),
            **recalled.traces,
        }
        return Plan(plan.chunk, {**plan.memory, **state}, {**plan.traces, **traces})


def _facts(own: PolicyFacts, state: StateMemory, network: DiffControlNetwork) -> PolicyFacts:
    """Return the facts of a denoiser that remembers; nothing in them refers to its policy."""
    steps, denoiser = state.n_obs_steps, network.denoiser
    period_s = own.action_spec.period_s
    return replace(
        own,
        n_obs_steps=steps,
        remembers_plans=True,
        memory_kind=state.kind,
        maskable=(),  # the state cannot do without a stream
        warm_up=middle_window(denoiser.streams, denoiser.normalizers, steps, period_s),
        relative_cost=partial(_cost_of_newest, own),
    )


def _cost_of_newest(denoiser: PolicyFacts, window: Window, memory: Memory) -> float:
    return denoiser.relative_cost(window[-denoiser.n_obs_steps :], memory)


def _along_chain(
    network: DiffControlNetwork, scale: float | None
) -> Callable[[], AlongChain] | None:
    """Return what makes the answers of a plan with the transition's weight w."""
    if scale is None:
        return None
    state = STATES[network.config.state]
    if state.along_chain is None:
        raise ValueError(
            f"transition_scale {scale:g}: state {network.config.state!r} has no transition apart "
            "from the rest; leave it out"
        )
    refuse_scale(scale)
    return state.along_chain(network, scale)
