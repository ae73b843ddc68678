"""The episodes of many bags kept by several processes, or by the machines of a Ray cluster.

Each bag is read by one process, which writes its file and returns nothing else: what is kept is
whole or not there whoever is killed, and a bag whose file is there is not read again.
"""

import importlib
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

from ddpm_controller.bags.episode_cache import EpisodeCache
from ddpm_controller.bags.episodes import content_of
from ddpm_controller.bags.files import BagError, storage_files
from ddpm_controller.given_files import one_line
from ddpm_controller.robots.robot import Robot

_LEAST_BYTES = 16 << 20
Keep = partial[str]
"""Keeps a bag (its argument) in the cache; returns why it cannot be used, or an empty text."""
Run = Callable[[Keep, Sequence[Path]], Iterator[tuple[Path, str]]]
"""Has bags kept, by whomever; yields each with what its ``Keep`` returned."""


def keep_all(
    bags: Sequence[Path],
    robot: Robot,
    cache: EpisodeCache,
    run: Run,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Path, str]:
    """Have every bag kept that is not yet.

    Args:
        bags: The bags.
        robot: How they are read; it travels to other processes.
        cache: Where; its folder has to be one for all that read.
        run: ``in_processes(n)`` or ``on_ray(address)``.
        progress: Told after each bag.

    Returns:
        Bag -> why it cannot be used, of those that cannot.
    """
    missing = cache.missing(bags)
    progress(len(bags) - len(missing), len(bags))
    faults = {}
    keep = partial(_keep, robot=robot, folder=cache.folder)
    for number, (bag, fault) in enumerate(run(keep, missing), len(bags) - len(missing) + 1):
        if fault:
            faults[bag] = fault
        progress(number, len(bags))
    return faults


def _keep(bag: Path, robot: Robot, folder: Path | None) -> str:
    """Read one bag and keep it; return why it cannot be used, or an empty text."""
    cache = EpisodeCache(robot, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # they are kept, and come at every start
        try:
            cache.content(bag, partial(content_of, robot=robot))
        except BagError as error:
            return str(error)
    return ""


def in_processes(jobs: int) -> Run:
    """Return what reads bags in some processes of this machine.

    They are no copies of this one, in which a thread may hold a lock, and end with it. Where one
    is killed, as where memory is short, a warning is given and the rest is left to the caller.

    Args:
        jobs: Number of processes; each needs the memory of the images of one bag.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be 1 or above, got {jobs}")

    def run(keep: Keep, bags: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        if not bags:
            return
        count = min(jobs, len(bags))
        pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=_end_with_parent)
        try:
            begun = {pool.submit(keep, bag): bag for bag in bags}
            for each in as_completed(begun):
                yield begun[each], each.result()
        except BrokenProcessPool:
            warnings.warn(
                f"a process that read bags was killed, as where memory is short; give fewer than "
                f"{count} jobs. What is not kept yet is read one bag after the other",
                stacklevel=2,
            )
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return run


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this one
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def on_ray(address: str) -> Run:
    """Return what reads bags on the machines of a Ray cluster, which share the disk.

    Args:
        address: Address of the cluster, ``auto`` for that of this machine; ``local`` begins one
            here.

    Raises:
        BagError: Ray is not installed, or the cluster does not answer.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise BagError(f'ray is needed ({error}): pip install "ddpm_controller[ray]"') from None
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BagError(f"no Ray cluster at {address!r}: {one_line(error)}") from None

    def run(keep: Keep, bags: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        # Nothing of a bag is in the memory of the cluster: a task returns one line.
        task = ray.remote(num_cpus=1, max_retries=2)(keep.func)
        begun = {task.remote(bag, **keep.keywords): bag for bag in bags}
        while begun:
            (done,), _ = ray.wait(list(begun), num_returns=1)
            bag = begun.pop(done)
            try:
                yield bag, ray.get(done)
            except ray.exceptions.RayError as error:
                yield bag, f"bag {bag}: the machine that read it has failed: {one_line(error)}"

    return run


def is_worth_it(bags: Sequence[Path]) -> bool:
    """Whether bags are so many or large that other processes have begun before they are read."""
    sizes = [file.stat().st_size for bag in bags for file in storage_files(bag)]
    return len(bags) > 1 and sum(sizes) > _LEAST_BYTES
