"""What a recording survives, what it loses, and what it costs.

    python benchmarks/recorder.py                       (100 kills, 20 full disks, 10 minutes)
    python benchmarks/recorder.py --quick               (within a minute)

- Kills: `ddpm record` hears a robot with numbered messages and is killed (-9) at a random moment.
  Its bag is opened as it is, recovered, and opened again. How much is missing before the kill?
- Full disks: a file system of a few megabytes fills up (root), or a file may not grow any more.
- Full rate: `ddpm record` beside the same robot; messages that are not in the bag, by number.
- Cost: the same messages through our writer and through that of `rosbags`, by turns.

The last lines are the figures.
"""

import contextlib
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import tyro
from numbered_source import CAMERAS, IMAGES_HZ, NUMBERED_SOURCE, STATES_HZ, pictures
from robot_source import HEIGHT, WIDTH, write_robot
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from ddpm_controller.bags.files import BagError, OpenBag
from ddpm_controller.bags.message_types import definition, message_types
from ddpm_controller.bags.reading.unfinished import MARK, is_finished
from ddpm_controller.bags.storages import BagTopic, Storage
from ddpm_controller.bags.writer import recover
from ddpm_controller.bags.writer_thread import Arrival, BagThread, ReceivedOrder
from ddpm_controller.ros.graph.own_graph import use_own_domain
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.share import share_path

STORAGES: tuple[Storage, ...] = ("mcap", "sqlite3")
STATES = BagTopic("/joint_states", "sensor_msgs/msg/JointState", reliable=False)
IMAGES = [
    BagTopic(f"/{name}/image_raw", "sensor_msgs/msg/Image", reliable=False) for name in CAMERAS
]
DISK_MB = 96
_FIRST_MESSAGE_PATIENCE_S = 60.0
_FIRST_MESSAGES_BYTES = 2_000_000


@dataclass(frozen=True)
class Options:
    """Measure the recorder.

    Attributes:
        kills: Recordings that are killed, by turns of storage and of kind of image; 0 leaves a
            part out, as of the next three.
        full_disks: Recordings whose disk fills up, by turns of storage.
        duration_s: Recording at full rate.
        cost_s: Length of what the two writers write.
        seed: Of the moments of the kills.
        place: Folder for the bags, on the disk that is measured.
        quick: 4 kills, 2 full disks, 10 seconds.
    """

    kills: int = 100
    full_disks: int = 20
    duration_s: float = 600.0
    cost_s: float = 20.0
    seed: int = 0
    place: Path = Path(tempfile.gettempdir())
    quick: bool = False


# A robot and a recorder


@contextlib.contextmanager
def robot_source(*, compressed: bool) -> Iterator[None]:
    """Have both drivers run."""
    parts = ("joints", "cameras_compressed" if compressed else "cameras")
    drivers = [subprocess.Popen([sys.executable, str(NUMBERED_SOURCE), part]) for part in parts]
    try:
        yield
    finally:
        for driver in drivers:
            driver.kill()
            driver.wait()


def started_recorder(
    bag: Path, robot: Path, storage: Storage, duration_s: float = 0.0
) -> subprocess.Popen[bytes]:
    """Start `ddpm record`; return when it has flushed some messages."""
    words = ["--output", str(bag), "--robot", str(robot), "--storage", storage]
    words += ["--duration-s", str(duration_s)]
    recorder = subprocess.Popen([*python_command("record"), *words], stdout=subprocess.DEVNULL)
    end_s = time.monotonic() + _FIRST_MESSAGE_PATIENCE_S
    while size_of(bag) < _FIRST_MESSAGES_BYTES:
        if recorder.poll() is not None or time.monotonic() > end_s:
            recorder.kill()
            raise RuntimeError("the recorder does not record")
        time.sleep(0.05)
    return recorder


def size_of(bag: Path) -> int:
    """Return the bytes in the files of a bag, without the room that is kept; 0: no bag yet."""
    with contextlib.suppress(FileNotFoundError):
        return sum(f.stat().st_size for f in bag.iterdir() if f.name != MARK)
    return 0


