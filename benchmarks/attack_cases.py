"""One attack in a process of its own: what came of it, how long it took and what it cost."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

LONGEST_S = 5.0
PATIENCE_S = 30.0
"""Wall time after which a case is ended: on a full machine five seconds of work take longer."""
MOST_MB = 300
MOST_LETTERS = 2000

Wanted = Literal["refused", "taken", "either"]
"""What is right: a guard takes what is at its limit and refuses what is one beyond."""


@dataclass(frozen=True)
class Case:
    """One thing that is wrong, or just not wrong.

    Attributes:
        kind: Row of the table.
        name: What is wrong, and the seed.
        run: Called with an empty folder; returns why it was refused, an empty text where it was
            taken. What it raises counts as a traceback; a text that begins with UNSAFE is that.
        wanted: What is right.
    """

    kind: str
    name: str
    run: Callable[[Path], str]
    wanted: Wanted = "either"


@dataclass(frozen=True)
class Result:
    """What came of a case.

    Attributes:
        kind: As the case.
        name: As the case.
        wanted: As the case.
        text: Why it was refused; empty where it was taken.
        error: What was raised that must not be; empty for nothing.
        took_s: Time of the processor that it took; the wall's where it did not end.
        more_mb: Memory that it took at its highest, beside what the process had.
    """

    kind: str
    name: str
    wanted: Wanted
    text: str
    error: str
    took_s: float
    more_mb: float

    @property
    def faults(self) -> list[str]:
        """What is wrong with it; nothing for most."""
        found = []
        if self.text.startswith("UNSAFE"):
            found.append("unsafe")
        if self.error:
            found.append("traceback")
        elif self.wanted == "refused" and not self.text:
            found.append("silent")
        elif self.wanted == "taken" and self.text and not self.text.startswith("UNSAFE"):
            found.append("refused without need")
        if self.took_s > LONGEST_S:
            found.append("hanging")
        if self.more_mb > MOST_MB:
            found.append("memory")
        if "\n" in self.text or len(self.text) > MOST_LETTERS:
            found.append("many lines")
        return found


FAULTS = (
    "unsafe",
    "silent",
    "traceback",
    "hanging",
    "memory",
    "many lines",
    "refused without need",
)


def tried(case: Case) -> Result:
    """Run a case in a child of this process, which is ended where it hangs."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(case, sender), daemon=True)
    child.start()
    sender.close()
    text, error, more_mb, took_s = "", "it hangs", 0.0, PATIENCE_S
    try:
        if receiver.poll(PATIENCE_S):
            text, error, more_mb, took_s = receiver.recv()
    except EOFError:
        child.join()
        error = f"the process ended with code {child.exitcode}"
    child.kill()
    child.join()
    return Result(case.kind, case.name, case.wanted, text, error, took_s, more_mb)


def _child(case: Case, sender: Connection) -> None:
    before_mb, before_s = _memory_mb("VmRSS"), time.process_time()
    text, error = "", ""
    with (
        tempfile.TemporaryDirectory(prefix="attack_") as folder,
        open(os.devnull, "w") as nothing,
        redirect_stdout(nothing),
        redirect_stderr(nothing),
    ):
        try:
            text = case.run(Path(folder))
        except BaseException as failure:  # also an exit in the middle
            error = f"{type(failure).__name__}: {str(failure)[:200]}"
    more_mb, took_s = _memory_mb("VmHWM") - before_mb, time.process_time() - before_s
    sender.send((text, error, more_mb, took_s))


def _memory_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0
