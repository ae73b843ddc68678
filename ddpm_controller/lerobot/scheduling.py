"""Threads keep their scheduling while an encoder is opened."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_TASKS = Path("/proc/self/task")


@contextlib.contextmanager
def scheduling_kept() -> Iterator[None]:
    """Give all threads the scheduling back that they had, and new ones that of this thread.

    SVT-AV1 makes the thread that opens it, and its own, real-time threads of the highest priority
    where it may (as root), for good: they and all that they start keep others from running.
    """
    own = os.sched_getscheduler(0), os.sched_getparam(0)
    before = {}
    for number in _numbers():
        with contextlib.suppress(ProcessLookupError):  # has ended meanwhile
            before[number] = os.sched_getscheduler(number), os.sched_getparam(number)
    try:
        yield
    finally:
        for number in _numbers():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(number, *before.get(number, own))
        _forget(*own)


def _numbers() -> list[int]:
    return [int(each.name) for each in _TASKS.iterdir()]


def _forget(policy: int, parameters: os.sched_param) -> None:
    """Give this thread its scheduling by the C library too.

    It remembers what SVT-AV1 set through it, whatever the kernel knows since, and hands it on
    to the threads that this one starts. Fast DDS asks for it, and sets it for each of its own.
    """
    priority = ctypes.c_int(parameters.sched_priority)
    ctypes.CDLL(None).pthread_setschedparam(
        ctypes.c_ulong(threading.get_ident()), policy, ctypes.byref(priority)
    )
