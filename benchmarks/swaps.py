"""Ten checkpoint swaps while the arm moves, three of them to bad checkpoints, against none.

python benchmarks/swaps.py
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from command_stream import CommandStream, running_arm
from ddpm_msgs.srv import LoadCheckpoint
from fixed_rate import figures
from followed_robot import UPDATE_S
from rich.console import Console
from rich.table import Table

from ddpm_controller.robots.robot import joint_limits
from ddpm_controller.simulation.arm.robot_description import robot_description


@dataclass(frozen=True)
class Options:
    """Measure swaps.

    Attributes:
        checkpoint: What runs first.
        other: What is swapped in; it wants to go somewhere else.
        rate_hz: Control rate.
        between_s: Time from one swap to the next.
    """

    checkpoint: Path = Path("models/pick_place")
    other: Path = Path("models/reach")
    rate_hz: float = 50.0
    between_s: float = 3.0


def bad_checkpoints(good: Path, folder: Path) -> list[Path]:
    """A missing one, one with cut weights, and one with an edited manifest."""
    cut, edited = folder / "cut", folder / "edited"
    for copy in (cut, edited):
        shutil.copytree(good, copy)
    weights = next(cut.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    manifest = edited / "manifest.json"
    manifest.write_text(manifest.read_text().replace("shoulder_pan", "shoulder_tan"))
    return [folder / "missing", cut, edited]


def swap(stream: CommandStream, client, folder: Path) -> str:
    """Ask for a checkpoint; return what the controller says."""
    request = LoadCheckpoint.Request(path=str(folder.resolve()))
    answer = stream.wait(client.call_async(request))
    return f"{'in use' if answer.success else 'refused'}: {answer.message}"


def main() -> int:
    """Run both measurements and print the table."""
    options = tyro.cli(Options)
    console = Console(width=120)
    table = Table(title=f"commands at {options.rate_hz:.0f} Hz")
    for column in (
        "run",
        "p50, ms",
        "p99, ms",
        "max, ms",
        "missed",
        "late",
        "step / limit",
    ):
        table.add_column(column, justify="right")
    names = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_pitch", "wrist_yaw", "wrist_roll")
    limits = joint_limits(robot_description(), (*names, "gripper"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bad = bad_checkpoints(options.checkpoint, folder)
        good = [options.other, options.checkpoint]
        order = [*good, bad[0], *good, bad[1], *good, bad[2], good[0]]
        for run, swaps in (("without swaps", []), ("ten swaps", order)):
            with running_arm("pick_place", options.checkpoint, options.rate_hz) as stream:
                client = stream.create_client(LoadCheckpoint, "controller/load_checkpoint")
                for number in range(len(order)):
                    stream.listen(options.between_s)
                    if swaps:
                        console.print(swap(stream, client, swaps[number])[:110])
                stream.listen(options.between_s)
                times = np.array(stream.published_s)
                steps = np.abs(np.diff(stream.led.column("position"), axis=0))
                ratio = (steps / (limits.velocity * UPDATE_S)).max()
                table.add_row(run, *figures(times, options.rate_hz), f"{ratio:.3f}")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
