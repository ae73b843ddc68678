"""A state denoiser trained from bags and the noise that was fitted to them. No rclpy."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import find_bags
from ddpm_controller.diffusion.recorded.recorded_noise import RecordedNoise
from ddpm_controller.identification.noise_recordings import stream_of
from ddpm_controller.identification.residuals import ResidualChoice, ResidualError, smooth_fit
from ddpm_controller.identification.state_denoiser import (
    StateDenoiserConfig,
    save_state_denoiser,
)
from ddpm_controller.identification.state_denoising import train_state_denoiser
from ddpm_controller.robots.robot import Robot

_POOL = 20_000  # histories of noise that are drawn once
_WIDTH = 128


def fit_state_denoiser(
    folder: Path,
    bags: Sequence[Path],
    robot: Robot,
    choice: ResidualChoice,
    noise: RecordedNoise,
    noise_hash: str,
    *,
    num_rows: int = 16,
    num_steps: int = 3000,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Train on smooth fits of the recorded states, with fitted noise put on; return the hash.

    What is constant in the noise, its mean, is left in: it may be the load on the arm.

    Raises:
        ResidualError: If the noise is not of exactly the stream's elements, or episodes are
            too short.
        BagError: If no bag can be read.
        CheckpointError: If the folder cannot be written.
    """
    stream = stream_of(robot, choice.stream)
    if noise.names != stream.names:
        raise ResidualError(
            f"a denoiser needs the noise of every element of {stream.name}: fitted "
            f"{list(noise.names)}, the stream has {list(stream.names)}; fit it without --joints"
        )
    episodes = read_episodes(find_bags(bags), robot)
    scale = noise.scale.numpy()
    states = [each.values[stream.name] / scale for each in episodes]
    clean = _histories(states, num_rows, choice.window)
    generator = torch.Generator().manual_seed(seed)
    shape = (_POOL, num_rows, len(scale))
    white = torch.randn(shape, generator=generator, dtype=torch.float64)
    pool = noise.noise_map.forward(white).float()

    def draw(count: int, source: torch.Generator) -> Tensor:
        return pool[torch.randint(_POOL, (count,), generator=source)]

    network = train_state_denoiser(
        clean, draw, num_steps=num_steps, width=_WIDTH, seed=seed, on_progress=on_progress
    )
    config = StateDenoiserConfig(
        num_rows, noise.period_s, _WIDTH, tuple(scale.tolist()), noise_hash
    )
    provenance = {"noise": noise_hash, "robot": robot.name, "episodes": len(states)}
    return save_state_denoiser(folder, network, config, stream, robot.action_spec, provenance)


def _histories(states: Sequence[np.ndarray], num_rows: int, window: int) -> Tensor:
    """Return smooth histories (M, N, D) from their newest row, float32."""
    parts = [
        np.lib.stride_tricks.sliding_window_view(smooth_fit(each, window), num_rows, axis=0)
        for each in states
        if len(each) >= max(num_rows, window)
    ]
    if not parts:
        longest = max(len(each) for each in states)
        raise ResidualError(
            f"no episode has {max(num_rows, window)} rows, the longest has {longest}; record "
            "longer or choose a shorter window and horizon"
        )
    histories = np.concatenate(parts).transpose(0, 2, 1)
    return torch.from_numpy((histories - histories[:, -1:]).astype(np.float32))
