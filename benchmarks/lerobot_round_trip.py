"""Bags to a LeRobot data set and back: the same windows, and a data set that LeRobot takes?

Demonstrations of the world reach, with two cameras, are exported with each way to keep pictures
and imported again. The windows of a training must be equal: vectors bit for bit, pictures within
the codec's error. A Python that has LeRobot, given by `--peer`, then loads the data set, compares
its numbers with those that were exported, and trains a diffusion policy for a step.

    python benchmarks/lerobot_round_trip.py [--quick] [--peer PATH_OF_ITS_PYTHON]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.data.windows import WindowBatch, WindowDataset
from ddpm_controller.lerobot.export import ExportSettings, export_bags
from ddpm_controller.lerobot.features import Matching
from ddpm_controller.lerobot.to_bags import import_dataset
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.share import share_path

WAYS = {
    "png": ExportSettings(pictures="png"),
    "h264": ExportSettings(codec="h264"),
    "av1": ExportSettings(codec="av1"),
}
PEER = Path(__file__).with_name("lerobot_peer.py")


@dataclass(frozen=True)
class RoundTrip:
    """Options.

    Attributes:
        quick: Two episodes in place of ten.
        peer: Python of an environment that has LeRobot; left out: it is not asked.
    """

    quick: bool = False
    peer: Path | None = None


@dataclass(frozen=True)
class Found:
    """What one way has shown.

    Attributes:
        equal_vectors: Whether all vectors and actions are the same, bit for bit.
        mean_error: Mean difference of pictures, levels of 255.
        p99_error: 99th percentile of it.
        megabytes: Size of the data set.
        export_s: Processor time of the export.
        import_s: Processor time of the import.
        peer: What LeRobot reported; empty without it.
    """

    equal_vectors: bool
    mean_error: float
    p99_error: float
    megabytes: float
    export_s: float
    import_s: float
    peer: dict[str, float | str]


def main() -> None:
    """Run the benchmark."""
    options = tyro.cli(RoundTrip, description=__doc__)
    os.environ.setdefault("SVT_LOG", "1")  # else the encoder of AV1 prints all of its settings
    robot = load_robot(share_path("config/robots/sim_arm.yaml"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bags = _demonstrated(folder, 2 if options.quick else 10)
        found = {way: _tried(way, bags, robot, folder, options.peer) for way in WAYS}
    _show(found)


def _demonstrated(folder: Path, count: int) -> Path:
    words = ["demonstrate", "--world", "reach", "--episodes", str(count), "--in-process"]
    command = [sys.executable, "-m", "ddpm_controller.cli.main", *words]
    subprocess.run([*command, "--output", str(folder / "bags")], check=True, capture_output=True)
    return folder / "bags"


def _tried(way: str, bags: Path, robot: Robot, folder: Path, peer: Path | None) -> Found:
    data, again = folder / f"{way}_data", folder / f"{way}_bags"
    begin_s = time.process_time()
    export_bags([bags], robot, data, WAYS[way])
    middle_s = time.process_time()
    import_dataset(data, robot, again, Matching({}))
    end_s = time.process_time()
    errors = np.concatenate(list(_picture_errors(*_windows(bags, again, robot))))
    return Found(
        _same_vectors(*_windows(bags, again, robot)),
        float(errors.mean()),
        float(np.quantile(errors, 0.99)),
        sum(each.stat().st_size for each in data.rglob("*") if each.is_file()) / 1e6,
        middle_s - begin_s,
        end_s - middle_s,
        _asked(peer, data) if peer is not None else {},
    )


def _windows(bags: Path, again: Path, robot: Robot) -> tuple[WindowBatch, WindowBatch]:
    sets = [WindowDataset(read_episodes([each], robot), 2, 16) for each in (bags, again)]
    one, other = (each.gather(np.arange(len(each))) for each in sets)
    return one, other


def _same_vectors(one: WindowBatch, other: WindowBatch) -> bool:
    vectors = [name for name, each in one.values.items() if each.dtype != np.uint8]
    pairs = [(one.values[name], other.values[name]) for name in vectors]
    pairs += [(one.actions, other.actions), (one.mask, other.mask)]
    return all(np.array_equal(*pair) for pair in pairs)


def _picture_errors(one: WindowBatch, other: WindowBatch) -> Iterator[np.ndarray]:
    for name, each in one.values.items():
        if each.dtype == np.uint8:
            yield np.abs(each.astype(np.int16) - other.values[name].astype(np.int16)).ravel()


def _asked(peer: Path, data: Path) -> dict[str, float | str]:
    """Return what LeRobot reports of a data set."""
    done = subprocess.run([str(peer), str(PEER), str(data)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"LeRobot failed on {data}: {done.stderr[-2000:]}")
    answer: dict[str, float | str] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _show(found: dict[str, Found]) -> None:
    table = Table(title="bags -> LeRobot data set -> bags")
    names = ("pictures", "vectors", "mean error", "99 %", "MB", "export s", "import s", "LeRobot")
    for name in names:
        table.add_column(name, justify="right")
    table.add_row("limit", "equal", "0 for png", "0 for png", "", "", "", "loads, learns")
    for way, each in found.items():
        vectors = "equal" if each.equal_vectors else "DIFFER"
        numbers = (each.mean_error, each.p99_error, each.megabytes, each.export_s, each.import_s)
        peer = ", ".join(f"{name} {value}" for name, value in each.peer.items()) or "not asked"
        table.add_row(way, vectors, *(f"{number:.2f}" for number in numbers), peer)
    Console(width=160).print(table)
    for way, each in found.items():
        print(f"{way}_vectors_equal: {int(each.equal_vectors)}")
        print(f"{way}_picture_error_p99: {each.p99_error:.1f}")
        for name, value in each.peer.items():
            print(f"{way}_lerobot_{name}: {value}")


if __name__ == "__main__":
    main()
