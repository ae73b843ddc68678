"""Add a policy: a config, `plan`, and one line in SYSTEMS. This one keeps the present velocity.

python examples/add_a_policy.py

In the package it is a folder, ddpm_controller/policies/constant_velocity/ with config.py and
policy.py, and one line in ddpm_controller/systems.py. Nothing is trained here, so network.py and
loss.py are left out. Controller, evaluation and replay then run it unchanged.
"""

import tempfile
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from ddpm_controller.checkpoint import Checkpoint, save_checkpoint
from ddpm_controller.policy import PlanSettings, PolicyFacts, Window
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.systems import SYSTEMS, System, restore
from ddpm_controller.types import ActionChunk, Memory, Observation, Plan


@dataclass(frozen=True)
class ConstantVelocityConfig:
    """What the policy is; saved in its checkpoint.

    Attributes:
        n_action_steps: Rows of a chunk.
    """

    n_action_steps: int = 8


class ConstantVelocity:
    """Continues the straight line through the last two measured positions."""

    def __init__(self, config: ConstantVelocityConfig, facts: PolicyFacts) -> None:
        self.facts, self._rows = facts, np.arange(config.n_action_steps)[:, None]

    @classmethod
    def restore(cls, checkpoint: Checkpoint, settings: PlanSettings) -> Self:
        """Return the policy of a checkpoint; it has no settings to be run with."""
        spec = checkpoint.manifest.action_spec
        facts = PolicyFacts(checkpoint.manifest.streams, spec, n_obs_steps=2)
        return cls(ConstantVelocityConfig(**checkpoint.manifest.config), facts)

    def initial_memory(self, seed: int) -> Memory:
        """Return nothing: no plan depends on the ones before it."""
        return {}

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk; row 0 is the present moment."""
        before, now = (each.values["joint_state"] for each in window)  # (Da,), rad
        actions = now + self._rows * (now - before)
        spec = self.facts.action_spec
        return Plan(ActionChunk(window[-1].stamp_s, spec.period_s, spec.joint_names, actions), {})


SYSTEMS["constant_velocity"] = System(ConstantVelocityConfig, ConstantVelocity.restore)
robot = load_robot("config/robots/drum.yaml")
with tempfile.TemporaryDirectory() as folder:
    save_checkpoint(
        folder,
        kind="constant_velocity",
        config=asdict(ConstantVelocityConfig(n_action_steps=4)),
        action_spec=robot.action_spec,
        streams=robot.stream_specs[:1],  # joint_state
        statistics={},
        provenance={},
        weights=None,
    )
    policy = restore(folder)
poses = (np.array([0.0, 0.10, 0.50]), np.array([0.0, 0.12, 0.49]))
window = [Observation(0.1 * k, {"joint_state": pose}) for k, pose in enumerate(poses)]
print(policy.plan(window, policy.initial_memory(seed=0)).chunk.actions.round(2))
