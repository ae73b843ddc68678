"""Recordings that were cut or damaged: what is read of them, and whether anything ends badly.

python benchmarks/damaged_bags.py               (--quick: a tenth of it)

A run of ten seconds is recorded into an mcap file as our recorder writes it, with chunks that are
compressed. It is cut at random bytes, as a full disk or a killed copy leaves it, and every message
of a chunk that is whole has to be read, with nothing else. Then bags of both storages are damaged
at random (bits flipped, cut, huge numbers put in, zeros, parts exchanged, other content, a damaged
metadata.yaml), read as demonstrations and doubted. Either they are read, or there is one error of
one line with the bag. The process has RLIMIT_DATA at 1 GiB.
"""

import random
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro
from mcap.reader import SeekingReader
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "test" / "support"))
from small_bags import run_messages, small_robot, write_bag

from ddpm_controller.bags.episodes import read_bag
from ddpm_controller.bags.files import BagError, OpenBag
from ddpm_controller.lint.reading import read_recording
from ddpm_controller.robots.robot import Robot

MOST_BYTES = 1 << 30
LONGEST_S = 10.0


@dataclass(frozen=True)
class Options:
    """Cut and damage bags, and read them.

    Attributes:
        cuts: Number of cuts.
        damaged: Number of damaged bags.
        seed: Seed of both.
        quick: A tenth of each.
    """

    cuts: int = 1000
    damaged: int = 1000
    seed: int = 0
    quick: bool = False


def cut(folder: Path, count: int, chance: random.Random) -> Counter[str]:
    """Return how many cut files were read as they have to be, and how many not."""
    bag = write_bag(folder / "whole", run_messages(10_000))
    file = bag / "whole.mcap"
    raw = file.read_bytes()
    with file.open("rb") as stream:
        summary = SeekingReader(stream).get_summary()
    assert summary is not None
    with OpenBag(bag) as source:
        messages = [(e.topic, e.log_ns, e.serialized) for e in source.messages(source.topics)]
    ends = [
        (e.chunk_start_offset + e.chunk_length, e.message_end_time) for e in summary.chunk_indexes
    ]
    path = folder / "cut" / "cut.mcap"
    path.parent.mkdir()
    found: Counter[str] = Counter()
    for _ in range(count):
        size = chance.randrange(len(raw))
        path.write_bytes(raw[:size])
        until_ns = max((stop_ns for end, stop_ns in ends if end <= size), default=0)
        whole = [each for each in messages if each[1] <= until_ns]
        try:
            with OpenBag(path.parent) as source:
                read = [(e.topic, e.log_ns, e.serialized) for e in source.messages(source.topics)]
        except BagError:
            found["refused, nothing whole in it" if not whole else "LOST"] += 1
            continue
        is_right = read[: len(whole)] == whole and read == messages[: len(read)]
        found["all that is whole" if is_right else "LOST"] += 1
    return found


def flipped(raw: bytearray, chance: random.Random) -> bytearray:
    """Change some bits."""
    for _ in range(chance.choice((1, 3, 20))):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return raw


def put(number: int, size: int) -> Callable[[bytearray, random.Random], bytearray]:
    """Return what puts a number of some bytes anywhere."""

    def damage(raw: bytearray, chance: random.Random) -> bytearray:
        begin = chance.randrange(len(raw))
        length = len(raw[begin : begin + size])
        raw[begin : begin + size] = number.to_bytes(size, "little")[:length]
        return raw

    return damage


def exchanged(raw: bytearray, chance: random.Random) -> bytearray:
    """Exchange two parts."""
    first, second = sorted(chance.randrange(len(raw)) for _ in range(2))
    return raw[:first] + raw[second:] + raw[first:second]


DAMAGES: dict[str, Callable[[bytearray, random.Random], bytearray]] = {
    "bits flipped": flipped,
    "cut": lambda raw, chance: raw[: chance.randrange(len(raw))],
    "a size of 2 GB": put(1 << 31, 4),
    "a size of 2**62": put(1 << 62, 8),
    "zeros": put(0, 4096),
    "parts exchanged": exchanged,
    "a text": lambda raw, chance: bytearray(b"hello\n" * 100),
    "empty": lambda raw, chance: bytearray(),
}


def damaged(folder: Path, robot: Robot, count: int, chance: random.Random) -> Table:
    """Damage bags, read and doubt them; return what came of each kind."""
    good = {
        name: write_bag(folder / name, run_messages(1000), name) for name in ("mcap", "sqlite3")
    }
    kinds = [*DAMAGES, "metadata"]
    rows: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    for number in range(count):
        kind, storage = kinds[number % len(kinds)], chance.choice(list(good))
        bag = shutil.copytree(good[storage], folder / "bag")
        suffix = ".mcap" if storage == "mcap" else ".db3"
        path = bag / ("metadata.yaml" if kind == "metadata" else f"{storage}{suffix}")
        change = DAMAGES.get(kind, flipped)
        path.write_bytes(change(bytearray(path.read_bytes()), chance))
        if chance.random() < 0.3:
            (bag / "metadata.yaml").unlink()
        rows[kind][outcome(bag, robot)] += 1
        shutil.rmtree(bag)
    table = Table("damage", "read", "named error", "anything else")
    for kind, found in rows.items():
        others = {name: n for name, n in found.items() if name not in ("read", "error")}
        table.add_row(kind, str(found["read"]), str(found["error"]), str(others or 0))
    return table


def outcome(bag: Path, robot: Robot) -> str:
    """Return ``read``, ``error`` where it is named in one line, or what else came."""
    begin_s = time.monotonic()
    try:
        read_recording(bag, robot)
        read_bag(bag, robot)
        found = "read"
    except BagError as error:
        is_named = str(bag) in str(error) and "\n" not in str(error) and len(str(error)) < 1000
        found = "error" if is_named else f"unnamed: {error}"
    except Exception as error:
        found = repr(error)
    return found if time.monotonic() - begin_s < LONGEST_S else "slow"


def main() -> None:
    """Run the benchmark."""
    options, console = tyro.cli(Options), Console()
    share = 10 if options.quick else 1
    chance = random.Random(options.seed)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        console.print(f"cuts: {dict(cut(folder, options.cuts // share, chance))}")
        robot = small_robot(folder)
        console.print(damaged(folder, robot, options.damaged // share, chance))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"largest memory {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
