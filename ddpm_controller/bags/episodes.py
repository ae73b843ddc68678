"""Episodes out of bags: the same conversions and the same buffer as on the robot. No rclpy."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_controller.bags.commanded_motion import (
    CommandedMotion,
    RecordedCommand,
    recorded_command,
)
from ddpm_controller.bags.conversions import ConversionError, observation_from
from ddpm_controller.bags.files import (
    BagError,
    OpenBag,
    RecordedMessage,
    digest,
    find_bags,
    resolve_topic,
)
from ddpm_controller.bags.screening import (
    plausible_rows,
    refuse_other_clocks,
    uncommanded_parts,
)
from ddpm_controller.control.observing.observation_buffer import (
    ObservationBuffer,
    ObservationError,
    WholeTurnError,
)
from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.control.observing.turns import TURN, turns_towards
from ddpm_controller.robots.robot import JOINT_STATE, Robot, RobotStream
from ddpm_controller.types import Episode, Observation, measuring_stream

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
    begins when every stream and the command have come.

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
        topics = _topics(source, robot)
        for message in source.messages(topics):
            for role in topics[message.topic]:
                tape.add(role, message)
    tape.finish()
    return [
        _episode(tape, robot, span, f"{bag}#{n}", filters) for n, span in enumerate(tape.spans())
    ]


@dataclass
class _Span:
    """From where to where an episode lasts, ns."""

    begin_ns: int
    end_ns: int
    success: bool | None = None

    def without(self, begin_ns: int, end_ns: int, shortest_ns: int) -> "list[_Span]":
        """Return what remains before and behind a part that is taken out."""
        if end_ns <= self.begin_ns or begin_ns >= self.end_ns:
            return [self]
        before = replace(self, end_ns=min(begin_ns, self.end_ns))
        behind = replace(self, begin_ns=max(end_ns, self.begin_ns))
        rests = (before, behind)
        return [each for each in rests if each.end_ns - each.begin_ns >= shortest_ns]


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
        self._commands: list[RecordedCommand] = []
        self._uncommanded: list[tuple[int, int]] = []
        self._leads_ns: dict[str, list[int]] = {}
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

    def finish(self) -> None:
        """Take out what must not be learned, once all messages have been added.

        Raises:
            BagError: It has to be refused.
        """
        self._refuse_other_clocks()
        self._take_out_glitches()
        self._track = _measured(self.observations, self._robot)
        period_ns = round(self._robot.action_spec.period_s * 1e9)
        self._motion = CommandedMotion(self._commands, period_ns, self._measured_at)
        if self._commands and len(self._track[0]):
            pauses = self._motion.pauses(self._newest_ns)
            self._uncommanded = uncommanded_parts(self.bag, self._robot, pauses, *self._track)

    def commanded(self, moment_ns: int) -> np.ndarray:
        """Return where the joints are commanded to be at a moment, (Da,)."""
        if any(begin_ns < moment_ns < end_ns for begin_ns, end_ns in self._uncommanded):
            measured = self._measured_at(moment_ns)
            assert measured is not None  # else nothing was found to move there
            return measured
        return self._motion.at(moment_ns)

    def spans(self) -> list[_Span]:
        """Return where the episodes are.

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
        if not self._marks:
            spans.append(_Span(first_ns, self._newest_ns))
        period_ns = round(self._robot.action_spec.period_s * 1e9)
        if self._robot.recordings.uncommanded == "leave_out":
            for part_ns in self._uncommanded:
                spans = [rest for span in spans for rest in span.without(*part_ns, period_ns)]
        spans = [span for span in spans if span.begin_ns <= span.end_ns]
        if not spans:
            parts = f" and {len(self._uncommanded)} parts without commands"
            raise BagError(
                f"bag {self.bag}: {len(self._marks)} marks{parts if self._uncommanded else ''}, "
                "but no moment between BEGIN and END at which all streams and the command have "
                "come; record from before BEGIN to END"
            )
        return spans

    def _refuse_other_clocks(self) -> None:
        leads_s = {name: float(np.median(each)) / 1e9 for name, each in self._leads_ns.items()}
        command_s = leads_s.pop("action", 0.0)
        refuse_other_clocks(self.bag, self._robot.max_ages_s, leads_s, command_s)

    def _take_out_glitches(self) -> None:
        bag, robot = self.bag, self._robot
        for stream in robot.streams:
            spec = stream.spec
            seen = [each for each in self.observations if each.stream == spec.name]
            if spec.kind != "vector" or spec.holds or not seen:
                continue
            measured = stream.type == JOINT_STATE and stream.field == "position"
            stamps_ns = np.array([each.stamp_ns for each in seen])
            rows = np.stack([each.value for each in seen])
            good = plausible_rows(
                bag, robot, spec.name, spec.names, stamps_ns, rows, are_positions=measured
            )
            bad = {id(each) for each, is_good in zip(seen, good, strict=True) if not is_good}
            self.observations = [each for each in self.observations if id(each) not in bad]
        if self._commands:
            stamps_ns = np.concatenate([each.stamp_ns + each.after_ns for each in self._commands])
            rows = np.concatenate([each.positions for each in self._commands])
            names = robot.action_spec.joint_names
            good = plausible_rows(bag, robot, robot.action.topic, names, stamps_ns, rows)
            owners = np.repeat(
                range(len(self._commands)), [len(e.after_ns) for e in self._commands]
            )
            wrong = set(owners[~good].tolist())
            self._commands = [each for i, each in enumerate(self._commands) if i not in wrong]

    def _measured_at(self, moment_ns: int) -> np.ndarray | None:
        """Return the newest measured position of the commanded joints, (Da,)."""
        stamps_ns, rows = self._track
        i = int(np.searchsorted(stamps_ns, moment_ns, side="right")) - 1
        return rows[i] if i >= 0 else None

    def _add_observation(self, stream: RobotStream, message: RecordedMessage) -> None:
        found = observation_from(message.message, stream)
        if found is None or found[2] is not None:
            self._others.setdefault(stream.spec.name, set()).update(message.message.name)
        if found is not None:
            # A text has no stamp: it counts from the newest one before it.
            stamp_ns = self._newest_ns if stream.is_text else message.header_ns
            self.observations.append(_Seen(stream.spec.name, stamp_ns, *found[1:]))
            if not (stream.is_text or stream.spec.holds):
                self._note_lead(stream.spec.name, message)

    def _add_command(self, message: RecordedMessage) -> None:
        command = recorded_command(message.message, self._robot.action, message.stamp_ns)
        wrong = ~np.isfinite(command.positions).all(axis=1)
        if wrong.any():
            raise BagError(
                f"bag {self.bag}, topic {message.topic}: a command is not finite: "
                f"{command.positions[wrong][0]}"
            )
        if self._commands and message.stamp_ns < self._commands[-1].stamp_ns:
            return  # overtaken by a newer one: it was never in force
        self._note_lead("action", message)
        self._commands.append(command)

    def _note_lead(self, name: str, message: RecordedMessage) -> None:
        self._leads_ns.setdefault(name, []).append(message.stamp_ns - message.log_ns)

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
        if not self._commands:
            empty.append(f"no message on {[self._robot.action.topic]}")
        if empty:
            raise BagError(f"bag {self.bag}: {'; '.join(empty)}; record these topics")
        latest_ns = max(int(first_ns.max()) for first_ns in firsts_ns.values())
        return max(latest_ns, self._commands[0].stamp_ns)

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
    for name, texts in player.refused.items():
        text = (
            f"bag {tape.bag}: {len(texts)} messages of {name} were not used, the last: {texts[-1]}"
        )
        warnings.warn(text, stacklevel=2)
    actions = np.stack([tape.commanded(moment_ns) for moment_ns in moments_ns])
    values = {
        name: np.stack([observation.values[name] for observation in observations])
        for name in robot.max_ages_s
    }
    return Episode(
        stamps_s=np.array([observation.stamp_s for observation in observations]),
        values=values,
        actions=_near_measured(actions, values, robot),
        source=source,
        success=span.success,
    )


