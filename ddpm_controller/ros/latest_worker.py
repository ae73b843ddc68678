"""One thread that does the newest job it was given."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_PATIENCE_S = 10.0

Job = TypeVar("Job")


class LatestWorker(Generic[Job]):
    """Does one job after the other; a newer job replaces one that has not been begun.

    Args:
        name: Name of the thread.
        work: Called on the thread with each job; must not raise.
    """

    def __init__(self, name: str, work: Callable[[Job], None]) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._job: Job | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Do ``job`` next; returns at once."""
        with self._changed:
            self._job = job
            self._changed.notify()

    def close(self) -> None:
        """End the thread after the job that runs, if that takes no longer than usual."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._job is not None)
                if self._closed or self._job is None:
                    return
                job = self._job
                self._job = None
            self._work(job)
