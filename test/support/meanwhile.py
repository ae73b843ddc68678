"""The command `record` on a thread, while a test drives the graph that is recorded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from random_checkpoint import SIM_ARM

from ddpm_controller.bags.writer_thread import Recording
from ddpm_controller.cli.record import RecordOptions, record

PATIENCE_S = 90.0


@contextmanager
def recorded(
    folder: Path, *, robot: Path = SIM_ARM, lockstep: bool = False
) -> Iterator[list[Recording]]:
    """Record into ``folder`` from before the body to its end; then the list has the recording.

    In lockstep the publisher of the commands must be there, so that none can be missed.
    """
    begun, ended = threading.Event(), threading.Event()
    found: list[Recording] = []
    unseen: list[str] = []

    def begin(topics: tuple[str, ...]) -> None:
        unseen.extend(topics)
        begun.set()

    options = RecordOptions(folder, robot, lockstep=lockstep)
    thread = threading.Thread(
        target=lambda: found.append(record(options, ended.is_set, begin)), daemon=True
    )
    thread.start()
    try:
        assert begun.wait(PATIENCE_S)
        assert not (lockstep and "/joint_trajectory" in unseen)
        yield found
    finally:
        ended.set()
        thread.join()
