"""The command `index`: episodes of many bags kept on the disk, by several processes."""

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.progress import Progress

from ddpm_controller.bags.files import BagError, find_bags
from ddpm_controller.robots.robot import RobotError, load_robot


@dataclass(frozen=True)
class IndexOptions:
    """Read many bags at once and keep their episodes, so that a training begins in a moment.

    What is kept is what `ddpm train` keeps: it takes the same files. Only bags of which nothing is
    kept yet are read, so that the command may be killed and given again. Images are decoded, cut
    and resized here and are only mapped into memory in a training.

    Exit codes: 0 where every bag is kept, 1 where some cannot be used.

      ddpm index recordings --robot my_arm.yaml
      ddpm index /shared/recordings --robot my_arm.yaml --cache beside --ray auto

    Attributes:
        bags: Bags, or folders of bags, all of one robot.
        robot: Robot file; it decides what is read.
        cache: user: the user's cache folder; beside: a folder beside the bags, for a disk that
            several machines share.
        jobs: Number of processes; each needs the memory of the images of one bag. As many as there
            are cores when left out.
        ray: Address of a Ray cluster whose machines read in place of processes here: `auto`, or
            `local` for one that begins here. They need the same disk, and so --cache beside. Needs
            the extra `ray`.
    """

    bags: tyro.conf.Positional[tuple[Path, ...]]
    robot: Path
    cache: Literal["user", "beside"] = "user"
    jobs: int | None = None
    ray: str | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"jobs must be 1 or above, got {self.jobs}")
        if self.ray not in (None, "local") and self.cache != "beside":
            raise ValueError("machines of a cluster share no user's folder: give --cache beside")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return an exit code."""
    console = Console(soft_wrap=True, highlight=False)
    try:
        options = tyro.cli(IndexOptions, args=arguments)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            faults = _kept(options, console)
    except (BagError, RobotError, ValueError, OSError) as error:
        console.print("error:", error, markup=False)
        return 1
    for text in [*(str(each.message) for each in caught), *faults]:
        console.print("warning:", text, markup=False)
    return 1 if faults else 0


def _kept(options: IndexOptions, console: Console) -> list[str]:
    """Keep the bags; return why those cannot be used that are left out."""
    # Imported here: the help needs none of it.
    from ddpm_controller.bags.episode_cache import cache_in
    from ddpm_controller.bags.kept_by_many import in_processes, keep_all, on_ray

    robot, bags = load_robot(options.robot), find_bags(options.bags)
    cache = cache_in(options.cache, robot)
    assert cache is not None
    jobs = options.jobs or os.cpu_count() or 1
    run = on_ray(options.ray) if options.ray is not None else in_processes(jobs)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("bags", total=len(bags))
        faults = keep_all(
            bags, robot, cache, run, lambda done, _: bar.update(task, completed=done)
        )
    left = [bag for bag in cache.missing(bags) if bag not in faults]
    unread = [f"bag {bag} was not read; give the command again" for bag in left]
    console.print(f"{len(bags) - len(faults) - len(left)} of {len(bags)} bags are kept")
    return [*faults.values(), *unread]


if __name__ == "__main__":
    sys.exit(main())
