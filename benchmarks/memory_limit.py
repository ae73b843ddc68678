"""A set of images many times as large as the memory that a process may have: indexed and trained.

python benchmarks/memory_limit.py               (--quick: a set three times as large)

Bags of two JPEG cameras of 320 x 240 are made, whose images together have `times` the limit when
decoded. `ddpm index` keeps them and `ddpm train` trains a small policy on them, each process with
RLIMIT_DATA at the limit: what it allocates itself, its libraries included, counts; files that are
mapped and can be dropped do not. The last arm trains with `--cache off`, which has to hold every
image: there the limit shows. Memory is the largest that was seen every tenth of a second, of the
largest process.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from bag_reading import CAMERAS, make_bags
from rich.console import Console
from rich.table import Table

MOMENTS, PICTURE_BYTES = 250, 240 * 320 * 3
RECIPE = """
policy: {horizon: 8, n_action_steps: 4, channels: [16, 32], timestep_embedding_dim: 16,
         num_inference_steps: 4, image_channels: [8, 8, 8], num_keypoints: 8}
num_steps: 20
batch_size: 4
warmup_steps: 5
validation_fraction: 0.05
validation_every: 20
nll_windows: 0
checkpoint_every: 20
log_every: 10
"""


@dataclass(frozen=True)
class Options:
    """Index and train under a limit of memory.

    Attributes:
        limit_mb: Memory of each process, MiB.
        times: Size of the images as a multiple of the limit.
        jobs: Number of processes that index.
        quick: Three times the limit.
    """

    limit_mb: int = 640
    times: float = 10.0
    jobs: int = 2
    quick: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: Exit code.
        wall_s: Time.
        anonymous_mb: Largest memory of its largest process, mapped files left out, MiB.
        last: Last line that it wrote.
    """

    code: int
    wall_s: float
    anonymous_mb: float
    last: str


def limited(words: Sequence[str], limit_mb: int, folder: Path) -> Outcome:
    """Run ``ddpm`` with some words under a limit, which its processes inherit."""
    begin_s, most_kb = time.monotonic(), 0
    environment = {**os.environ, "DDPM_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ddpm_controller.cli.main", *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_DATA, (limit_mb << 20, limit_mb << 20)
            ),
        )
        while process.poll() is None:
            most_kb = max([most_kb, *map(_anonymous_kb, _tree(process.pid))])
            time.sleep(0.1)
        output.seek(0)
        lines = [line.strip() for line in output.read().splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return Outcome(process.returncode, time.monotonic() - begin_s, most_kb / 1024, last)


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _anonymous_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def main() -> None:
    """Run the benchmark."""
    options, console = tyro.cli(Options), Console()
    times = 3.0 if options.quick else options.times
    one = MOMENTS * len(CAMERAS) * PICTURE_BYTES
    count = int(times * (options.limit_mb << 20) / one) + 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bags = folder / "bags"
        bags.mkdir()
        make_bags(bags, count, with_cameras=True)
        robot = bags / "robot.yaml"
        text = robot.read_text().replace("resize: [96, 96], ", "")
        robot.write_text(text.replace("period_s: 0.1", "period_s: 0.04"))
        (folder / "recipe.yaml").write_text(RECIPE)
        given = ["--robot", str(robot)]
        train = ["train", "--bags", str(bags), *given, "--config", str(folder / "recipe.yaml")]
        train += ["--doubts", "skip", "--output"]
        arms = {
            "index": ["index", str(bags), *given, "--jobs", str(options.jobs)],
            "train": [*train, str(folder / "run")],
            "train, nothing kept": [*train, str(folder / "other"), "--cache", "off"],
        }
        table = Table("command", "exit code", "s", "MiB of its own", "last line")
        for name, words in arms.items():
            found = limited(words, options.limit_mb, folder)
            cells = str(found.code), f"{found.wall_s:.0f}", f"{found.anonymous_mb:.0f}"
            table.add_row(name, *cells, found.last[-120:])
    gb = count * one / 2**30
    console.print(f"{count} bags, {gb:.2f} GiB of images, limit {options.limit_mb} MiB a process")
    console.print(table)


if __name__ == "__main__":
    main()
