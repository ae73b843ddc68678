"""Episodes out of bags: the same conversions and the same buffer as on the robot. No rclpy."""

import bisect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_controller.bags.conversions import ConversionError, command_from, observation_from
from ddpm_controller.bags.files import (
    BagError,
    OpenBag,
    RecordedMessage,
    digest,
    find_bags,
    resolve_topic,
)
from ddpm_controller.control.observing.observation_buffer import (
    ObservationBuffer,
    ObservationError,
    WholeTurnError,
)
from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.control.observing.turns import TURN, turns_towards
from ddpm_controller.robots.robot import Robot, RobotStream
from ddpm_controller.types import Episode, Observation

MARK_TOPIC = "episode"
MARK_TYPE = "ddpm_msgs/msg/EpisodeMark"
_NEVER_NS = np.iinfo(np.int64).max
OnProgress = Callable[[int, int], None]
"""Called with the bags read and the bags in all."""


@dataclass(frozen=True)
class Demonstrations:
    """What a training learns from.

    Attributes:
        episodes: All episodes of the bags but those that are marked as failed.
        provenance: Robot and bags with their digests, for the checkpoint; names without their
            folders, so that the same bags elsewhere are the same training.
        left_out: Number of episodes that are marked as failed.
    """

    episodes: tuple[Episode, ...]
    provenance: Mapping[str, Any]
    left_out: int


def read_demonstrations(
    paths: Sequence[Path],
    robot: Robot,
    *,
    progress: OnProgress = lambda done, total: None,
) -> Demonstrations:
    """Return the successful episodes of bags; see ``read_episodes``.

    Raises:
        BagError: No bag can be used, or every episode is marked as failed.
    """
    bags = find_bags(paths)
    episodes = read_episodes(bags, robot, progress=progress)
    kept = tuple(
        replace(episode, source=Path(episode.source).name)
        for episode in episodes
        if episode.success is not False
    )
    if not kept:
        raise BagError(
            f"all {len(episodes)} episodes are marked as failed; record some that succeed"
        )
    names = [{"name": bag.name, "sha256": digest(bag)} for bag in bags]
    provenance = {"robot": robot.name, "bags": names}
    return Demonstrations(kept, provenance, len(episodes) - len(kept))


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
    bags = find_bags(paths)
    episodes: list[Episode] = []
    left_out: list[str] = []
    for number, bag in enumerate(bags, start=1):
        try:
            episodes.extend(read_bag(bag, robot, filters))
        except BagError as error:
            left_out.append(str(error))
        progress(number, len(bags))
    if left_out and not episodes:
        raise BagError("\n".join(left_out))
    if left_out:
        heading = f"{len(left_out)} of {len(bags)} bags left out:"
        warnings.warn("\n  ".join([heading, *left_out]), stacklevel=2)
    return episodes


def read_bag(
    bag: Path, robot: Robot, filters: Mapping[str, StreamFilter] | None = None
) -> list[Episode]:
    """Return the episodes of one bag.

    Raises:
        BagError: The bag is damaged, lacks a topic, or its messages do not fit the robot.
    """
    tape = _Tape(bag, robot)
    with OpenBag(bag) as source:
        topics, is_whole = _topics(source, robot), source.is_whole
        for message in source.messages(topics):
            for role in topics[message.topic]:
                tape.add(role, message)
    return [
        _episode(tape, robot, span, f"{bag}#{n}", filters)
        for n, span in enumerate(tape.spans(is_whole=is_whole))
    ]


@dataclass
class _Span:
    """From where to where an episode lasts, ns."""

    begin_ns: int
    end_ns: int
    success: bool | None = None


@dataclass(frozen=True)
class _Seen:
    """What one message brings of a stream; see ``observation_from``."""

    stream: str
    stamp_ns: int
    value: np.ndarray
    present: np.ndarray | None

    @property
    def part(self) -> bytes:
        """Key that differs between messages with other joints of the stream."""
        return b"" if self.present is None else self.present.tobytes()


