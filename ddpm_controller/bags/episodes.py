"""Episodes out of bags: the same conversions and the same buffer as on the robot. No rclpy."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ddpm_controller.bags.camera_infos import agreed_views, views_in
from ddpm_controller.bags.demonstrated_motion import DEMONSTRATED, demonstrated
from ddpm_controller.bags.episode_cache import BagContent, EpisodeCache
from ddpm_controller.bags.files import BagError, OpenBag, digest, find_bags
from ddpm_controller.bags.tape import Seen, Span, Tape, seconds_of, topics_of
from ddpm_controller.control.observing.observation_buffer import (
    ObservationBuffer,
    ObservationError,
    WholeTurnError,
)
from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.control.observing.turns import TURN, turns_towards
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.trained_sources import SOURCES, sources_of
from ddpm_controller.types import Episode, Observation, measuring_stream

OnProgress = Callable[[int, int], None]
"""Called with the bags read and the bags in all."""
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Demonstrations:
    """What a training learns from.

    Attributes:
        episodes: All episodes of the bags but those that are marked as failed.
        provenance: Robot and bags with their digests, for the checkpoint; names without their
            folders, so that the same bags elsewhere are the same training.
        left_out: Number of episodes that are marked as failed.
        num_kept: Number of bags whose episodes were in the cache.
    """

    episodes: tuple[Episode, ...]
    provenance: Mapping[str, Any]
    left_out: int
    num_kept: int = 0


def read_demonstrations(
    paths: Sequence[Path],
    robot: Robot,
    *,
    cache: EpisodeCache | None = None,
    progress: OnProgress = lambda done, total: None,
) -> Demonstrations:
    """Return the successful episodes of bags; see ``read_episodes``.

    Args:
        paths: Bags, or folders of bags.
        robot: Which topics are the streams and the action.
        cache: Where episodes are kept; their images then stay on the disk until they are looked
            at, however many there are. None: all is read, and stays in memory.
        progress: Told after each bag.

    Raises:
        BagError: No bag can be used, or every episode is marked as failed.
    """
    bags = find_bags(paths)

    def used(bag: Path) -> BagContent:
        content = content_of(bag, robot) if cache is None else cache.content(bag, read)
        for remark in content.remarks:
            warnings.warn(remark, stacklevel=2)
        return content

    read = partial(content_of, robot=robot)
    contents = _of_each(bags, used, progress)
    if cache is not None:
        cache.make_room()
    episodes = [episode for content in contents.values() for episode in content.episodes]
    kept = tuple(
        replace(episode, source=Path(episode.source).name)
        for episode in episodes
        if episode.success is not False
    )
    if not kept:
        raise BagError(
            f"all {len(episodes)} episodes are marked as failed; record some that succeed"
        )
    names = [
        {"name": bag.name, "sha256": contents[bag].sha256 if bag in contents else digest(bag)}
        for bag in bags
    ]
    views = agreed_views({bag: content.views for bag, content in contents.items()})
    sources = sources_of(robot.streams, views)
    provenance = {"robot": robot.name, "bags": names, SOURCES: sources}
    if no_commands := demonstrated(robot.outputs, kept):
        provenance[DEMONSTRATED] = no_commands
    num_kept = cache.num_kept if cache is not None else 0
    return Demonstrations(kept, provenance, len(episodes) - len(kept), num_kept)


def content_of(bag: Path, robot: Robot) -> BagContent:
    """Read a bag for a training, and keep what was warned of.

    Raises:
        BagError: As ``read_bag``.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        episodes = read_bag(bag, robot)
        views = views_in(bag, robot)
    remarks = tuple(dict.fromkeys(str(each.message) for each in caught))
    return BagContent(tuple(episodes), digest(bag), views, remarks)


def read_episodes(
    paths: Sequence[Path],
    robot: Robot,
    *,
    progress: OnProgress = lambda done, total: None,
    filters: Mapping[str, StreamFilter] | None = None,
) -> list[Episode]:
    """Return the episodes of bags, in order of name, on the policy's clock.

    Each episode lies between two marks, BEGIN and END; a bag without marks is one episode. It
    begins when every stream and the command have come. Of a bag that its recorder did not finish
    the last episode counts only with its END.

    Args:
        paths: Bags, or folders of bags.
        robot: Which topics are the streams and the action.
        progress: Told after each bag.
        filters: Vector stream -> what stands in for its newest value, as in the controller.

    Raises:
        BagError: No bag can be used. When others remain, a warning lists those left out.
    """
    found = _of_each(find_bags(paths), lambda bag: read_bag(bag, robot, filters), progress)
    return [episode for episodes in found.values() for episode in episodes]


