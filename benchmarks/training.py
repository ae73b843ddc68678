"""Samples that a training learns from in a second, beside LeRobot and a bare loop.

python benchmarks/training.py                  (--quick: within a minute)
python benchmarks/training.py --before PATH    (another checkout of this package as one more arm)

Every arm is a process of its own with the same sizes, batch and data; they work by turns, so that
all meet the same machine. LeRobot runs in its own environment, which is made at the first run (see
benchmarks/peer_environment.py). The bare loop is our network with nothing around it: the limit.
Ratios are of CPU time, which other programs on the machine change least; each is the median over
the turns, and those to LeRobot are the last lines.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import tyro
from peer_environment import PeerError, peer_python, peer_variables
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Options:
    """Measure the speed of training.

    Attributes:
        turns: Number of measurements of each arm.
        updates: Updates in each, from states.
        image_updates: Updates in each, with images.
        channels: Widths of the U-Net's levels.
        batch_size: Windows per update from states.
        image_batch_size: Windows per update with images.
        image_size: Height and width of the images.
        threads: Threads of torch.
        precision: float32, or bfloat16 for the forward and backward pass of all arms.
        images: Measure with a camera too.
        before: Another checkout of this package.
        peer: Measure LeRobot too.
        quick: Few turns and updates.
    """

    turns: int = 15
    updates: int = 8
    image_updates: int = 2
    channels: tuple[int, ...] = (64, 128, 256)
    batch_size: int = 64
    image_batch_size: int = 16
    image_size: int = 96
    threads: int = 1
    precision: str = "float32"
    images: bool = True
    before: Path | None = None
    peer: bool = True
    quick: bool = False


class Arm:
    """A process that updates on request.

    Args:
        name: Name in the table.
        kind: Name in ``training_arms``.
        python: Its interpreter.
        settings: Sizes.
        path: Checkout that it imports from; None: the installed one.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        python: Path,
        settings: dict[str, Any],
        path: Path | None = None,
    ) -> None:
        self.name = name
        variables = peer_variables() if kind == "lerobot" else dict(os.environ)
        if path is not None:
            variables["PYTHONPATH"] = str(path.resolve())
        command = [str(python), str(HERE / "training_arms.py"), kind, json.dumps(settings)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables, text=True
        )
        self._answer()

    def times(self, updates: int) -> tuple[float, float]:
        """Return wall and CPU time of so many updates, s."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{updates}\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["wall_s"], answer["cpu_s"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} has ended: its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        """Return the arm."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.communicate()


def arms_of(options: Options, settings: dict[str, Any]) -> list[Arm]:
    """Start the arms."""
    own = Path(sys.executable)
    arms = [Arm("ours", "ours", own, settings), Arm("bare loop, our net", "bare", own, settings)]
    if options.before is not None:
        arms.append(Arm("before", "ours", own, settings, options.before))
    if options.peer:
        arms.append(Arm("LeRobot 0.4.4", "lerobot", peer_python(), settings))
    return arms


def measured(options: Options, images: bool) -> dict[str, np.ndarray]:
    """Return arm -> (turns, 2) wall and CPU samples a second."""
    batch = options.image_batch_size if images else options.batch_size
    updates = options.image_updates if images else options.updates
    settings = {
        "channels": options.channels,
        "batch_size": batch,
        "image_size": options.image_size,
        "threads": options.threads,
        "precision": options.precision,
        "images": images,
    }
    arms = arms_of(options, settings)
    try:
        rows = [[arm.times(updates) for arm in arms] for _ in range(options.turns)]
    finally:
        for arm in arms:
            arm.__exit__()
    rates = batch * updates / np.array(rows)  # (turns, arms, 2)
    return {arm.name: rates[:, number] for number, arm in enumerate(arms)}


def shown(rates: np.ndarray) -> str:
    """Return the median and the quartiles."""
    low, middle, high = np.percentile(rates, [25, 50, 75])
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def main() -> int:
    """Measure and print."""
    options = tyro.cli(Options, description=__doc__)
    if options.quick:
        options = Options(**{**vars(options), "turns": 5, "updates": 2, "image_updates": 1})
    lines = []
    for images in (False, True) if options.images else (False,):
        try:
            found = measured(options, images)
        except PeerError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        what = "with a camera" if images else "from states"
        title = f"{what}, {options.precision}, {options.threads} thread(s): samples a second"
        table = Table("arm", "wall", "CPU", "of LeRobot", "of the bare loop", title=title)
        bare = found["bare loop, our net"]
        peer = found.get("LeRobot 0.4.4")
        for name, rates in found.items():
            ratios = [
                "-" if other is None else f"{np.median(rates[:, 1] / other[:, 1]):.2f}"
                for other in (peer, bare)
            ]
            table.add_row(name, shown(rates[:, 0]), shown(rates[:, 1]), *ratios)
            if peer is not None and name != "LeRobot 0.4.4":
                key = name.split()[0].rstrip(",")
                lines.append(f"{'images' if images else 'state'}_{key}: {ratios[0]}")
        Console(width=110).print(table)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
