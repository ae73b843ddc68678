"""A bag becomes a recording: every number is kept, and nothing is refused."""

import contextlib
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_controller.bags.command_messages import commanded_points
from ddpm_controller.bags.conversions import ConversionError
from ddpm_controller.bags.files import BagError, OpenBag, RecordedMessage, description_in_bag
from ddpm_controller.bags.stream_reader import StreamReader
from ddpm_controller.bags.tape import MARK_TOPIC, Role, seconds_of, topics_of
from ddpm_controller.data.commanded_motion import CommandedPoints
from ddpm_controller.lint.recording import Part, Pictures, Recording, Track
from ddpm_controller.robots.outputs import JOINT_STATE, STAMPED, RobotOutput
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.robot_description import DescriptionError
from ddpm_controller.robots.streams import RobotStream, StreamSource

_THUMBNAIL = 8
_THUMBNAIL_EVERY_NS = 250_000_000


def read_recording(bag: Path, robot: Robot) -> Recording:
    """Return what a bag holds; why it cannot be read is in the result."""
    fault, topics, notes = "", {}, Notes(bag.name, robot)
    try:
        with OpenBag(bag) as source, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            topics = dict(source.topics)
            roles = topics_of(source, robot)
            for message in source.messages(roles):
                notes.add(roles[message.topic], message)
    except BagError as error:
        fault = str(error)
    found = notes.recording(topics, fault)
    return found if fault else replace(found, urdf=_description(bag, robot))


def _description(bag: Path, robot: Robot) -> str:
    """Return the robot description of a bag; empty where it has none, or one that is unusable."""
    with contextlib.suppress(BagError, DescriptionError), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return description_in_bag(bag, robot)
    return ""


def recording_from(
    name: str,
    robot: Robot,
    roles: Mapping[str, Sequence[Role]],
    messages: Iterable[RecordedMessage],
    topics: Mapping[str, str],
) -> Recording:
    """Return the recording of some messages, which need not come from a bag.

    Args:
        name: Its name.
        robot: What is read of them.
        roles: Topic -> what it is, as ``topics_of``.
        messages: In the order of recording.
        topics: Recorded topic -> type.
    """
    notes = Notes(name, robot)
    for message in messages:
        notes.add(roles.get(message.topic, ()), message)
    return notes.recording(topics, "")


class _Rows:
    """Rows of one stream or output, as they come."""

    def __init__(self) -> None:
        self.log_ns: list[int] = []
        self.stamps_ns: list[int] = []
        self.rows: list[Any] = []
        self.points: list[CommandedPoints] = []
        self.digests: list[int] = []
        self.shown: list[int] = []

    def times(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.log_ns, np.int64), np.array(self.stamps_ns, np.int64)