def _of_each(
    bags: Sequence[Path], read: Callable[[Path], _Found], progress: OnProgress
) -> dict[Path, _Found]:
    """Return what is read of each bag; a warning lists the bags that cannot be used.

    Raises:
        BagError: None can.
    """
    found: dict[Path, _Found] = {}
    left_out: list[str] = []
    for number, bag in enumerate(bags, start=1):
        try:
            found[bag] = read(bag)
        except BagError as error:
            left_out.append(str(error))
        progress(number, len(bags))
    if left_out and not found:
        raise BagError("\n".join(left_out))
    if left_out:
        heading = f"{len(left_out)} of {len(bags)} bags left out:"
        warnings.warn("\n  ".join([heading, *left_out]), stacklevel=2)
    return found


def read_bag(
    bag: Path, robot: Robot, filters: Mapping[str, StreamFilter] | None = None
) -> list[Episode]:
    """Return the episodes of one bag.

    Raises:
        BagError: The bag is damaged, lacks a topic, or its messages do not fit the robot.
    """
    tape = Tape(bag, robot)
    with OpenBag(bag) as source:
        topics, is_whole = topics_of(source, robot), source.is_whole
        for message in source.messages(topics):
            for role in topics[message.topic]:
                tape.add(role, message)
    tape.finish()
    return [
        _episode(tape, robot, span, f"{bag}#{n}", filters)
        for n, span in enumerate(tape.spans(is_whole=is_whole))
    ]


def _episode(
    tape: Tape,
    robot: Robot,
    span: Span,
    source: str,
    filters: Mapping[str, StreamFilter] | None,
) -> Episode:
    """Sample the tape as the robot does, at every period of the policy's clock."""
    period_ns = round(robot.action_spec.period_s * 1e9)
    moments_ns = range(span.begin_ns, span.end_ns + 1, period_ns)
    player = _Player(tape, robot, filters)
    observations = [player.at(moment_ns) for moment_ns in moments_ns]
    for name, texts in player.refused.items():
        text = f"{len(texts)} messages of {name} were not used, the last: {texts[-1]}"
        warnings.warn(f"bag {tape.bag}: {text}", stacklevel=2)
    values = {
        name: np.stack([observation.values[name] for observation in observations])
        for name in robot.max_ages_s
    }
    return Episode(
        stamps_s=np.array([observation.stamp_s for observation in observations]),
        values=values,
        actions=_actions(tape, moments_ns, values, robot),
        source=source,
        success=span.success,
        leads_s=tape.leads_s,
    )


def _actions(
    tape: Tape, moments_ns: Sequence[int], values: Mapping[str, np.ndarray], robot: Robot
) -> np.ndarray:
    """Return the commands in force, (N, Da).

    A gripper is commanded only when it has something to do: before, it is where it is measured.

    Raises:
        BagError: It is not measured.
    """
    actions = tape.commanded(moments_ns)
    for column, name in enumerate(robot.action_spec.joint_names):
        unknown = np.isnan(actions[:, column])
        if not unknown.any():
            continue
        measuring = measuring_stream(robot.stream_specs, [name])
        if measuring is None:
            raise BagError(
                f"bag {tape.bag}: {name} is not commanded at the begin of an episode and in no "
                "stream: record from before its first command, or have a stream that measures it"
            )
        measured = values[measuring.name][:, measuring.names.index(name)]
        actions[unknown, column] = measured[unknown]
    return _near_measured(actions, values, robot)


def _near_measured(
    actions: np.ndarray, values: Mapping[str, np.ndarray], robot: Robot
) -> np.ndarray:
    """Return commands (N, Da) at the turn that is nearest to where the joint is measured."""
    joints = robot.action_spec.joint_names
    for spec in robot.stream_specs:
        for name in set(spec.wraps) & set(joints):
            column = joints.index(name)
            measured = values[spec.name][:, spec.names.index(name)]
            commanded = actions[:, column]
            actions[:, column] = commanded + TURN * turns_towards(commanded, measured)
    return actions


