"""Policies of LeRobot, imported: do they answer and plan as there, with the same noise?

LeRobot, in an environment of its own, makes policies with random weights (samplers, targets,
ranges and sizes of several kinds), saves them and plans with each. They are imported by
`ddpm import-lerobot-policy`, and the same observations and noise are given to both. Compared are
one answer of the U-Net and a whole plan, normalized and in the units of the robot.

    python benchmarks/lerobot_policy.py [--quick] [--peer PATH_OF_ITS_PYTHON]
"""

import contextlib
import io
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from peer_environment import peer_python, peer_variables
from rich.console import Console
from rich.table import Table

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.cli.lerobot.import_lerobot_policy import main as import_policy
from ddpm_controller.inference.engine import version_of
from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy, _generator
from ddpm_controller.policy import PlanSettings
from ddpm_controller.share import share_path
from ddpm_controller.types import Observation

PEER = Path(__file__).with_name("lerobot_policy_peer.py")
FEATURES = {
    "joint_state": "observation.state",
    "block_corners": "observation.environment_state",
    "camera_fixed": "observation.images.camera_fixed",
    "camera_wrist": "observation.images.camera_wrist",
}
LIMIT = 1e-4
SEED = 7


@dataclass(frozen=True)
class Options:
    """Options.

    Attributes:
        quick: Torch alone, without the other engines.
        peer: Python of an environment that has LeRobot; left out: it is made.
    """

    quick: bool = False
    peer: Path | None = None


def main() -> int:
    """Run the benchmark; return 1 where something differs by more than the limit."""
    options = tyro.cli(Options, description=__doc__)
    torch.set_num_threads(1)
    whole = [name for name, each in ENGINES.items() if version_of(each) and "bf16" not in name]
    engines = ["torch"] if options.quick else whole
    table = Table(title=f"largest differences to LeRobot; the limit is {LIMIT:g}")
    for heading in ("policy", "engine", "U-Net", "normalized plan", "plan", "clipped, %"):
        table.add_column(heading)
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        for theirs in _made(Path(name), options.peer):
            ours = theirs / "ours"
            _imported(theirs, ours)
            for engine in engines:
                found = _compared(theirs, ours, engine)
                worst = max(worst, *found)
                clipped = 100 * float(
                    (np.abs(np.load(theirs / "plans.npz")["normalized"]) >= 1).mean()
                )
                numbers = (f"{each:.1e}" for each in found)
                table.add_row(theirs.name, engine, *numbers, f"{clipped:.0f}")
    Console(width=120).print(table)
    print(f"largest_difference: {worst:.2e}")
    return int(worst > LIMIT)


def _made(folder: Path, peer: Path | None) -> list[Path]:
    seed = _generator({"seed": np.array(SEED), "plan_number": np.array(0)}).initial_seed()
    command = [str(peer or peer_python()), str(PEER), str(folder), str(seed)]
    done = subprocess.run(command, env=peer_variables(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"LeRobot failed: {done.stderr[-2000:]}")
    return sorted(folder.iterdir())


def _imported(theirs: Path, ours: Path) -> None:
    sees_pictures = theirs.name.startswith("pictures")
    robot = share_path(f"config/robots/{'sim_arm' if sees_pictures else 'pusht'}.yaml")
    words = [str(theirs), "--robot", str(robot), "--output", str(ours)]
    if not sees_pictures:
        words += ["--feature", "block_corners=observation.environment_state"]
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        failed = import_policy(words)
    if failed:
        raise RuntimeError(f"{theirs.name} was not imported: {shown.getvalue()}")


def _as_seen(windows: np.ndarray, step: int) -> np.ndarray:
    """Return numbers (D,), or a picture (H, W, 3) uint8 of one (3, H, W) between 0 and 1."""
    if windows.ndim == 2:
        return windows[step].astype(np.float64)
    return (255 * windows[step]).round().astype(np.uint8).transpose(1, 2, 0)


def _compared(theirs: Path, ours: Path, engine: str) -> tuple[float, float, float]:
    """Return the largest difference of an answer, of a normalized plan and of a plan."""
    expected = np.load(theirs / "plans.npz")
    settings = PlanSettings(overrides={"seam": "switch"}, engine=engine)
    policy = DiffusionPolicy.restore(load_checkpoint(ours), settings)
    window = [
        Observation(
            0.1 * step,
            {name: _as_seen(expected[f], step) for name, f in FEATURES.items() if f in expected},
        )
        for step in range(policy.facts.n_obs_steps)
    ]
    plan = policy.plan(window, policy.initial_memory(SEED)).traces["horizon"]
    network = policy.network
    with torch.no_grad():
        cond = network.encode(policy.values_of([window]))
        noise, t = (torch.from_numpy(expected[name]) for name in ("noise", "t"))
        answer = network.unet(noise, t, cond).numpy()
    normalized = network.action_normalizer(torch.from_numpy(plan)).numpy()
    return (
        float(np.abs(answer - expected["answer"]).max()),
        float(np.abs(normalized - expected["normalized"][0]).max()),
        float(np.abs(plan - expected["horizon"][0]).max()),
    )


if __name__ == "__main__":
    sys.exit(main())
