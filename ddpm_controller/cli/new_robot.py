"""The command `new-robot`: a first robot file, from a running robot or from a bag of one."""

import math
import re
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from ddpm_controller.bags.files import BagError
from ddpm_controller.robots.robot import RobotError, load_robot
from ddpm_controller.survey.limits_file import limits_file_text
from ddpm_controller.survey.robot_file import robot_file_text
from ddpm_controller.survey.seen_robot import SeenRobot

_GRAPH = "graph"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class NewRobotOptions:
    """Write a first robot file of a robot that runs, or that a bag was recorded from.

    A robot file names what a policy sees and what it commands: topics, joints in their order,
    units, rates, cameras. All that can be seen of this is taken from the robot: start its driver
    and its controllers, as for teleoperation, and let this look for some seconds. Nothing is sent
    to the robot and nothing is asked.

    Two files are written, NAME.yaml and NAME_limits.yaml; none that exists is touched. What could
    only be guessed has a comment that begins with `check:`. Read these lines and correct them,
    then record demonstrations with the file. Joints and their order come from the parameters of
    the controllers, so load those that you mean to use, and no others of the same joints. What a
    bag cannot show, as the order of an array, is marked.

      ddpm new-robot my_arm
      ddpm new-robot my_arm --namespace follower --duration-s 10
      ddpm new-robot my_arm --from recordings/first_try

    Attributes:
        name: Name of the robot, of small letters, digits and underscores.
        source: graph: what runs now; or the path of a bag with joint states and commands.
        output: Folder that the files are written to.
        namespace: Namespace of the robot: topics outside it do not count, but cameras.
        duration_s: Time for which the graph is looked at, s; slow topics need more.
    """

    name: tyro.conf.Positional[str]
    source: Annotated[str, tyro.conf.arg(name="from")] = _GRAPH
    output: Path = Path()
    namespace: str = ""
    duration_s: float = 4.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name must be of small letters, digits and underscores, as my_arm, got "
                f"{self.name!r}"
            )
        if not 0 < self.duration_s < math.inf:
            raise ValueError(f"duration_s must be above 0 and finite, got {self.duration_s}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error."""
    console = Console(soft_wrap=True)
    try:
        options = tyro.cli(NewRobotOptions, args=arguments)
        paths = [options.output / f"{options.name}{end}.yaml" for end in ("", "_limits")]
        _refuse_existing(paths)
        console.print(f"looking at {options.source} ...", highlight=False)
        seen = _seen(options)
        _write(options, seen, paths)
    except (BagError, RobotError, ValueError, OSError) as error:
        console.print("[bold red]error:[/]", end=" ")
        console.print(str(error), markup=False, highlight=False)
        return 1
    _tell(paths, seen, console)
    return 0


def _refuse_existing(paths: Sequence[Path]) -> None:
    if found := [str(path) for path in paths if path.exists()]:
        raise ValueError(
            f"{' and '.join(found)} exist and are left as they are: take another name, or another "
            "folder by --output"
        )


def _seen(options: NewRobotOptions) -> SeenRobot:
    if options.source != _GRAPH:
        path = Path(options.source).expanduser()
        if not path.exists():
            raise BagError(f"no bag at {path}: give the path of a bag, or {_GRAPH}")
        # Imported here: the help needs no OpenCV.
        from ddpm_controller.survey.bag import robot_in_bag

        return robot_in_bag(path, options.namespace)
    # Imported here: a bag needs no ROS.
    from ddpm_controller.ros.graph_survey import robot_on_graph
    from ddpm_controller.ros.own_signals import own_signals

    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    with own_signals():
        return robot_on_graph(options.namespace, options.duration_s, ended.is_set)


def _write(options: NewRobotOptions, seen: SeenRobot, paths: Sequence[Path]) -> None:
    if not (seen.joints or seen.cameras or seen.commands):
        raise ValueError(
            f"no joint state, no camera and nothing that takes commands was seen: {seen.source}. "
            "Is the driver running, in this ROS_DOMAIN_ID, and is the namespace right?"
        )
    if not (seen.joints or seen.cameras or seen.others):
        raise ValueError(
            f"commands were seen on {sorted(each.topic for each in seen.commands)}, but nothing "
            f"that a policy could observe, as joint states, a camera or an odometry: {seen.source}"
        )
    texts = robot_file_text(options.name, seen), limits_file_text(options.name, seen)
    options.output.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, texts, strict=True):
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    try:
        load_robot(paths[0])
    except RobotError:  # ours: nothing that cannot be read is left behind
        for path in paths:
            path.unlink()
        raise


def _tell(paths: Sequence[Path], seen: SeenRobot, console: Console) -> None:
    robot, limits = paths
    doubts = sum("check:" in line for path in paths for line in path.read_text().splitlines())
    console.print(f"written: {robot} and {limits}", highlight=False)
    console.print(
        f"seen: {len(seen.joints)} topics of joint states, {len(seen.cameras)} cameras, "
        f"{len(seen.commands)} places that take commands",
        highlight=False,
    )
    console.print(f"next: read the {doubts} lines with `check:`, then record demonstrations:")
    console.print(f"  grep -n check: {robot} {limits}", highlight=False)
    console.print("  docs/how_to/own_robot.md", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
