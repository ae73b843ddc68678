"""A system may have no weights, no network and nothing to train."""

import numpy as np
import pytest
from constant_velocity import KIND, SYSTEM, ConstantVelocityConfig, save_constant_velocity
from random_checkpoint import SIM_ARM

from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.systems import SYSTEMS, restore
from ddpm_controller.training.config import TrainingConfig
from ddpm_controller.types import Observation


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkpoint of a system that this test brings along."""
    monkeypatch.setitem(SYSTEMS, KIND, SYSTEM)
    save_constant_velocity(tmp_path, load_robot(SIM_ARM))
    return tmp_path


def test_a_system_without_weights_plans_from_its_manifest(folder):
    policy = restore(folder, PlanSettings(n_action_steps=3))
    (stream,) = policy.facts.streams
    poses = [np.full(stream.shape, value) for value in (0.1, 0.3)]
    window = [Observation(0.1 * k, {stream.name: pose}) for k, pose in enumerate(poses)]
    plan = policy.plan(window, policy.initial_memory(0))
    np.testing.assert_allclose(plan.chunk.actions[:, 0], [0.3, 0.5, 0.7])


def test_nothing_of_it_can_be_trained(folder):
    with pytest.raises(ValueError, match=f"kind '{KIND}' has nothing to train; use one of .*bc_l"):
        TrainingConfig(kind=KIND, policy=ConstantVelocityConfig())