def numbers_in(bag: Path) -> dict[str, list[tuple[int, int]]]:
    """Return topic -> number and time in the bag, ns, of every message; empty: no bag yet."""
    found: dict[str, list[tuple[int, int]]] = {}
    with contextlib.suppress(BagError, FileNotFoundError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if bag.is_dir():
            with OpenBag(bag) as source:
                numbered = [t for t in source.topics if "joint_states" in t or "image" in t]
                for message in source.messages(numbered):
                    number = int(message.message.header.frame_id)
                    found.setdefault(message.topic, []).append((number, message.log_ns))
    return found


def gaps(rows: list[tuple[int, int]]) -> int:
    """Return how many numbers are missing between the first and the last."""
    numbers = {number for number, _ in rows}
    return max(numbers) - min(numbers) + 1 - len(numbers)


# Kills


@dataclass(frozen=True)
class Kill:
    """What a killed recording has left.

    Attributes:
        missing_s: From the last message in the bag, of the topic that has least, to the kill.
        lost: Messages that are missing between the others.
        same: Whether the recovered bag has what could be read before.
    """

    missing_s: float
    lost: int
    same: bool


def killed(folder: Path, robot: Path, storage: Storage, after_s: float) -> Kill:
    """Record, kill after a while, and look at what is there."""
    bag = folder / "killed"
    recorder = started_recorder(bag, robot, storage)
    time.sleep(after_s)
    killed_ns = time.time_ns()
    recorder.send_signal(signal.SIGKILL)
    recorder.wait()
    before = numbers_in(bag)
    recover(bag)
    after = numbers_in(bag)
    shutil.rmtree(bag)
    newest_ns = min(rows[-1][1] for rows in before.values())
    lost = sum(map(gaps, before.values()))
    return Kill((killed_ns - newest_ns) * 1e-9, lost, before == after)


def measure_kills(options: Options, folder: Path) -> dict[str, object]:
    """Return the figures of all kills."""
    moments = random.Random(options.seed)
    found: list[Kill] = []
    failed = 0
    per_kind = options.kills // 2
    for compressed in (False, True):
        robot = write_robot(folder, compressed=compressed)
        with robot_source(compressed=compressed):
            for _, storage in zip(range(per_kind), itertools.cycle(STORAGES), strict=False):
                try:
                    found.append(killed(folder, robot, storage, moments.uniform(0.0, 2.0)))
                except (BagError, RuntimeError, ValueError) as error:
                    failed += 1
                    print(f"kill {len(found) + failed}: {error}")
                    shutil.rmtree(folder / "killed", ignore_errors=True)
    return {
        "kills": len(found) + failed,
        "kills_bag_does_not_open": failed,
        "kills_missing_max_s": round(max(each.missing_s for each in found), 3),
        "kills_lost_between": sum(each.lost for each in found),
        "kills_recovered_differs": sum(not each.same for each in found),
    }


# Full disks


def messages(duration_s: float) -> Iterator[tuple[BagTopic, int, bytes]]:
    """Yield topic, time in ns and CDR of what the numbered robot sends."""
    kinds = message_types()
    header, stamp = kinds.types["std_msgs/msg/Header"], kinds.types["builtin_interfaces/msg/Time"]
    state, image = kinds.types[STATES.type], kinds.types[IMAGES[0].type]
    flat = [picture.ravel() for picture in pictures()]
    names, empty = [f"joint_{k}" for k in range(7)], np.zeros(0)
    for k in range(int(duration_s * STATES_HZ)):
        now_ns = 10**18 + k * 10**9 // STATES_HZ
        head = header(stamp(*divmod(now_ns, 10**9)), str(k))
        content = state(head, names, np.full(7, 0.001 * k), empty, empty)
        yield STATES, now_ns, bytes(kinds.serialize_cdr(content, STATES.type))
        number = k * IMAGES_HZ // STATES_HZ
        if number > (k - 1) * IMAGES_HZ // STATES_HZ:
            head = header(stamp(*divmod(now_ns, 10**9)), str(number))
            pixels = flat[number % len(flat)]
            content = image(head, HEIGHT, WIDTH, "rgb8", 0, 3 * WIDTH, pixels)
            for topic in IMAGES:
                yield topic, now_ns, bytes(kinds.serialize_cdr(content, topic.type))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Have a file system of a few megabytes; only root may mount one."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """Let no file grow beyond a few megabytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_MB * 2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@dataclass(frozen=True)
class FullDisk:
    """What a recording on a full disk has left.

    Attributes:
        finished: Whether the bag has been closed.
        share: Messages in the bag, of those that were written before the disk refused.
        is_known: Whether the recorder knows.
    """

    finished: bool
    share: float
    is_known: bool


def fill(bag: Path, storage: Storage) -> BagThread:
    """Write until the disk refuses."""
    room, topics = threading.Semaphore(50), [STATES, *IMAGES]
    thread = BagThread(bag, topics, {}, storage, ReceivedOrder(), lambda size: room.release())
    for topic, now_ns, serialized in messages(60.0):
        while thread.error is None and not room.acquire(timeout=0.1):
            pass
        if thread.error is not None:
            break
        thread.put(Arrival(topic, now_ns, now_ns, serialized))
    thread.finish(keep=True, provenance={})
    return thread


def filled(place: Path, storage: Storage, taken_mb: int | None) -> FullDisk:
    """Fill a disk of which so much is taken, or files up to a limit; look at what is there."""
    bag = place / "bag"
    if taken_mb is None:
        with small_files():
            thread = fill(bag, storage)
    else:
        (place / "taken").write_bytes(bytes(taken_mb * 2**20))
        thread = fill(bag, storage)
    kept = sum(map(len, numbers_in(bag).values()))
    share = kept / sum(thread.counts.values())
    return FullDisk(is_finished(bag), share, thread.error is not None)


def measure_full_disks(options: Options, folder: Path) -> dict[str, object]:
    """Return the figures of all full disks; by turns a full one and files at their limit."""
    kinds = [True, False] if os.geteuid() == 0 else [False]
    turns = itertools.cycle([(is_disk, storage) for is_disk in kinds for storage in STORAGES])
    found: list[FullDisk] = []
    for number, (is_disk, storage) in zip(range(options.full_disks), turns, strict=False):
        if is_disk:  # another size each time, so that it refuses at another place of the file
            with small_disk(folder) as place:
                found.append(filled(place, storage, number))
            continue
        with tempfile.TemporaryDirectory(dir=folder) as limited:
            found.append(filled(Path(limited), storage, None))
    return {
        "full_disks": len(found),
        "full_disks_bag_does_not_open": sum(each.share == 0 for each in found),
        "full_disks_closed": sum(each.finished for each in found),
        "full_disks_kept_min": round(min(each.share for each in found), 4),
        "full_disks_silent": sum(not each.is_known for each in found),
    }


# Full rate


def measure_full_rate(options: Options, folder: Path) -> dict[str, object]:
    """Return what a recording at full rate has lost, and what it costs."""
    bag, robot = folder / "full_rate", write_robot(folder)
    with robot_source(compressed=False):
        recorder = started_recorder(bag, robot, "mcap", options.duration_s)
        process = psutil.Process(recorder.pid)
        memory_mb, cpu_s, watched_s = 0.0, 0.0, time.monotonic()
        while recorder.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                memory_mb = max(memory_mb, process.memory_info().rss / 1e6)
                cpu_s = sum(process.cpu_times()[:2])
            time.sleep(0.2)
        watched_s = time.monotonic() - watched_s
    rows = numbers_in(bag)
    count = sum(map(len, rows.values()))
    size_mb = size_of(bag) / 1e6
    shutil.rmtree(bag)
    return {
        "full_rate_s": round(options.duration_s, 1),
        "full_rate_messages": count,
        "full_rate_lost": sum(map(gaps, rows.values())),
        "full_rate_cpu_share": round(cpu_s / watched_s, 3),
        "full_rate_memory_mb": round(memory_mb),
        "full_rate_bag_mb": round(size_mb),
    }


# Cost


def ours(bag: Path, storage: Storage, content: list[tuple[BagTopic, int, bytes]]) -> None:
    """Write with our writer, flushed as a recorder does."""
    thread = BagThread(bag, [STATES, *IMAGES], {}, storage, ReceivedOrder(), lambda size: None)
    for topic, now_ns, serialized in content:
        thread.put(Arrival(topic, now_ns, now_ns, serialized))
    thread.finish(keep=True, provenance={})


def plain(bag: Path, storage: Storage, content: list[tuple[BagTopic, int, bytes]]) -> None:
    """Write with the writer of ``rosbags``, which flushes at its end."""
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = Writer(bag, version=9, storage_plugin=plugin)
    if storage == "mcap":
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for topic in [STATES, *IMAGES]:
            text, digest = definition(topic.type)
            connections[topic] = writer.add_connection(
                topic.name, topic.type, msgdef=text, rihs01=digest
            )
        for topic, now_ns, serialized in content:
            writer.write(connections[topic], now_ns, serialized)


def measure_cost(options: Options, folder: Path) -> dict[str, object]:
    """Return CPU time and size of both writers for the same messages; the median of three."""
    content = list(messages(options.cost_s))
    figures: dict[str, object] = {}
    for storage in STORAGES:
        cpu_s: dict[str, list[float]] = {"ours": [], "plain": []}
        size_mb: dict[str, float] = {}
        for name, write in 3 * [("ours", ours), ("plain", plain)]:
            bag, begun_s = folder / "cost", time.process_time()
            write(bag, storage, content)
            cpu_s[name].append((time.process_time() - begun_s) / options.cost_s)
            size_mb[name] = size_of(bag) / 1e6
            shutil.rmtree(bag)
        for name in cpu_s:
            figures[f"cost_{storage}_{name}_cpu_share"] = round(float(np.median(cpu_s[name])), 3)
            figures[f"cost_{storage}_{name}_mb"] = round(size_mb[name], 1)
    return figures


def main() -> None:
    """Measure and print."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, kills=4, full_disks=2, duration_s=10.0, cost_s=2.0)
    use_own_domain()
    # Without it Fast DDS has no room for an image of this size; drivers need it too.
    profile = share_path("config/fastdds.xml")
    os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", profile)
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        figures |= measure_cost(options, Path(folder)) if options.cost_s else {}
        figures |= measure_full_disks(options, Path(folder)) if options.full_disks else {}
        figures |= measure_full_rate(options, Path(folder)) if options.duration_s else {}
        figures |= measure_kills(options, Path(folder)) if options.kills else {}
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
