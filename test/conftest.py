"""Every process of tests has its own ROS domain, on this machine only, with one torch thread."""

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from own_domain import hold_domain

DOMAIN, HOLDER = hold_domain()
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
os.environ["DDPM_CACHE"] = tempfile.mkdtemp(prefix="ddpm_cache_")  # not the user's own
atexit.register(shutil.rmtree, os.environ["DDPM_CACHE"], ignore_errors=True)
# Measuring engines takes seconds for each checkpoint; the tests of them choose among others.
os.environ["DDPM_ENGINES"] = "torch"

# The same examples every time, however busy the machine; --hypothesis-profile=explore looks for
# others, and keeps what it finds in .hypothesis.
settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=60)
settings.register_profile("explore", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("same")


LONG = ("ros", "cli", "training", "evaluation")
"""Rooms whose files take long, most of it waiting for processes."""
LIVE = ("ros", "cli")
"""Rooms whose tests run nodes as processes, on a real graph and in real time. A machine with other
work may keep one of them waiting for longer than a robot may: they get a second try, which the
summary shows. What is wrong fails twice."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix long files with short ones, and end with short ones.

    So two workers seldom wait at the same time, and neither works long when the other is done.
    """
    files: dict[bool, dict[Path, float]] = {True: {}, False: {}}
    for item in items:
        if any(f"test/{room}/" in item.path.as_posix() for room in LIVE):
            item.add_marker(pytest.mark.flaky(reruns=1))
        is_long = any(f"test/{room}/" in item.path.as_posix() for room in LONG)
        files[is_long].setdefault(item.path, len(files[is_long]))
    share = {True: 0.85, False: 1.0}
    places = {
        path: share[is_long] * place / len(known)
        for is_long, known in files.items()
        for path, place in known.items()
    }
    items.sort(key=lambda item: (places[item.path], str(item.path)))


@pytest.fixture(autouse=True)
def ordinary_scheduling() -> Iterator[None]:
    """Fail a test that leaves threads with a real-time priority: they would starve all others."""
    yield
    real_time = []
    for each in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if os.sched_getscheduler(int(each.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                os.sched_setscheduler(int(each.name), os.SCHED_OTHER, os.sched_param(0))
                real_time.append((each / "comm").read_text().strip())
    assert not real_time


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """Take variables back that a command set in this process, as a process of its own may."""
    before = dict(os.environ)
    yield
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny policy of random weights for the simulated arm; no test may change its folder."""
    from random_checkpoint import save_random_checkpoint  # torch, which not every test needs

    folder = tmp_path_factory.mktemp("checkpoint") / "random"
    save_random_checkpoint(folder)
    return folder
