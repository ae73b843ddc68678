"""The command `record`: everything about a running controller into one bag, until Ctrl-C.

With `--recover` it finishes the bag of a recorder that was killed.
"""

import math
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.storages import Storage
from ddpm_controller.bags.writer import recover
from ddpm_controller.bags.writer_thread import Recording
from ddpm_controller.robots.robot import RobotError, load_robot
from ddpm_controller.share import found_path


@dataclass(frozen=True)
class RecordOptions:
    """Record streams, commands, plans and status of a controller into a bag, or finish one.

    A bag can be read while it is recorded, and after a kill.

    Attributes:
        output: The bag; must not exist.
        robot: Robot file with the streams and the command topic.
        namespace: Namespace of the robot and its controller.
        duration_s: Stop after this time; 0: at Ctrl-C.
        lockstep: The graph runs in lockstep: order the bag by the messages' own stamps.
        storage: Format of the bag.
        recover: A bag whose recorder was killed: finish it with what is whole in it.
    """

    output: Path | None = None
    robot: Path = Path("config/robots/sim_arm.yaml")
    namespace: str = ""
    duration_s: float = 0.0
    lockstep: bool = False
    storage: Storage = "mcap"
    recover: Path | None = None

    def __post_init__(self) -> None:
        if (self.output is None) == (self.recover is None):
            raise ValueError(
                "give either --output, the bag to record, or --recover, one to finish"
            )


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

    assert options.output is not None
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
    try:
        if options.recover is not None:
            _tell_counts(console, options.recover, recover(options.recover), {})
            return 0
        recording = _record_until_signal(options, console)
    except (BagError, RobotError) as error:
        console.print(f"[red]{error}[/red]")
        return 1
    _tell_end(console, recording)
    return 1 if recording.lost else 0


def _record_until_signal(options: RecordOptions, console: Console) -> Recording:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.own_signals import own_signals

    with own_signals():
        return record(options, ended.is_set, partial(_tell_begin, console, options))


def _tell_begin(console: Console, options: RecordOptions, unseen: tuple[str, ...]) -> None:
    console.print(f"recording to {options.output}; stop with Ctrl-C")
    if unseen:
        console.print(f"has no publisher yet, waiting for it: {', '.join(unseen)}")


def _tell_end(console: Console, recording: Recording) -> None:
    _tell_counts(console, recording.folder, recording.counts, recording.lost)
    for topic, count in sorted(recording.missed.items()):
        console.print(
            f"[yellow]{topic}: its first {count} messages were sent before its publisher was "
            "found; record before the nodes begin to send[/yellow]"
        )


def _tell_counts(
    console: Console, folder: Path | None, counts: Mapping[str, int], lost: Mapping[str, int]
) -> None:
    table = Table("topic", "messages", "lost", title=str(folder))
    for topic, count in sorted(counts.items()):
        table.add_row(topic, str(count), str(lost.get(topic, 0)))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
