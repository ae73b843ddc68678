"""The command `record`: everything about a running controller into one bag, until Ctrl-C."""

import math
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.writer import Storage
from ddpm_controller.bags.writer_thread import Recording
from ddpm_controller.robots.robot import RobotError, load_robot
from ddpm_controller.share import found_path


@dataclass(frozen=True)
class RecordOptions:
    """Record streams, commands, plans and status of a controller into a bag.

    Attributes:
        output: The bag; must not exist.
        robot: Robot file with the streams and the command topic.
        namespace: Namespace of the robot and its controller.
        duration_s: Stop after this time; 0: at Ctrl-C.
        lockstep: The graph runs in lockstep: order the bag by the messages' own stamps.
        storage: Format of the bag.
    """

    output: Path
    robot: Path = Path("config/robots/sim_arm.yaml")
    namespace: str = ""
    duration_s: float = 0.0
    lockstep: bool = False
    storage: Storage = "mcap"


def record(
    options: RecordOptions,
    should_stop: Callable[[], bool],
    on_begin: Callable[[tuple[str, ...]], None] = lambda unseen: None,
) -> Recording:
    """Record until ``should_stop`` or the duration is over; ROS must be initialized.

    Args:
        options: What and where.
        should_stop: Asked several times a second.
        on_begin: As in ``record_run``.

    Raises:
        BagError: The disk refuses.
        RobotError: The robot file cannot be read.
    """
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.run_recording import record_run

    return record_run(
        load_robot(found_path(str(options.robot))),
        options.output,
        options.namespace,
        should_stop,
        on_begin,
        duration_s=options.duration_s or math.inf,
        lockstep=options.lockstep,
        storage=options.storage,
    )


def main() -> int:
    """Run the command."""
    options = tyro.cli(RecordOptions)
    console = Console()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.own_signals import own_signals

    try:
        with own_signals():
            recording = record(options, ended.is_set, partial(_tell_begin, console, options))
    except (BagError, RobotError) as error:
        console.print(f"[red]{error}[/red]")
        return 1
    _tell_end(console, recording)
    return 1 if recording.lost else 0


def _tell_begin(console: Console, options: RecordOptions, unseen: tuple[str, ...]) -> None:
    console.print(f"recording to {options.output}; stop with Ctrl-C")
    if unseen:
        console.print(f"has no publisher yet, waiting for it: {', '.join(unseen)}")


def _tell_end(console: Console, recording: Recording) -> None:
    table = Table("topic", "messages", "lost", title=str(recording.folder))
    for topic, count in sorted(recording.counts.items()):
        table.add_row(topic, str(count), str(recording.lost.get(topic, 0)))
    console.print(table)
    for topic, count in sorted(recording.missed.items()):
        console.print(
            f"[yellow]{topic}: its first {count} messages were sent before its publisher was "
            "found; record before the nodes begin to send[/yellow]"
        )


if __name__ == "__main__":
    sys.exit(main())