class _Tape:
    """Converted messages of one bag, in the order of recording."""

    def __init__(self, bag: Path, robot: Robot) -> None:
        self.bag = bag
        self.observations: list[_Seen] = []
        self.command_stamps_ns: list[int] = []
        self.commands: list[np.ndarray] = []
        self._robot = robot
        self._marks: list[RecordedMessage] = []
        self._newest_ns = 0
        self._others: dict[str, set[str]] = {}

    def add(self, role: RobotStream | str, message: RecordedMessage) -> None:
        """Keep one message of a stream, of the command or of the marks."""
        try:
            if isinstance(role, RobotStream):
                self._add_observation(role, message)
                if role.is_text:
                    return
            elif role == MARK_TOPIC:
                self._marks.append(message)
            else:
                self._add_command(message)
        except ConversionError as error:
            raise BagError(f"bag {self.bag}, topic {message.topic}: {error}") from error
        self._newest_ns = max(self._newest_ns, message.stamp_ns)

    def spans(self, *, is_whole: bool) -> list[_Span]:
        """Return where the episodes are.

        Args:
            is_whole: Whether the recorder finished the bag: otherwise an episode without its END
                may have lasted longer, and is left out.

        Raises:
            BagError: A stream or the command has no message, or no episode has a moment with all.
        """
        first_ns = self._first_ns()
        spans: list[_Span] = []
        is_open = False
        for mark in self._marks:
            begins = mark.message.mark == 0
            if is_open:
                spans[-1].end_ns = mark.stamp_ns - int(begins)
                spans[-1].success = None if begins else bool(mark.message.success)
            if begins:
                spans.append(_Span(max(mark.stamp_ns, first_ns), self._newest_ns))
            is_open = begins
        if is_open and not is_whole:
            spans.pop()
        if not self._marks:
            spans.append(_Span(first_ns, self._newest_ns))
        spans = [span for span in spans if span.begin_ns <= span.end_ns]
        if not spans:
            raise BagError(
                f"bag {self.bag}: {len(self._marks)} marks, but no moment between BEGIN and END "
                "at which all streams and the command have come; record from before BEGIN to END"
            )
        return spans

    def _add_observation(self, stream: RobotStream, message: RecordedMessage) -> None:
        found = observation_from(message.message, stream)
        if found is None or found[2] is not None:
            self._others.setdefault(stream.spec.name, set()).update(message.message.name)
        if found is not None:
            # A text has no stamp: it counts from the newest one before it.
            stamp_ns = self._newest_ns if stream.is_text else message.header_ns
            self.observations.append(_Seen(stream.spec.name, stamp_ns, *found[1:]))

    def _add_command(self, message: RecordedMessage) -> None:
        row = command_from(message.message, self._robot.action)
        if not np.isfinite(row).all():
            raise BagError(
                f"bag {self.bag}, topic {message.topic}: a command is not finite: {row}"
            )
        if self.command_stamps_ns and message.stamp_ns < self.command_stamps_ns[-1]:
            return  # overtaken by a newer one: it was never in force
        self.command_stamps_ns.append(message.stamp_ns)
        self.commands.append(row)

    def _first_ns(self) -> int:
        """Return the moment from which every stream and the command are there."""
        firsts_ns = {
            each.spec.name: np.full(len(each.spec.names) or 1, _NEVER_NS)
            for each in self._robot.streams
        }
        for seen in self.observations:
            first_ns = firsts_ns[seen.stream]
            chosen = slice(None) if seen.present is None else seen.present
            first_ns[chosen] = np.minimum(first_ns[chosen], seen.stamp_ns)
        empty = [
            self._missing(each, firsts_ns[each.spec.name] == _NEVER_NS)
            for each in self._robot.streams
            if (firsts_ns[each.spec.name] == _NEVER_NS).any()
        ]
        if not self.commands:
            empty.append(f"no message on {[self._robot.action.topic]}")
        if empty:
            raise BagError(f"bag {self.bag}: {'; '.join(empty)}; record these topics")
        latest_ns = max(int(first_ns.max()) for first_ns in firsts_ns.values())
        return max(latest_ns, self.command_stamps_ns[0])

    def _missing(self, stream: RobotStream, missing: np.ndarray) -> str:
        """Return what of a stream has not come, and what its topic has instead."""
        others = self._others.get(stream.spec.name)
        if others is None:
            return f"no message on {[stream.topic]}"
        names = [name for name, is_so in zip(stream.spec.names, missing, strict=True) if is_so]
        return (
            f"joints {names} of stream {stream.spec.name} are in no message on {[stream.topic]}: "
            f"these have {sorted(others)}"
        )


