"""Time and memory from bags to episodes, beside plain loops of rosbags and of the mcap library.

python benchmarks/bag_reading.py               (--quick: within a minute)
python benchmarks/bag_reading.py --before PATH (another checkout of this package as one more arm)

Bags of demonstrations are made first: joint states and commands at 50 Hz, an episode of ten
seconds each; once without cameras and once with two of them, as JPEG. Every arm is a process of
its own, and they work by turns. The loop of rosbags deserializes every message, that of the mcap
library none: neither makes episodes. Memory is what a process needs at most beyond what it had
after its imports. The last lines are medians.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

JOINTS = tuple(f"joint_{number}" for number in range(7))
PERIOD_NS = 20_000_000
ROBOT = """
robot: benchmark
streams:
  joint_state: {{topic: joint_states, type: sensor_msgs/msg/JointState, names: {names},
                units: {units}, rate_hz: 50.0, max_age_s: 0.3}}
{cameras}
action: {{topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: {names},
         units: {units}, period_s: 0.1}}
"""
CAMERA = """
  {name}: {{topic: {name}/image_raw/compressed, type: sensor_msgs/msg/CompressedImage, height: 240,
           width: 320, resize: [96, 96], rate_hz: 25.0, max_age_s: 0.5}}
"""
CAMERAS = ("front", "wrist")


@dataclass(frozen=True)
class Options:
    """Measure how fast bags are read.

    Attributes:
        bags: Number of bags without cameras.
        camera_bags: Number of bags with two cameras.
        turns: Number of measurements of each arm.
        before: Another checkout of this package.
        quick: Few bags and turns.
        arm: Used by the benchmark itself: the arm that this process is.
        folder: Used by the benchmark itself: where the bags are.
    """

    bags: int = 60
    camera_bags: int = 12
    turns: int = 7
    before: Path | None = None
    quick: bool = False
    arm: str = ""
    folder: Path = Path()


def make_bags(folder: Path, count: int, with_cameras: bool) -> None:
    """Write bags and their robot file."""
    from ddpm_controller.bags.message_types import message_types
    from ddpm_controller.bags.storages import BagTopic
    from ddpm_controller.bags.writer import BagWriter

    types = message_types()
    cameras = CAMERAS if with_cameras else ()
    topics = {
        "/joint_states": "sensor_msgs/msg/JointState",
        "/joint_trajectory": "trajectory_msgs/msg/JointTrajectory",
        "/robot_description": "std_msgs/msg/String",
        "/controller/status": "ddpm_msgs/msg/EpisodeMark",
        **{f"/{name}/image_raw/compressed": "sensor_msgs/msg/CompressedImage" for name in cameras},
    }
    kinds = types.types
    none = np.zeros(0)
    random = np.random.default_rng(0)
    pictures = [_jpeg(random) for _ in range(16)] if cameras else []

    def header(stamp_ns: int) -> Any:
        stamp = kinds["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
        return kinds["std_msgs/msg/Header"](stamp, "base")

    for number in range(count):
        declared = [BagTopic(*each) for each in topics.items()]
        with BagWriter(folder / f"bag_{number:03d}", declared, {"robot": "benchmark"}) as bag:

            def write(topic: str, stamp_ns: int, message: Any) -> None:
                raw = bytes(types.serialize_cdr(message, topics[topic]))
                bag.write(topic, stamp_ns, raw)

            for tick in range(500):
                now_ns = 10**18 + tick * PERIOD_NS
                position = np.sin(0.01 * tick + number + np.arange(len(JOINTS)))
                write(
                    "/joint_states",
                    now_ns,
                    kinds["sensor_msgs/msg/JointState"](
                        header(now_ns), list(JOINTS), position, 0.1 * position, none
                    ),
                )
                duration = kinds["builtin_interfaces/msg/Duration"](0, PERIOD_NS)
                point = kinds["trajectory_msgs/msg/JointTrajectoryPoint"](
                    position + 0.01, none, none, none, duration
                )
                write(
                    "/joint_trajectory",
                    now_ns,
                    kinds["trajectory_msgs/msg/JointTrajectory"](
                        header(now_ns), list(JOINTS), [point]
                    ),
                )
                for name in cameras if tick % 2 == 0 else ():
                    message = kinds["sensor_msgs/msg/CompressedImage"](
                        header(now_ns), "jpeg", pictures[(tick // 2) % len(pictures)]
                    )
                    write(f"/{name}/image_raw/compressed", now_ns, message)
    names, units = f"[{', '.join(JOINTS)}]", f"[{', '.join(['rad'] * len(JOINTS))}]"
    text = "".join(CAMERA.format(name=name) for name in cameras)
    robot = ROBOT.format(names=names, units=units, cameras=text)
    (folder / "robot.yaml").write_text(robot)


def _jpeg(random: np.random.Generator) -> np.ndarray:
    """Return a picture as smooth as a scene, 320 x 240."""
    import cv2
    import simplejpeg

    noise = random.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    return np.frombuffer(simplejpeg.encode_jpeg(cv2.GaussianBlur(noise, (0, 0), 4), 90), np.uint8)


def _bags(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")


def read_ours(folder: Path) -> Callable[[], object]:
    """Return what makes episodes of all bags, with nothing kept."""
    from ddpm_controller.bags.episodes import read_demonstrations
    from ddpm_controller.robots.robot import load_robot

    robot = load_robot(folder / "robot.yaml")
    return lambda: read_demonstrations([folder], robot)


def read_first(folder: Path) -> Callable[[], object]:
    """Return what makes episodes of all bags and keeps them, as at a first start."""
    kept = _kept(folder)

    def read() -> object:
        shutil.rmtree(folder / ".episodes", ignore_errors=True)
        return kept()

    return read


def read_second(folder: Path) -> Callable[[], object]:
    """Return what finds the episodes of all bags where they are kept."""
    kept = _kept(folder)
    kept()
    return kept


def read_doubted(folder: Path) -> Callable[[], object]:
    """Return what finds episodes and doubts where both are kept, as `ddpm train` does."""
    from ddpm_controller.bags.episode_cache import EpisodeCache
    from ddpm_controller.lint.demonstrations import chosen_demonstrations, doubts
    from ddpm_controller.lint.leave_out import LeaveOut
    from ddpm_controller.robots.robot import load_robot

    robot = load_robot(folder / "robot.yaml")

    def read() -> object:
        cache = EpisodeCache(robot, folder / ".doubted")
        found = chosen_demonstrations([folder], robot, LeaveOut(), cache=cache)
        return found, doubts([folder], robot, LeaveOut(), found, cache=cache)

    read()
    return read


def _kept(folder: Path) -> Callable[[], object]:
    from ddpm_controller.bags.episode_cache import EpisodeCache
    from ddpm_controller.bags.episodes import read_demonstrations
    from ddpm_controller.robots.robot import load_robot

    robot = load_robot(folder / "robot.yaml")
    return lambda: read_demonstrations([folder], robot, cache=EpisodeCache(robot, None))


def read_rosbags(folder: Path) -> Callable[[], object]:
    """Return a plain loop of rosbags over every message."""
    from rosbags.highlevel import AnyReader

    def read() -> object:
        count = 0
        for bag in _bags(folder):
            with AnyReader([bag]) as reader:
                for connection, _, raw in reader.messages():
                    reader.deserialize(raw, connection.msgtype)
                    count += 1
        return count

    return read


def read_mcap(folder: Path) -> Callable[[], object]:
    """Return a plain loop of the mcap library, which deserializes nothing."""
    from mcap.reader import make_reader

    def read() -> object:
        count = 0
        for bag in _bags(folder):
            with next(bag.glob("*.mcap")).open("rb") as file:
                count += sum(1 for _ in make_reader(file).iter_messages())
        return count

    return read


ARMS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "ours": read_ours,
    "ours, first start": read_first,
    "ours, second start": read_second,
    "second start with doubts": read_doubted,
    "rosbags loop": read_rosbags,
    "mcap loop, bytes only": read_mcap,
    "before": read_ours,
}


def work(options: Options) -> int:
    """Be an arm: read all bags for each line of the input, and answer with the times."""
    read = ARMS[options.arm](options.folder)
    begin_mb = _memory_mb()
    for _ in sys.stdin:
        begin_s, cpu_s = time.perf_counter(), time.process_time()
        found = read()
        times = time.perf_counter() - begin_s, time.process_time() - cpu_s
        del found
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(json.dumps([*times, peak_mb - begin_mb]) + "\n")
        sys.stdout.flush()
    return 0


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(folder: Path, options: Options) -> dict[str, np.ndarray]:
    """Return arm -> (turns, 3) wall s, CPU s and largest memory in MB."""
    processes = {}
    for name in ARMS:
        variables = dict(os.environ)
        if name == "before":
            if options.before is None:
                continue
            variables["PYTHONPATH"] = str(options.before.resolve())
        command = [sys.executable, __file__, "--arm", name, "--folder", str(folder)]
        processes[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables, text=True
        )
    rows: dict[str, list[list[float]]] = {name: [] for name in processes}
    for _ in range(options.turns):
        for name, process in processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            rows[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    return {name: np.array(each) for name, each in rows.items()}


def report(kind: str, folder: Path, options: Options) -> list[str]:
    """Measure one kind of bags, print the table and return the last lines."""
    bags = _bags(folder)
    size_mb = sum(f.stat().st_size for bag in bags for f in bag.iterdir()) / 1e6
    title = f"{len(bags)} bags {kind}, {size_mb:.1f} MB"
    table = Table("arm", "ms a bag", "CPU, ms", "MB/s", "memory, MB", title=title)
    lines = []
    for name, rows in measured(folder, options).items():
        wall_ms, cpu_ms = rows[:, 0] / len(bags) * 1e3, rows[:, 1] / len(bags) * 1e3
        low, middle, high = np.percentile(wall_ms, [25, 50, 75])
        shown = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        rate = size_mb / (middle * len(bags) / 1e3)
        memory = f"{rows[:, 2].max():.0f}"
        table.add_row(name, shown, f"{np.median(cpu_ms):.1f}", f"{rate:.1f}", memory)
        key = f"{kind.replace(' ', '_')}_{name.replace(',', '').replace(' ', '_')}_ms_a_bag"
        lines.append(f"{key}: {middle:.2f}")
        if name == "ours, second start":
            key = f"{kind.replace(' ', '_')}_second_start_of_500_s"
            lines.append(f"{key}: {middle * 0.5:.2f}")
    Console(width=110).print(table)
    return lines


def main() -> int:
    """Measure and print."""
    options = tyro.cli(Options, description=__doc__)
    if options.arm:
        return work(options)
    if options.quick:
        options = replace(options, bags=12, camera_bags=3, turns=3)
    lines = []
    for kind, count in (("without_cameras", options.bags), ("with_cameras", options.camera_bags)):
        with tempfile.TemporaryDirectory() as folder:
            make_bags(Path(folder), count, kind == "with_cameras")
            lines += report(kind.replace("_", " "), Path(folder), options)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
