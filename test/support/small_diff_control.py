"""A Diff-Control policy that is small enough to be tested in milliseconds."""

import dataclasses

import numpy as np
import torch
from small_policy import ACTION_SPEC, CONFIG, STATISTICS, STREAMS

from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.policies.diff_control.network import DiffControlNetwork
from ddpm_controller.policies.diff_control.policy import DiffControl
from ddpm_controller.policy import PlanSettings
from ddpm_controller.types import Observation

CHUNK_STATES = ("controlnet", "as_released", "chunk_prior")


def config_of(state="controlnet", policy=None, **changes):
    return DiffControlConfig(
        policy=dataclasses.replace(CONFIG, **(policy or {})), state=state, **changes
    )


def network(state="controlnet", trained=True, policy=None, **changes):
    """With ``trained`` no weight is 0, as after a training."""
    torch.manual_seed(0)
    config = config_of(state, policy, **changes)
    net = DiffControlNetwork(config, ACTION_SPEC, STREAMS, STATISTICS)
    if trained:
        for each in net.parameters():
            each.data += 0.05 * torch.randn_like(each)
    return net


def policy(state="controlnet", settings=None, **changes):
    return DiffControl(network(state, **changes), ACTION_SPEC, settings or PlanSettings())


def window(seed=0, stamp_s=5.0, steps=2):
    random = np.random.default_rng(seed)
    return [
        Observation(
            stamp_s + (index - steps + 1) * 0.1,
            {
                "joint_state": random.uniform(0, 0.08, 2),
                "camera": random.integers(0, 256, (16, 20, 3), dtype=np.uint8),
            },
        )
        for index in range(steps)
    ]


def batch(config, rows=6, begun=100, seed=0, length=100):
    """Return a training batch; the episode began ``begun`` rows before each newest moment.

    The actions are a ramp, so that a row says which moment it is for: row i of a window is for
    moment i of it, at 0.01 rad each.
    """
    steps, horizon = config.training_window
    random = np.random.default_rng(seed)
    index = torch.arange(horizon)
    newest = steps - 1
    first = max(newest - begun, 0)
    inside = (index >= newest - begun) & (index <= newest + length)
    ramp = 0.01 * index.clamp(min=first, max=newest + length).float()
    actions = torch.stack([ramp, 0.02 + 0.1 * ramp], dim=1).expand(rows, -1, -1).clone()
    return {
        "values": {
            "joint_state": torch.from_numpy(random.uniform(0, 0.08, (rows, steps, 2))).float(),
            "camera": torch.from_numpy(
                random.integers(0, 256, (rows, steps, 16, 20, 3), dtype=np.uint8)
            ),
        },
        "actions": actions,
        "mask": inside.expand(rows, -1).clone(),
    }