def _measured(observations: Sequence[_Seen], robot: Robot) -> tuple[np.ndarray, np.ndarray]:
    """Return stamps (N,) in ns and positions (N, Da) of the commanded joints; none is unknown."""
    joints = robot.action_spec.joint_names
    spec = measuring_stream(robot.stream_specs, joints)
    seen = [each for each in observations if spec is not None and each.stream == spec.name]
    if spec is None or not seen:
        return np.zeros(0, dtype=np.int64), np.zeros((0, len(joints)))
    seen.sort(key=lambda each: each.stamp_ns)
    rows = np.stack([each.value for each in seen])[:, [spec.names.index(n) for n in joints]]
    # What a message does not have is as in the message before.
    known = np.where(np.isfinite(rows), np.arange(len(rows))[:, None], -1)
    newest = np.maximum.accumulate(known, axis=0)
    filled = np.take_along_axis(rows, np.maximum(newest, 0), axis=0)
    complete = (newest >= 0).all(axis=1)
    stamps_ns = np.array([each.stamp_ns for each in seen])
    return stamps_ns[complete], filled[complete]


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
        self.refused: dict[str, list[str]] = {}
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
                self.refused.setdefault(seen.stream, []).append(str(error))
        if not self._has_begun:
            self._has_begun = True
            self._buffer.begin_turns()
        moment_s = _seconds(moment_ns)
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
