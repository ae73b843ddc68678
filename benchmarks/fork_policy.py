"""A policy for the fork of `benchmarks/seams.py`, trained in about a minute on one core."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from ddpm_controller.checkpoint import save_checkpoint
from ddpm_controller.policies.diffusion_policy.policy import (
    DiffusionPolicyConfig,
    DiffusionPolicyNetwork,
)
from ddpm_controller.simulation.fork_world import DETOUR_M, ForkWorld, demonstrated, detour
from ddpm_controller.types import ActionSpec, StreamSpec

NAMES = ForkWorld.joint_names
SPEC = ActionSpec(NAMES, ("m", "m"), 0.1)
STREAMS = (StreamSpec("joint_state", "vector", (2,), 50.0, NAMES, ("m", "m")),)
CONFIG = DiffusionPolicyConfig(
    n_obs_steps=1,
    horizon=16,
    n_action_steps=14,
    prefix_rows=8,
    num_train_timesteps=50,
    num_inference_steps=10,
    channels=(32, 64),
    timestep_embedding_dim=32,
)
LIMITS = {"min": [-0.1, -0.45], "max": [1.1, 0.45]}
SPREAD_M = 0.06
"""Lateral spread of the states that are shown: both sides are shown from the middle."""


def shown(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return states (N, 2) and the chunks that were shown there, (N, Tp, 2)."""
    x = random.uniform(-0.05, 1.08, count)
    sides = random.choice([-1.0, 1.0], count)
    y = DETOUR_M * sides * detour(x) + random.normal(0.0, SPREAD_M, count)
    states = np.stack([x, y.clip(-0.44, 0.44)], axis=1)
    times_s = SPEC.period_s * np.arange(CONFIG.horizon)
    return states, demonstrated(states, sides, times_s)


def train(folder: Path, updates: int, seed: int) -> None:
    """Train and save a checkpoint."""
    torch.manual_seed(seed)
    statistics = {"joint_state": LIMITS, "action": LIMITS}
    network = DiffusionPolicyNetwork(CONFIG, SPEC, STREAMS, statistics)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    for _ in track(range(updates), description="training for the fork"):
        states, chunks = shown(random, 64)
        batch = {
            "values": {"joint_state": torch.from_numpy(states[:, None]).float()},
            "actions": torch.from_numpy(chunks).float(),
            "mask": torch.ones(chunks.shape[:2], dtype=torch.bool),
        }
        optimizer.zero_grad()
        network.loss(batch, generator).backward()
        optimizer.step()
        schedule.step()
    save_checkpoint(
        folder,
        kind="diffusion_policy",
        config=asdict(CONFIG),
        action_spec=SPEC,
        streams=STREAMS,
        statistics=statistics,
        provenance={"demonstrations": "fork", "updates": updates, "seed": seed},
        weights=network.state_dict(),
    )
