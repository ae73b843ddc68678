"""What one bag holds of episodes: converted messages, and where the episodes are. No rclpy."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ddpm_controller.bags.command_messages import commanded_points
from ddpm_controller.bags.conversions import ConversionError, refuse_other_size
from ddpm_controller.bags.demonstrated_motion import lead_s
from ddpm_controller.bags.files import BagError, OpenBag, RecordedMessage, resolve_topic
from ddpm_controller.bags.recorded_commands import RecordedCommands
from ddpm_controller.bags.screening import (
    plausible_rows,
    refuse_arrivals,
    refuse_other_clocks,
    uncommanded_parts,
)
from ddpm_controller.bags.stream_reader import StreamReader
from ddpm_controller.data.measured_track import MeasuredTrack
from ddpm_controller.messages.stamps import stamp_from
from ddpm_controller.robots.outputs import JOINT_STATE, RobotOutput, columns_of
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import COMPRESSED_IMAGE, RobotStream, StreamSource
from ddpm_controller.types import measuring_stream

MARK_TOPIC = "episode"
MARK_TYPE = "ddpm_msgs/msg/EpisodeMark"
_NEVER_NS = np.iinfo(np.int64).max

Role = StreamSource | RobotOutput | str
"""What a recorded topic is: of a stream, the command of an output, or the marks."""


@dataclass
class Span:
    """From where to where an episode lasts, ns."""

    begin_ns: int
    end_ns: int
    success: bool | None = None

    def without(self, begin_ns: int, end_ns: int, shortest_ns: int) -> "list[Span]":
        """Return what remains before and behind a part that is taken out."""
        if end_ns <= self.begin_ns or begin_ns >= self.end_ns:
            return [self]
        before = replace(self, end_ns=min(begin_ns, self.end_ns))
        behind = replace(self, begin_ns=max(end_ns, self.begin_ns))
        rests = (before, behind)
        return [each for each in rests if each.end_ns - each.begin_ns >= shortest_ns]


@dataclass(frozen=True)
class Seen:
    """What one message brings of a stream; see ``stream_reader.Read``.

    Compressed pictures are decoded when they are looked at: most come more often than a policy
    looks, and decoding them is most of the time that a bag takes.
    """

    stream: str
    stamp_ns: int
    given: np.ndarray | Callable[[], np.ndarray]
    present: np.ndarray | None

    @property
    def is_compressed(self) -> bool:
        """Whether it has to be decoded."""
        return callable(self.given)

    @property
    def value(self) -> np.ndarray:
        """The value as a policy sees it; decoded each time.

        Raises:
            BagError: It cannot be decoded.
        """
        return self.given() if callable(self.given) else self.given

    @property
    def part(self) -> bytes:
        """Key that differs between messages with other joints of the stream."""
        return b"" if self.present is None else self.present.tobytes()


class Tape:
    """Converted messages of one bag, in the order of recording."""

    def __init__(self, bag: Path, robot: Robot) -> None:
        self.bag = bag
        self.observations: list[Seen] = []
        self.leads_s: dict[str, float] = {}
        self.commands = RecordedCommands(robot.outputs, round(robot.period_s * 1e9))
        self._measured: dict[str, MeasuredTrack] = {}
        self._uncommanded: dict[str, list[tuple[int, int]]] = {}
        self._leads_ns: dict[str, list[int]] = {}
        self._robot = robot
        self._marks: list[RecordedMessage] = []
        self._newest_ns = 0
        self._others: dict[str, set[str]] = {}
        self._reader = StreamReader(robot.streams)

    def add(self, role: Role, message: RecordedMessage) -> None:
        """Keep one message of a stream, of a command or of the marks."""
        try:
            if isinstance(role, StreamSource):
                self._add_observation(role, message)
                return
            if isinstance(role, RobotOutput):
                self._add_command(role, message)
            else:
                self._marks.append(message)
        except ConversionError as error:
            raise BagError(f"bag {self.bag}, topic {message.topic}: {error}") from error
        self._newest_ns = max(self._newest_ns, message.stamp_ns)

    def finish(self) -> None:
        """Take out what must not be learned, once all messages have been added.

        Raises:
            BagError: It has to be refused.
        """
        refuse_other_clocks(self.bag, self._robot, self._leads_ns)
        refuse_arrivals(self.bag, self._robot, self._leads_ns)
        self._take_out_glitches()
        for output in self._robot.outputs:
            track = _measured(self.observations, self._robot, output)
            if track is not None:
                self._measured[output.name] = track
            if output.is_demonstrated:
                self._lead(output, track)
        self.commands.read_as_motion(self._measured)
        for output in self._robot.outputs:
            track = self._measured.get(output.name)
            # A gripper is kept away by what it holds; of what is measured there is no pause.
            if track is not None and output.gripper is None and not output.is_measured:
                pauses = self.commands.pauses(output, self._newest_ns)
                parts = uncommanded_parts(self.bag, self._robot, output, pauses, track)
                self._uncommanded[output.name] = parts

    def _lead(self, output: RobotOutput, track: MeasuredTrack | None) -> None:
        """Have positions count as actions when they would have been commanded."""
        try:
            found_s = lead_s(output, self.commands.points(output), track, self._robot.period_s)
        except BagError as error:
            raise BagError(f"bag {self.bag}: {error}") from None
        self.leads_s[output.name] = found_s
        self.commands.shift(output, found_s)

    def commanded(self, moments_ns: Sequence[int]) -> np.ndarray:
        """Return what is commanded at moments, (N, Da); NaN before an output is."""
        actions = self.commands.at(moments_ns)
        columns = columns_of(self._robot.outputs)
        for name, parts in self._uncommanded.items():
            for row, moment_ns in enumerate(moments_ns):
                if any(begin_ns < moment_ns < end_ns for begin_ns, end_ns in parts):
                    actions[row, columns[name]] = self._measured[name].at(moment_ns)
        return actions

    def spans(self, *, is_whole: bool) -> list[Span]:
        """Return where the episodes are.

        Args:
            is_whole: Whether the recorder finished the bag: otherwise an episode without its END
                may have lasted longer, and is left out.

        Raises:
            BagError: A stream or the command has no message, or no episode has a moment with all.
        """
        spans = self._marked(self._first_ns(), is_whole=is_whole)
        parts = [part for each in self._uncommanded.values() for part in each]
        if self._robot.recordings.uncommanded == "leave_out":
            shortest_ns = round(self._robot.period_s * 1e9)
            for part in parts:
                spans = [rest for span in spans for rest in span.without(*part, shortest_ns)]
        spans = [span for span in spans if span.begin_ns <= span.end_ns]
        if not spans:
            without = f" and {len(parts)} parts without commands" if parts else ""
            raise BagError(
                f"bag {self.bag}: {len(self._marks)} marks{without}, but no moment between BEGIN "
                "and END at which all streams and the command have come; record from before BEGIN "
                "to END"
            )
        return spans

    def _marked(self, first_ns: int, *, is_whole: bool) -> list[Span]:
        """Return what lies between two marks; all of it where there are none."""
        if not self._marks:
            return [Span(first_ns, self._newest_ns)]
        spans: list[Span] = []
        is_open = False
        for mark in self._marks:
            begins = mark.message.mark == 0
            if is_open:
                spans[-1].end_ns = mark.stamp_ns - int(begins)
                spans[-1].success = None if begins else bool(mark.message.success)
            if begins:
                spans.append(Span(max(mark.stamp_ns, first_ns), self._newest_ns))
            is_open = begins
        if is_open and not is_whole:
            spans.pop()
        return spans

    def _take_out_glitches(self) -> None:
        bag, robot = self.bag, self._robot
        for stream in robot.streams:
            spec = stream.spec
            seen = _in_order(each for each in self.observations if each.stream == spec.name)
            if spec.kind != "vector" or spec.holds or not seen:
                continue
            stamps_ns = np.array([each.stamp_ns for each in seen])
            rows = np.stack([each.value for each in seen])
            may_jump = stream.type != JOINT_STATE or stream.field != "position"
            names = (spec.name, spec.names, spec.units)
            good = plausible_rows(bag, robot, names, stamps_ns, rows, may_jump=may_jump)
            bad = {id(each) for each, is_good in zip(seen, good, strict=True) if not is_good}
            self.observations = [each for each in self.observations if id(each) not in bad]
        for output in robot.outputs:
            names = (output.topic, output.names, output.units)
            may_jump = output.kind != "joint_position"
            points = self.commands.points(output)
            good = plausible_rows(bag, robot, names, *points, may_jump=may_jump)
            self.commands.keep(output, good)

    def _add_observation(self, source: StreamSource, message: RecordedMessage) -> None:
        stream, name = source.stream, source.stream.spec.name
        if stream.type == COMPRESSED_IMAGE:
            refuse_other_size(message.message, stream)
            self._add_seen(
                stream, message, message.header_ns, partial(self._decoded, source, message)
            )
            return
        if stream.is_stamped:
            self._newest_ns = max(self._newest_ns, message.stamp_ns)
        # A text has no stamp: it counts from the newest one before it.
        came_ns = self._newest_ns if stream.is_text else message.log_ns
        found = self._reader.read(source, message.message, seconds_of(came_ns))
        if found is None or found.present is not None:
            others = self._reader.others(source, message.message)
            self._others.setdefault(name, set()).update(others)
        if found is None:
            return
        stamp_ns = self._stamp_ns(stream, message, found.stamp_s)
        self._add_seen(stream, message, stamp_ns, found.value, found.present)

    def _add_seen(
        self,
        stream: RobotStream,
        message: RecordedMessage,
        stamp_ns: int,
        given: np.ndarray | Callable[[], np.ndarray],
        present: np.ndarray | None = None,
    ) -> None:
        name = stream.spec.name
        self._newest_ns = max(self._newest_ns, stamp_ns)
        self.observations.append(Seen(name, stamp_ns, given, present))
        if not (stream.is_text or stream.spec.holds):
            self._leads_ns.setdefault(name, []).append(stamp_ns - message.log_ns)

    def _decoded(self, source: StreamSource, message: RecordedMessage) -> np.ndarray:
        try:
            found = self._reader.read(source, message.message, seconds_of(message.log_ns))
        except ConversionError as error:
            raise BagError(f"bag {self.bag}, topic {message.topic}: {error}") from error
        assert found is not None  # every image message has one
        return found.value

    def _stamp_ns(self, stream: RobotStream, message: RecordedMessage, stamp_s: float) -> int:
        if stream.is_text:
            return self._newest_ns
        if stream.is_stamped:
            return message.stamp_ns if stream.fields else message.header_ns
        if stream.counts_from_arrival:
            return message.log_ns
        whole, nanoseconds = stamp_from(stamp_s)  # of frames: of the links that it is made from
        return whole * 1_000_000_000 + nanoseconds

    def _add_command(self, output: RobotOutput, message: RecordedMessage) -> None:
        command = commanded_points(message.message, output, message.stamp_ns)
        if command is None:  # the joints of another part of the robot
            return
        wrong = ~np.isfinite(command.positions).all(axis=1)
        if wrong.any():
            row = command.positions[wrong][0]
            raise BagError(
                f"bag {self.bag}, topic {message.topic}: a command is not finite: {row}"
            )
        self._leads_ns.setdefault("", []).append(message.stamp_ns - message.log_ns)
        self.commands.add(output, command)

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
        empty += [f"no message on {[topic]}" for topic in self.commands.missing]
        if empty:
            raise BagError(f"bag {self.bag}: {'; '.join(empty)}; record these topics")
        latest_ns = max(int(first_ns.max()) for first_ns in firsts_ns.values())
        return max(latest_ns, self.commands.first_ns)

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


def topics_of(bag: OpenBag, robot: Robot) -> dict[str, list[Role]]:
    """Return recorded topic -> the streams, outputs or marks that it is."""
    recorded = bag.topics
    roles: dict[str, list[Role]] = {}
    wanted: list[tuple[str, str, Role]] = [
        *((each.topic, s.type, each) for s in robot.streams for each in s.sources),
        *((*output.in_bags, output) for output in robot.outputs),
    ]
    missing = []
    for name, message_type, role in wanted:
        topic = resolve_topic(name, recorded)
        if topic is None and isinstance(role, StreamSource) and role.is_static:
            continue  # all links may move
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
    _refuse_mixed(bag, robot)
    marks = resolve_topic(MARK_TOPIC, [t for t, kind in recorded.items() if kind == MARK_TYPE])
    return {**roles, marks: [MARK_TOPIC]} if marks else roles


def seconds_of(stamp_ns: int) -> float:
    """Return s exactly as ``conversions.seconds`` does, so that stamps compare equal."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return float(sec + nanosec * 1e-9)


