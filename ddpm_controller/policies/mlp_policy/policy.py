"""A feedback law as a policy: each plan is the answer to the newest observation, held.

What reinforcement learning brings for robots on legs. It must be asked at every tick of its clock;
its answer counts until the next one, so all rows of a chunk are the same.
"""

import numpy as np
import torch

from ddpm_controller.checkpoint import Checkpoint
from ddpm_controller.networks.device import usable_device
from ddpm_controller.policies.mlp_policy.config import (
    FROM_REST,
    GRAVITY,
    LAST_ACTION,
    MlpPolicyConfig,
    MlpPolicySettings,
    config_from,
)
from ddpm_controller.policies.mlp_policy.network import MlpPolicyNetwork
from ddpm_controller.policies.overrides import as_overrides, overridden
from ddpm_controller.policies.restored import restored_network
from ddpm_controller.policy import PlanSettings, PolicyFacts, Window
from ddpm_controller.types import ActionChunk, Memory, Observation, Plan

__all__ = ["MlpPolicy", "MlpPolicyConfig", "MlpPolicyNetwork"]


class MlpPolicy:
    """A perceptron that plans.

    Attributes:
        facts: What the runtime may ask.
        n_action_steps: Rows per chunk.
    """

    def __init__(
        self, network: MlpPolicyNetwork, settings: PlanSettings, checkpoint_hash: str = ""
    ) -> None:
        config, spec = network.config, network.action_spec
        self._device = usable_device(settings.device)
        self._network = network.to(self._device).eval()
        self._config, self._rest = config, np.array(config.rest)
        self.n_action_steps = settings.n_action_steps or config.n_action_steps
        if not 1 <= self.n_action_steps <= config.n_action_steps:
            raise ValueError(
                f"n_action_steps must be from 1 to {config.n_action_steps}, for which an answer "
                f"may be held, got {self.n_action_steps}"
            )
        chosen = overridden(MlpPolicySettings(), settings.overrides)
        self.facts = PolicyFacts(
            streams=network.streams,
            action_spec=spec,
            n_obs_steps=1,
            checkpoint_hash=checkpoint_hash,
            settings=as_overrides(chosen),
            remembers_plans=True,
            memory_kind=f"mlp_policy:{len(config.rest)}",
            maskable=tuple(config.absent),
            replan_period_s=spec.period_s,
            text=f"feedback law of {len(network.observation_mean)} numbers",
        )

    @classmethod
    def restore(cls, checkpoint: Checkpoint, settings: PlanSettings) -> "MlpPolicy":
        """Return the policy of a checkpoint.

        Raises:
            CheckpointError: If the config or the weights do not fit this class.
            ValueError: If the settings break a rule.
        """
        network = restored_network(checkpoint, config_from, MlpPolicyNetwork)
        return cls(network, settings, checkpoint.hash)

    def initial_memory(self, seed: int) -> Memory:
        """Return the memory of a run that begins; the seed is kept, though nothing is drawn."""
        return _memory(np.array(seed, np.int64), 0, np.zeros(len(self._rest)))

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk, a pure function of window and memory.

        Raises:
            ValueError: If a window or a memory does not fit.
        """
        if len(window) != 1:
            raise ValueError(f"a window has 1 observation, got {len(window)}")
        last = memory.get(LAST_ACTION)
        if last is None or last.shape != self._rest.shape:
            raise ValueError(f"the memory must have {LAST_ACTION} {self._rest.shape}, got {last}")
        seen = self.observation(window[0], last)
        with torch.inference_mode():
            given = torch.from_numpy(seen.astype(np.float32)).to(self._device)
            answer = self._network(given[None])[0].cpu().numpy().astype(np.float64)
        row = self._rest + self._config.action_scale * answer
        rows = np.tile(row, (self.n_action_steps, 1))
        spec, number = self.facts.action_spec, int(memory["plan_number"]) + 1
        chunk = ActionChunk(window[0].stamp_s, spec.period_s, spec.joint_names, rows)
        return Plan(chunk, _memory(memory["seed"], number, answer), {"horizon": rows})

    def observation(self, seen: Observation, last_action: np.ndarray) -> np.ndarray:
        """Return the numbers (Do,) that the network takes, before they are normalised.

        Raises:
            ValueError: A stream is missing, or is not finite and not masked.
        """
        parts = []
        for each in self._config.inputs:
            kind, _, name = each.partition(":")
            value = last_action if each == LAST_ACTION else self._value(seen, name)
            if kind == FROM_REST:
                value = value - self._rest
            parts.append(gravity_in(value) if kind == GRAVITY else value)
        return np.concatenate(parts)

    def _value(self, seen: Observation, name: str) -> np.ndarray:
        if name in seen.masked and name in self._config.absent:
            return np.array(self._config.absent[name])
        value = seen.values.get(name)
        if value is None or not np.isfinite(value).all():
            raise ValueError(f"stream {name!r} must be there and finite, got {value}")
        return value


def gravity_in(orientation: np.ndarray) -> np.ndarray:
    """Return the direction of gravity (3,) in the frame of a body.

    Args:
        orientation: (6,), the first two columns of its rotation matrix: the third row of the
            matrix is the vertical, in the frame of the body.
    """
    r11, r21, r31, r12, r22, r32 = orientation
    return -np.array([r31, r32, r11 * r22 - r21 * r12])


def _memory(seed: np.ndarray, plan_number: int, answer: np.ndarray) -> Memory:
    return {
        "seed": seed,
        "plan_number": np.array(plan_number, np.int64),
        LAST_ACTION: answer,
    }
