"""A data set of LeRobot becomes bags of a robot, one for each episode."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.storages import Storage
from ddpm_controller.bags.writer import BagWriter
from ddpm_controller.lerobot.bag_messages import (
    EpisodeMessages,
    bag_topics,
    refuse_unwritable_streams,
)
from ddpm_controller.lerobot.dataset import Dataset, StoredEpisode
from ddpm_controller.lerobot.features import Columns, Matching, matched
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.robots.robot import Robot

BEGIN_NS = 1_577_836_800 * 1_000_000_000
"""Moment of the first frame: the data set has none, and 0 would mean that there is no stamp."""
_OFF = 1e-3


def import_dataset(
    folder: Path,
    robot: Robot,
    output: Path,
    matching: Matching,
    storage: Storage = "mcap",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the bags that are not there yet; return how many episodes there are.

    Args:
        folder: The data set.
        robot: Its streams and its action are written, as messages of their types.
        output: Folder of the bags.
        matching: What belongs together where names do not.
        storage: Storage of the bags.
        on_progress: Told the episodes done and in all.

    Raises:
        LeRobotError: The data set is damaged or does not fit the robot.
        BagError: A bag cannot be written.
    """
    refuse_unwritable_streams(robot)
    dataset = Dataset(folder)
    parts = matched(robot, dataset.features, matching)
    episodes = list(dataset.episodes())
    if not episodes:
        raise LeRobotError(f"data set {folder} has no episodes")
    output.mkdir(parents=True, exist_ok=True)
    word = re.sub(r"\W+", "_", folder.resolve().name)
    for done, episode in enumerate(episodes, start=1):
        bag = output / f"{word}_{episode.number:06d}"
        if not bag.exists():
            _write(bag, dataset, episode, robot, parts, storage)
        on_progress(done, len(episodes))
    return len(episodes)


def _write(
    bag: Path,
    dataset: Dataset,
    episode: StoredEpisode,
    robot: Robot,
    parts: tuple[dict[str, Columns], dict[str, str], Columns],
    storage: Storage,
) -> None:
    vectors, images, action = parts
    used = {action.feature, *images.values(), *(each.feature for each in vectors.values())}
    frames = dataset.read(episode, sorted(used))
    values: dict[str, np.ndarray] = {
        **{name: each.taken(frames.values[each.feature]) for name, each in vectors.items()},
        **{name: frames.values[feature] for name, feature in images.items()},
    }
    actions = action.taken(frames.values[action.feature])
    period_ns = _period_ns(dataset.fps, robot)
    messages = EpisodeMessages(robot, period_ns)
    # Whole periods stay whole: a sum of rounded ones would drift.
    begins_ns = np.round(frames.moments_s * dataset.fps * period_ns).astype(np.int64)
    provenance = {
        "recorded_by": f"LeRobot {dataset.version}",
        "source": dataset.folder.resolve().name,
        "episode": str(episode.number),
    }
    said = ""
    with BagWriter(bag, bag_topics(robot), provenance, storage, hidden=True) as writer:
        for frame, task in enumerate(frames.tasks):
            stamp_ns = BEGIN_NS + int(begins_ns[frame])
            row = {name: rows[frame] for name, rows in values.items()}
            made = list(messages.at(stamp_ns, row, actions[frame]))
            if task != said:
                said = task
                made += messages.text(task)  # it counts from the newest stamp before it
            for topic, message in made:
                content = message_types().serialize_cdr(message, message.__msgtype__)
                writer.write(topic, stamp_ns, bytes(content))


def _period_ns(fps: float, robot: Robot) -> int:
    """Return the time between frames; the policy's own where that is what is meant."""
    is_own = abs(fps * robot.period_s - 1) < _OFF
    return round((robot.period_s if is_own else 1.0 / fps) * 1e9)
