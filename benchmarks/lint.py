"""Planted defects: how many `ddpm lint` finds, and how often it is alarmed by good recordings.

Into recordings of simulated experts and into those of people and of a real arm, where they are
there, defects of every kind are planted one at a time, each with a seed of its own, and looked at
beside good recordings of the same robot. Found is a defect whose kind is named for its recording.
A false alarm is a simulated recording with any finding; of real ones it is not known that they are
good, so what is found in them as they are is listed by itself.

    python benchmarks/lint.py --quick       # within a minute
    python benchmarks/lint.py               # all of it
"""

import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from lint_defects import DEFECTS, Scene
from rich.console import Console
from rich.table import Table

from ddpm_controller.bags.files import OpenBag, RecordedMessage
from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.tape import topics_of
from ddpm_controller.lint.checks import findings_of
from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.limits import Limits, limits_of
from ddpm_controller.lint.reading import recording_from
from ddpm_controller.lint.recording import Recording
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.simulation.worlds import WORLDS

ROOT = Path(__file__).parents[1]
BESIDE = 7
"""Good recordings that each planted one is looked at with."""
ARM_HZ = 100.0
ARM = """
robot: franka_tip
streams:
  tip: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [x, y, z], units: [m, m, m],
        rate_hz: 100.0, max_age_s: 0.3}
action: {topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [x, y, z],
         units: [m, m, m], period_s: 0.1,
         recorded: {topic: joint_states, type: sensor_msgs/msg/JointState, source: measured}}
"""


@dataclass(frozen=True)
class Options:
    """Plant defects and count what is found.

    Attributes:
        quick: One defect of a kind in each set, and few good recordings.
        each: Number of defects of a kind in each set.
        good: Good recordings of each simulated world.
        pusht: Human demonstrations of PushT, pusht_cchi_v7_replay.zarr; left out where it is not.
        arm: Recordings of a real arm, a MATLAB file of pos; left out where it is not.
        seed: Seed of all that is random.
        worlds: Simulated worlds.
    """

    quick: bool = False
    each: int = 5
    good: int = 40
    pusht: Path = ROOT / "../shared/data/pusht_human/pusht_cchi_v7_replay.zarr"
    arm: Path = ROOT / "../shared/data/panda_comanip_real/symbol_data.mat"
    seed: int = 0
    worlds: tuple[str, ...] = ("reach", "pick_place", "drum")


@dataclass(frozen=True)
class Set:
    """Good recordings of one robot."""

    name: str
    is_real: bool
    robot: Robot
    scenes: Sequence[Scene]
    limits: Limits


def simulated(world: str, count: int, seed: int, folder: Path) -> Set:
    """Return recordings of a world's expert, with its cameras."""
    # Imported here: whoever reads the help needs no ROS.
    from ddpm_controller.ros.simulation.demonstrations import record_in_process

    robot, scenes = load_robot(ROOT / WORLDS[world].robot), []
    made = WORLDS[world].world()
    limits = limits_of(robot, made.robot_description())
    number = seed
    while len(scenes) < count:
        bag = folder / f"{world}_{number}"
        if record_in_process(made, number, bag):
            scenes.append(_scene(bag, robot, limits))
        number += 1
    return Set(world, is_real=False, robot=robot, scenes=scenes, limits=limits)


def people(data: Path, count: int, folder: Path) -> Set:
    """Return the first human demonstrations of PushT."""
    from ddpm_controller.cli.pusht_demonstrations import PushTDemonstrations, convert

    convert(PushTDemonstrations(data, folder, count))
    robot = load_robot(ROOT / "config/robots/pusht.yaml")
    limits = limits_of(robot)
    scenes = [_scene(bag, robot, limits) for bag in sorted(folder.iterdir())]
    return Set("PushT by people", is_real=True, robot=robot, scenes=scenes, limits=limits)


def real_arm(data: Path, folder: Path) -> Set:
    """Return how the tip of a Franka arm was moved by hand, at every tenth row."""
    from scipy.io import loadmat

    (folder / "arm.yaml").write_text(ARM)
    robot, types = load_robot(folder / "arm.yaml"), message_types()
    kind = types.types["sensor_msgs/msg/JointState"]
    time_of = types.types["builtin_interfaces/msg/Time"]
    header, none = types.types["std_msgs/msg/Header"], np.zeros(0)
    (output,), (stream,) = robot.outputs, robot.streams
    scenes = []
    for number, record in enumerate(loadmat(data)["symbol_data"].ravel()):
        messages = []
        for i, row in enumerate(np.asarray(record["pos"], float).T[::10]):
            ns = 1_790_000_000 * 10**9 + round(i / ARM_HZ * 1e9)
            stamp = header(time_of(*divmod(ns, 10**9)), "")
            message = kind(stamp, ["x", "y", "z"], row.copy(), none, none)
            topic = "/joint_states"
            messages.append(RecordedMessage(topic, kind.__msgtype__, ns, message, b""))
        roles = {"/joint_states": [*stream.sources, output]}
        topics = {"/joint_states": kind.__msgtype__}
        scenes.append(Scene(f"franka_{number}", robot, roles, tuple(messages), topics, {}))
    return Set("Franka arm by hand", is_real=True, robot=robot, scenes=scenes, limits={})


