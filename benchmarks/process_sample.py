"""What Linux says of a process: memory, threads, open files, mapped shared memory."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessSample:
    """One process at one moment.

    Attributes:
        pid: Of the process.
        resident_mb: Resident memory, all of it.
        private_mb: Of that, what is no file and is not shared.
        threads: Of the process.
        files: Open descriptors, sockets included.
        shared: Files of shared memory that it has mapped.
    """

    pid: int
    resident_mb: float
    private_mb: float
    threads: int
    files: int
    shared: int


def process_sample(pid: int) -> ProcessSample:
    """Return how a process does now.

    Raises:
        OSError: There is no such process any more.
    """
    folder = Path("/proc") / str(pid)
    lines = (line.partition(":") for line in (folder / "status").read_text().splitlines())
    status = {name: text.split() for name, _, text in lines}
    maps = (folder / "maps").read_text().splitlines()
    return ProcessSample(
        pid,
        int(status["VmRSS"][0]) / 1024,
        int(status["RssAnon"][0]) / 1024,
        int(status["Threads"][0]),
        len(os.listdir(folder / "fd")),
        len({line.split()[5] for line in maps if "/dev/shm/" in line}),
    )
