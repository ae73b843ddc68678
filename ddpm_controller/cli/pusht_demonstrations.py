"""The command `pusht_demonstrations`: the published human demonstrations of PushT as bags."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from ddpm_msgs.msg import EpisodeMark
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from std_msgs.msg import Header

from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.writer import BagTopic, BagWriter, Storage
from ddpm_controller.ros.simulation.messages import time_from, trajectory_message, vector_message
from ddpm_controller.simulation.pusht.pusht_block import (
    CORNER_NAMES,
    METRES_PER_PIXEL,
    PUSHER_NAMES,
    block_corners,
)

PERIOD_NS = 100_000_000  # recorded at 10 Hz
START_NS = 1_000_000_000  # not zero, which means "no time" to ROS
_TOPICS = (
    BagTopic("/joint_states", "sensor_msgs/msg/JointState"),
    BagTopic("/block_corners", "sensor_msgs/msg/JointState"),
    BagTopic("/joint_trajectory", "trajectory_msgs/msg/JointTrajectory"),
    BagTopic("/episode", "ddpm_msgs/msg/EpisodeMark"),
)


@dataclass(frozen=True)
class PushTDemonstrations:
    """Turn the human demonstrations of PushT (Chi et al. 2023) into bags, one per episode.

    The data: ``pusht_cchi_v7_replay.zarr``, 206 episodes at 10 Hz, MIT licence, from
    https://diffusion-policy.cs.columbia.edu. Needs the extra ``pusht``.

    Attributes:
        data: The zarr folder.
        output: Folder of the bags; made if it is missing.
        episodes: So many from the first on; 0: all.
        storage: Of the bags.
    """

    data: Path
    output: Path
    episodes: int = 0
    storage: Storage = "mcap"

    def __post_init__(self) -> None:
        if self.episodes < 0:
            raise ValueError(f"episodes must be at least 0, got {self.episodes}")


def convert(
    command: PushTDemonstrations, on_bag: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Write the bags that are not there yet; return how many there are.

    Raises:
        BagError: The data cannot be read or a bag cannot be written.
    """
    states, actions, ends = _read(command.data)
    count = min(command.episodes or len(ends), len(ends))
    command.output.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        begin, end = (int(ends[number - 1]) if number else 0), int(ends[number])
        folder = command.output / f"pusht_{number:03d}"
        if not folder.exists():
            provenance = {"source": command.data.name, "episode": str(number), "world": "pusht"}
            with BagWriter(folder, _TOPICS, provenance, command.storage) as bag:
                for topic, stamp_ns, message in _messages(
                    number, states[begin:end], actions[begin:end]
                ):
                    bag.write_message(topic, stamp_ns, message)
        on_bag(number + 1, count)
    return count


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return states (N, 5) and actions (N, 2), pixels and rad, and where episodes end (E,)."""
    try:
        import zarr
    except ImportError as error:
        raise BagError('zarr is needed: pip install "ddpm_controller[pusht]"') from error
    try:
        root = zarr.open(str(path), mode="r")
        states, actions = root["data/state"][:], root["data/action"][:]
        ends = root["meta/episode_ends"][:]
    except (KeyError, IndexError, TypeError, ValueError, OSError, RuntimeError) as error:
        raise BagError(
            f"{path}: not the demonstrations of PushT ({error}); give the folder "
            "pusht_cchi_v7_replay.zarr"
        ) from error
    if states.shape != (len(states), 5) or actions.shape != (len(states), 2):
        raise BagError(f"{path}: state {states.shape} and action {actions.shape} do not fit")
    if not len(ends) or ends[-1] != len(states) or (np.diff(ends, prepend=0) < 1).any():
        raise BagError(
            f"{path}: episode_ends {ends} do not cut {len(states)} moments into episodes; copy "
            "the data again"
        )
    if not (np.isfinite(states).all() and np.isfinite(actions).all()):
        raise BagError(f"{path}: states or actions are not finite; copy the data again")
    return states.astype(float), actions.astype(float), ends


def _messages(
    number: int, states: np.ndarray, actions: np.ndarray
) -> Iterator[tuple[str, int, Any]]:
    """Yield topic, stamp and message of one episode in the order of time."""
    for step, (state, action) in enumerate(zip(states, actions, strict=True)):
        stamp_ns = START_NS + step * PERIOD_NS
        if step in (0, len(states) - 1):
            yield "/episode", stamp_ns, _mark(number, stamp_ns, ends=step > 0)
        pusher, target = state[:2] * METRES_PER_PIXEL, action * METRES_PER_PIXEL
        x, y = state[2:4] * METRES_PER_PIXEL
        corners = block_corners(x, y, state[4])
        yield "/joint_states", stamp_ns, vector_message(PUSHER_NAMES, pusher, stamp_ns)
        yield "/block_corners", stamp_ns, vector_message(CORNER_NAMES, corners, stamp_ns)
        command = trajectory_message(target, stamp_ns, PERIOD_NS / 1e9, PUSHER_NAMES)
        yield "/joint_trajectory", stamp_ns, command


def _mark(number: int, stamp_ns: int, ends: bool) -> EpisodeMark:
    return EpisodeMark(
        header=Header(stamp=time_from(stamp_ns)),
        mark=EpisodeMark.END if ends else EpisodeMark.BEGIN,
        episode=number,
        world="pusht",
        success=ends,  # all were kept as good ones
    )


def main() -> int:
    """Run the command; return 0, or 1 after an error."""
    command = tyro.cli(PushTDemonstrations)
    console = Console(highlight=False)
    bar = Progress(
        TextColumn("writing bags"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )
    try:
        with bar:
            task = bar.add_task("", total=None)
            count = convert(
                command, lambda done, total: bar.update(task, completed=done, total=total)
            )
    except BagError as error:
        console.print("error:", error, markup=False, soft_wrap=True)
        return 1
    console.print(f"{count} episodes in {command.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