class Notes:
    """Takes the messages of one bag and makes them a recording.

    Args:
        name: Name of the bag.
        robot: What is read of its messages.
    """

    def __init__(self, name: str, robot: Robot) -> None:
        self._name, self._robot = name, robot
        self._reader = StreamReader(robot.streams)
        self._streams = {each.spec.name: _Rows() for each in robot.streams}
        self._outputs = {each.name: _Rows() for each in robot.outputs}
        self._marks: list[RecordedMessage] = []
        self._refused: dict[str, list[str]] = {}
        self._repeated: dict[str, list[str]] = {}

    def add(self, roles: Sequence[Role], message: RecordedMessage) -> None:
        """Take one message for everything that its topic is."""
        names = list(getattr(message.message, "name", ()) or ())
        names = names or list(getattr(message.message, "joint_names", ()) or ())
        if len(set(names)) < len(names):
            twice = sorted({each for each in names if names.count(each) > 1})
            self._repeated.setdefault(message.topic, twice)
        for role in roles:
            try:
                self._add(role, message)
            except ConversionError as error:
                self._refused.setdefault(message.topic, []).append(str(error))

    def _add(self, role: Role, message: RecordedMessage) -> None:
        if role == MARK_TOPIC:
            self._marks.append(message)
        elif isinstance(role, RobotOutput):
            if role.is_measured:
                return
            found = commanded_points(message.message, role, message.stamp_ns)
            if found is not None:
                rows = self._outputs[role.name]
                rows.points.append(found)
                self._note(rows, message, message.header_ns, found.positions[0])
        elif isinstance(role, StreamSource) and not role.stream.is_text:
            if role.stream.spec.kind == "image":
                self._add_picture(role, message)
                return
            read = self._reader.read(role, message.message, seconds_of(message.log_ns))
            if read is not None:
                stamp_ns = round(read.stamp_s * 1e9) if role.stream.frames else message.header_ns
                self._note(self._streams[role.stream.spec.name], message, stamp_ns, read.value)

    def _add_picture(self, source: StreamSource, message: RecordedMessage) -> None:
        rows = self._streams[source.stream.spec.name]
        rows.digests.append(zlib.crc32(np.ascontiguousarray(message.message.data).data))
        number = len(rows.log_ns)
        since_ns = rows.log_ns[rows.shown[-1]] if rows.shown else -_THUMBNAIL_EVERY_NS
        rows.log_ns.append(message.log_ns)
        rows.stamps_ns.append(message.header_ns)
        if message.log_ns - since_ns >= _THUMBNAIL_EVERY_NS:
            read = self._reader.read(source, message.message, seconds_of(message.log_ns))
            if read is not None:
                rows.shown.append(number)
                rows.rows.append(_thumbnail(read.value))

    @staticmethod
    def _note(rows: _Rows, message: RecordedMessage, stamp_ns: int, row: np.ndarray) -> None:
        rows.log_ns.append(message.log_ns)
        rows.stamps_ns.append(stamp_ns)
        rows.rows.append(row)

    def recording(self, topics: Mapping[str, str], fault: str) -> Recording:
        """Return all that has come.

        Args:
            topics: Recorded topic -> type.
            fault: Why it ended; empty: it was whole.
        """
        streams = [each for each in self._robot.streams if not each.is_text]
        vectors = [each for each in streams if each.spec.kind == "vector"]
        images = [each for each in streams if each.spec.kind == "image"]
        outputs = [each for each in self._robot.outputs if not each.is_measured]
        return Recording(
            self._name,
            tuple(_state(each, self._streams[each.spec.name]) for each in vectors),
            tuple(self._command(each) for each in outputs),
            tuple(_pictures(each, self._streams[each.spec.name]) for each in images),
            _parts(self._marks),
            topics,
            fault,
            self._refused,
            self._repeated,
        )

    def _command(self, output: RobotOutput) -> Track:
        rows = self._outputs[output.name]
        wraps = {name for stream in self._robot.streams for name in stream.spec.wraps}
        is_position = output.kind == "joint_position"
        return Track(
            output.name,
            output.in_bags[0],
            output.names,
            output.units,
            *rows.times(),
            _table(rows.rows, len(output.names)),
            is_stamped=output.in_bags[1] in STAMPED,
            are_positions=is_position,
            wraps=frozenset(i for i, name in enumerate(output.names) if name in wraps),
            output=output,
            points=tuple(rows.points) if is_position else (),
        )


def _state(stream: RobotStream, rows: _Rows) -> Track:
    spec = stream.spec
    return Track(
        spec.name,
        stream.topic,
        spec.names,
        spec.units,
        *rows.times(),
        _table(rows.rows, len(spec.names)),
        is_stamped=stream.is_stamped,
        are_positions=stream.type == JOINT_STATE and stream.field == "position",
        wraps=frozenset(spec.names.index(name) for name in spec.wraps),
    )


def _pictures(stream: RobotStream, rows: _Rows) -> Pictures:
    thumbnails = np.array(rows.rows, np.float32).reshape(-1, _THUMBNAIL, _THUMBNAIL, 3)
    shown = np.array(rows.shown, np.int64)
    digests = np.array(rows.digests, np.int64)
    return Pictures(stream.spec.name, stream.topic, *rows.times(), digests, shown, thumbnails)


def _table(rows: Sequence[np.ndarray], width: int) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, width)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Return the means of 8 x 8 areas of an image (H, W, 3)."""
    rows = np.linspace(0, len(image), _THUMBNAIL, endpoint=False).astype(int)
    columns = np.linspace(0, image.shape[1], _THUMBNAIL, endpoint=False).astype(int)
    places = np.ix_(rows, columns)
    if min(image.shape[:2]) < 2 * _THUMBNAIL:
        return image[places].astype(np.float32)
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float32), rows, 0), columns, 1)
    heights = np.diff(np.append(rows, len(image)))
    widths = np.diff(np.append(columns, image.shape[1]))
    means: np.ndarray = sums / (heights[:, None] * widths)[..., None]
    return means.astype(np.float32)


def _parts(marks: Sequence[RecordedMessage]) -> tuple[Part, ...]:
    """Return the episodes between two marks, as ``Tape.spans`` has them."""
    found: list[Part] = []
    begin_ns: int | None = None
    for mark in marks:
        begins = mark.message.mark == 0
        if begin_ns is not None:
            success = None if begins else bool(mark.message.success)
            found.append(Part(len(found), begin_ns, mark.log_ns, success))
        begin_ns = mark.log_ns if begins else None
    return tuple(found)