def _topics(bag: OpenBag, robot: Robot) -> dict[str, list[RobotStream | str]]:
    """Return recorded topic -> the streams, ``action`` or ``episode`` that it is."""
    recorded = bag.topics
    roles: dict[str, list[RobotStream | str]] = {}
    wanted: list[tuple[str, str, RobotStream | str]] = [
        (stream.topic, stream.type, stream) for stream in robot.streams
    ]
    wanted.append((robot.action.topic, robot.action.type, "action"))
    missing = []
    for name, message_type, role in wanted:
        topic = resolve_topic(name, recorded)
        if topic is None or recorded[topic] != message_type:
            missing.append(f"{name} ({message_type})")
        else:
            roles.setdefault(topic, []).append(role)
    if missing:
        have = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(recorded.items()))
        raise BagError(
            f"bag {bag.folder} has no topic {', '.join(missing)}; it has {have or 'none'}. "
            "Record it, or name the recorded topic and type in the robot file"
        )
    marks = resolve_topic(MARK_TOPIC, [t for t, kind in recorded.items() if kind == MARK_TYPE])
    return {**roles, marks: [MARK_TOPIC]} if marks else roles


def _episode(
    tape: _Tape,
    robot: Robot,
    span: _Span,
    source: str,
    filters: Mapping[str, StreamFilter] | None,
) -> Episode:
    """Sample the tape as the robot does, at every period of the policy's clock."""
    period_ns = round(robot.action_spec.period_s * 1e9)
    moments_ns, player = (
        range(span.begin_ns, span.end_ns + 1, period_ns),
        _Player(tape, robot, filters),
    )
    observations = [player.at(moment_ns) for moment_ns in moments_ns]
    rows = [bisect.bisect_right(tape.command_stamps_ns, ns) - 1 for ns in moments_ns]
    values = {
        name: np.stack([observation.values[name] for observation in observations])
        for name in robot.max_ages_s
    }
    return Episode(
        stamps_s=np.array([observation.stamp_s for observation in observations]),
        values=values,
        actions=_near_measured(np.stack([tape.commands[row] for row in rows]), values, robot),
        source=source,
        success=span.success,
    )


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
        self, tape: _Tape, robot: Robot, filters: Mapping[str, StreamFilter] | None
    ) -> None:
        self._bag = tape.bag
        self._max_ages_s = robot.max_ages_s
        longest_s = max((s for s in self._max_ages_s.values() if s < math.inf), default=0.0)
        longest_s += max((each.history_s for each in (filters or {}).values()), default=0.0)
        self._buffer = ObservationBuffer(robot.stream_specs, self._max_ages_s, longest_s, filters)
        self._has_begun = False
        self._refused: dict[str, str] = {}
        # Of each stream and each set of its joints by itself: none waits for another publisher.
        self._coming: dict[tuple[str, bytes], list[tuple[int, _Seen]]] = {}
        for number, seen in reversed(list(enumerate(tape.observations))):
            self._coming.setdefault((seen.stream, seen.part), []).append((number, seen))

    def at(self, moment_ns: int) -> Observation:
        """Return what the robot's buffer would give at a moment; moments must not go back.

        Raises:
            BagError: A stream had nothing usable, had stood still for too long, or jumped by a
                turn.
        """
        for seen in self._come_by(moment_ns):
            stamp_s = _seconds(seen.stamp_ns)
            # What the robot refuses is refused here: both keep the last good value.
            try:
                self._buffer.add(seen.stream, stamp_s, seen.value, seen.present)
            except WholeTurnError as error:
                raise BagError(f"bag {self._bag} at {stamp_s:.3f} s: {error}") from None
            except ObservationError as error:
                self._refused[seen.stream] = str(error)
        if not self._has_begun:
            self._has_begun = True
            self._buffer.begin_turns()
        moment_s = _seconds(moment_ns)
        observation = self._buffer.sample(moment_s)
        if observation is None:
            refused = f"; refused: {'; '.join(self._refused.values())}" if self._refused else ""
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

    def _come_by(self, moment_ns: int) -> list[_Seen]:
        """Return what has come since the last moment, in the order of recording."""
        come: list[tuple[int, _Seen]] = []
        for coming in self._coming.values():
            while coming and coming[-1][1].stamp_ns <= moment_ns:
                come.append(coming.pop())
        return [seen for _, seen in sorted(come, key=lambda each: each[0])]

    def _called(self, name: str, observation: Observation) -> str:
        """Return a stream's name, with the joint that is its oldest where they differ."""
        if name not in observation.element_stamps_s:
            return name
        stamps_s = observation.element_stamps_s[name]
        return f"joint {min(stamps_s, key=lambda each: stamps_s[each])!r} of {name}"


def _seconds(stamp_ns: int) -> float:
    """Return s exactly as ``conversions.seconds`` does, so that stamps compare equal."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return float(sec + nanosec * 1e-9)