class _Player:
    """Feeds the buffer of the robot in the order of arrival and samples it."""

    def __init__(
        self, tape: Tape, robot: Robot, filters: Mapping[str, StreamFilter] | None
    ) -> None:
        self._bag = tape.bag
        self._max_ages_s = robot.max_ages_s
        longest_s = max((s for s in self._max_ages_s.values() if s < math.inf), default=0.0)
        longest_s += max((each.history_s for each in (filters or {}).values()), default=0.0)
        self._buffer = ObservationBuffer(robot.stream_specs, self._max_ages_s, longest_s, filters)
        self._has_begun = False
        self.refused: dict[str, list[str]] = {}
        self._newest_ns: dict[tuple[str, bytes], int] = {}
        # Of each stream and each set of its joints by itself: none waits for another publisher.
        self._coming: dict[tuple[str, bytes], list[tuple[int, Seen]]] = {}
        for number, seen in reversed(list(enumerate(tape.observations))):
            self._coming.setdefault((seen.stream, seen.part), []).append((number, seen))

    def at(self, moment_ns: int) -> Observation:
        """Return what the robot's buffer would give at a moment; moments must not go back.

        Raises:
            BagError: A stream had nothing usable, had stood still for too long, or jumped by a
                turn.
        """
        for seen in self._come_by(moment_ns):
            stamp_s = seconds_of(seen.stamp_ns)
            # What the robot refuses is refused here: both keep the last good value.
            try:
                self._buffer.add(seen.stream, stamp_s, seen.value, seen.present)
            except WholeTurnError as error:
                raise BagError(f"bag {self._bag} at {stamp_s:.3f} s: {error}") from None
            except ObservationError as error:
                self.refused.setdefault(seen.stream, []).append(str(error))
        if not self._has_begun:
            self._has_begun = True
            self._buffer.begin_turns()
        moment_s = seconds_of(moment_ns)
        observation = self._buffer.sample(moment_s)
        if observation is None:
            newest = [texts[-1] for texts in self.refused.values()]
            refused = f"; refused: {'; '.join(newest)}" if newest else ""
            raise BagError(
                f"bag {self._bag}: no usable observation before {moment_s:.3f} s{refused}"
            )
        for name, source_s in observation.source_stamps_s.items():
            if moment_s - source_s > self._max_ages_s[name]:
                raise BagError(
                    f"bag {self._bag}: {self._called(name, observation)} stood still for "
                    f"{moment_s - source_s:.2f} s at {moment_s:.3f} s, more than its max_age_s "
                    f"{self._max_ages_s[name]}; record again, or allow it in the robot file"
                )
        return observation

    def _come_by(self, moment_ns: int) -> list[Seen]:
        """Return what has come since the last moment, in the order of recording."""
        come: list[tuple[int, Seen]] = []
        for part, coming in self._coming.items():
            own: list[tuple[int, Seen]] = []
            while coming and coming[-1][1].stamp_ns <= moment_ns:
                own.append(coming.pop())
            come += self._looked_at(part, own)
        return [seen for _, seen in sorted(come, key=lambda each: each[0])]

    def _looked_at(
        self, part: tuple[str, bytes], come: list[tuple[int, Seen]]
    ) -> list[tuple[int, Seen]]:
        """Leave out compressed pictures with a newer one behind them, which nothing looks at.

        Where one is out of order the buffer gets all of them, and refuses and counts it.
        """
        stamps_ns = [self._newest_ns.get(part, -1), *(seen.stamp_ns for _, seen in come)]
        self._newest_ns[part] = max(stamps_ns)
        in_order = all(earlier < later for earlier, later in pairwise(stamps_ns))
        return come[-1:] if in_order and come and come[0][1].is_compressed else come

    def _called(self, name: str, observation: Observation) -> str:
        """Return a stream's name, with the joint that is its oldest where they differ."""
        if name not in observation.element_stamps_s:
            return name
        stamps_s = observation.element_stamps_s[name]
        return f"joint {min(stamps_s, key=lambda each: stamps_s[each])!r} of {name}"
