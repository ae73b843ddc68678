"""A training small enough for tests; as a program: tiny_training.py OUTPUT [SHARDS]."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicyConfig
from ddpm_controller.training.config import TrainingConfig
from ddpm_controller.training.run import train
from ddpm_controller.types import ActionSpec, Episode, StreamSpec

SPEC = ActionSpec(("shoulder", "elbow"), ("rad", "rad"), 0.1)
STREAMS = (
    StreamSpec("joint_state", "vector", (2,), 50.0, ("shoulder", "elbow"), ("rad", "rad")),
    StreamSpec("camera", "image", (8, 8, 3), 25.0),
)
POLICY = DiffusionPolicyConfig(
    horizon=8,
    n_action_steps=4,
    channels=(8, 16),
    timestep_embedding_dim=8,
    image_channels=(8, 8),
    num_keypoints=4,
    image_shift_pixels=1,
)
CONFIG = TrainingConfig(
    policy=POLICY,
    num_steps=12,
    batch_size=8,
    noise_draws=2,
    warmup_steps=2,
    learning_rate=3e-3,
    validation_fraction=0.25,
    validation_windows=16,
    validation_every=4,
    nll_windows=0,  # a hundred evaluations at every validation
    checkpoint_every=3,
    log_every=1,
)


def episodes(count: int = 4, length: int = 12, seed: int = 0) -> list[Episode]:
    """Return circles: the action leads the position, and the image has its phase as brightness."""
    random = np.random.default_rng(seed)
    return [_circle(random, length, f"circle {number}") for number in range(count)]


def _circle(random: np.random.Generator, length: int, source: str) -> Episode:
    angle = random.uniform(0, 6) + 0.2 * np.arange(length)
    bright = (127 + 120 * np.sin(angle)).astype(np.uint8)
    images = np.broadcast_to(bright[:, None, None, None], (length, 8, 8, 3)).copy()
    images += random.integers(0, 8, images.shape, dtype=np.uint8)
    position = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    action = np.stack([np.sin(angle + 0.2), np.cos(angle + 0.2)], axis=1)
    values = {"joint_state": position, "camera": images}
    return Episode(1 + 0.1 * np.arange(length), values, action, source)


def train_tiny(output: Path, config: TrainingConfig = CONFIG, **callbacks):
    """Train on the circles."""
    return train(episodes(), SPEC, STREAMS, config, output, **callbacks)


def train_in_parts(output: Path, config: TrainingConfig):
    """Stop after two updates, and go on."""
    stops = iter([False, True])
    train_tiny(output, config, should_stop=lambda: next(stops))
    return train_tiny(output, config)


def trace(output: Path) -> dict[str, str]:
    """Return digests of everything that must come out the same, bit for bit."""
    files = ("log.jsonl", "resume/state.safetensors")
    digests = {name: hashlib.sha256((output / name).read_bytes()).hexdigest() for name in files}
    for name in ("best", "last"):
        digests[name] = load_checkpoint(output / "checkpoints" / name).manifest.manifest_sha256
    return digests


def main() -> None:
    """Train and say every update, so that somebody can end this process at one."""
    shards = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    train_tiny(
        Path(sys.argv[1]),
        replace(CONFIG, num_shards=shards),
        on_progress=lambda progress: print(progress.step, flush=True),
    )


if __name__ == "__main__":
    main()
