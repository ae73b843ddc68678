"""The command `pusht_demonstrations`: the published human demonstrations of PushT as bags."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.storages import BagTopic, Storage
from ddpm_controller.bags.writer import BagWriter

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
        storage: Storage format of the bags.
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
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.simulation.pusht_messages import pusht_messages

    states, actions, ends = _read(command.data)
    count = min(command.episodes or len(ends), len(ends))
    command.output.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        begin, end = (int(ends[number - 1]) if number else 0), int(ends[number])
        folder = command.output / f"pusht_{number:03d}"
        if not folder.exists():
            provenance = {"source": command.data.name, "episode": str(number), "world": "pusht"}
            with BagWriter(folder, _TOPICS, provenance, command.storage, hidden=True) as bag:
                for topic, stamp_ns, message in pusht_messages(
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