def _scene(bag: Path, robot: Robot, limits: Limits) -> Scene:
    with OpenBag(bag) as source, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        roles = topics_of(source, robot)
        messages = tuple(source.messages(roles))
        topics = {topic: kind for topic, kind in source.topics.items() if topic in roles}
    return Scene(bag.name, robot, roles, messages, topics, limits)


def recording_of(scene: Scene) -> Recording:
    """Return a scene as `ddpm lint` reads it."""
    roles = {**scene.roles}
    return recording_from(scene.name, scene.robot, roles, scene.messages, scene.topics)


def sets_of(options: Options, folder: Path) -> Iterator[Set]:
    """Give the sets of good recordings."""
    count = BESIDE + 1 if options.quick else options.good
    for world in options.worlds[: 1 if options.quick else None]:
        yield simulated(world, count, 9000 + options.seed, folder)
    if options.pusht.is_dir():
        yield people(options.pusht, 16 if options.quick else 206, folder / "pusht")
    if options.arm.is_file():
        yield real_arm(options.arm, folder)


def planted(group: Set, good: Sequence[Recording], options: Options) -> Iterator[dict[str, Any]]:
    """Plant the defects of every kind into recordings of a set; give what became of each."""
    for kind, (plant, names) in DEFECTS.items():
        for number in range(1 if options.quick else options.each):
            key = [options.seed, number, *kind.encode(), *group.name.encode()]
            random = np.random.default_rng(key)
            at = int(random.integers(len(group.scenes)))
            scene = plant(group.scenes[at], random)
            if scene is None:
                continue
            others = [each for i, each in enumerate(good) if i != at or kind == "near duplicate"]
            chosen = random.permutation(len(others))[:BESIDE]
            beside = [others[i] for i in chosen]
            if kind == "near duplicate" and good[at] not in beside:
                beside = [good[at], *beside[1:]]
            found = findings_of([*beside, recording_of(scene)], group.robot, group.limits)
            own = [each for each in found if each.recording == scene.name]
            yield {
                "kind": kind,
                "set": group.name,
                "found": any(each.kind in names for each in own),
                "seen": [each.kind for each in own],
                "seed": number,
            }


def table(results: Sequence[dict[str, Any]]) -> Table:
    """Return how many defects of each kind were found, in simulated and in real recordings."""
    sets = list(dict.fromkeys(each["set"] for each in results))
    shown = Table("kind", *sets, "all")
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in results:
        rows[each["kind"]].append(each)
    for kind, own in [*rows.items(), ("all", list(results))]:
        parts = [[e for e in own if e["set"] == name] for name in sets]
        cells = [_share(part) if part else "-" for part in [*parts, own]]
        shown.add_row(kind, *cells)
    return shown


def _share(results: Sequence[dict[str, Any]]) -> str:
    return f"{sum(each['found'] for each in results)} of {len(results)}"


def main() -> int:
    """Run; return 0."""
    options, console = tyro.cli(Options), Console(width=140, highlight=False)
    results: list[dict[str, Any]] = []
    alarms: dict[bool, list[tuple[str, list[Finding]]]] = {True: [], False: []}
    begin_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for group in sets_of(options, Path(folder)):
            good = [recording_of(each) for each in group.scenes]
            found = findings_of(good, group.robot, group.limits)
            for each in good:
                own = [finding for finding in found if finding.recording == each.name]
                alarms[group.is_real].append((each.name, own))
            results += planted(group, good, options)
            console.print(
                f"{group.name}: {len(good)} recordings, {time.monotonic() - begin_s:.0f} s"
            )
    console.print(table(results))
    for each in results:
        if not each["found"]:
            console.print(
                f"missed: {each['kind']} {each['seed']} in {each['set']}: {each['seen']}"
            )
    for is_real, rows in alarms.items():
        what = "real" if is_real else "simulated"
        kinds = Counter(finding.kind for _, own in rows for finding in own)
        wrong = sum(any(each.severity == "wrong" for each in own) for _, own in rows)
        any_kind = sum(bool(own) for _, own in rows)
        console.print(
            f"{what} as they are: {any_kind} of {len(rows)} with a finding, {wrong} wrong: "
            f"{dict(kinds)}"
        )
        for name, own in rows:
            for each in own:
                console.print(f"  {name}: {each.severity} {each.kind}: {each.text}", markup=False)
    good = alarms[False]
    console.print(f"defects: {len(results)}")
    console.print(f"found_share: {np.mean([each['found'] for each in results]):.4f}")
    console.print(f"false_alarm_share: {np.mean([bool(own) for _, own in good]):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
