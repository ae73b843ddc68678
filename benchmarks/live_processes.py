"""Processes that run: who has begun them, and the link to a command process, cut from outside."""

import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_PIDFD_GETFD = 438
"""Number of the call, the same on x86-64 and on ARM."""


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that ``pid`` has begun, and theirs."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        begun = [int(each) for t in threads for each in (t / "children").read_text().split()]
    except OSError:
        return
    for each in begun:
        yield each
        yield from descendants(each)


def words_of(pid: int) -> str:
    """Return the command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def name_of(pid: int) -> str:
    """Return the name of a process, by which those of one command line are distinguished."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def command_processes(pid: int) -> list[int]:
    """Return the processes of a controller that command: the one that does first."""
    found = [each for each in descendants(pid) if name_of(each) in ("commands", "standby")]
    return sorted(found, key=lambda each: (name_of(each) != "commands", each))


def cut_link(pid: int, how: int = socket.SHUT_RDWR) -> None:
    """Cut the socket between a controller and the command process ``pid`` while both run.

    Linux gives away a copy of another process's socket, which shares its connection
    (pidfd_getfd, Linux 5.6), at least to the processes that have begun it.

    Args:
        pid: The command process.
        how: As in ``socket.shutdown``, from its side.

    Raises:
        OSError: The kernel does not allow it.
    """
    number = int(words_of(pid).split()[-1])
    process = os.pidfd_open(pid)
    try:
        copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if copy < 0:
        raise OSError(ctypes.get_errno(), f"the socket of process {pid} cannot be copied")
    with socket.socket(fileno=copy) as link:
        link.shutdown(how)