def _refuse_mixed(bag: OpenBag, robot: Robot) -> None:
    """Refuse states of one robot with commands of another one, as relative names can mean."""
    joints = set(robot.action_spec.joint_names)
    measuring = [s for s in robot.streams if joints & set(s.spec.names)]
    names = [each.topic for stream in measuring for each in stream.sources]
    spaces: dict[str, str] = {}
    for name in [*names, *(output.in_bags[0] for output in robot.outputs)]:
        topic = resolve_topic(name, bag.topics)
        if topic is not None and not name.startswith("/"):
            spaces[topic] = topic.removesuffix(f"/{name}") or "/"
    if len(set(spaces.values())) > 1:
        raise BagError(
            f"bag {bag.folder} has states and commands in several namespaces: {spaces}; if they "
            "are of one robot, write their full names in the robot file"
        )


def _in_order(seen: Iterable[Seen]) -> list[Seen]:
    """Return what is used: not a message older than one before it that has the same joints."""
    newest_ns: dict[bytes, int] = {}
    found = []
    for each in seen:
        if each.stamp_ns >= newest_ns.get(each.part, each.stamp_ns):
            newest_ns[each.part] = each.stamp_ns
            found.append(each)
    return found


def _measured(
    observations: Sequence[Seen], robot: Robot, output: RobotOutput
) -> MeasuredTrack | None:
    """Return where the joints of an output are; None where that is not measured."""
    names = output.names
    spec = measuring_stream(robot.stream_specs, names)
    if spec is None or output.kind != "joint_position":
        return None
    columns = [spec.names.index(name) for name in names]
    seen = [each for each in observations if each.stream == spec.name]
    if not seen:
        return None
    return MeasuredTrack.of([e.stamp_ns for e in seen], [e.value[columns] for e in seen])
