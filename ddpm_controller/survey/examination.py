"""A robot that runs, or that a bag was recorded from, compared with its robot file, row by row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ddpm_controller.bags.command_messages import command_from
from ddpm_controller.bags.conversions import ConversionError, seconds
from ddpm_controller.bags.screening import other_clocks
from ddpm_controller.bags.stream_reader import StreamReader
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.plausible_joints import BEYOND
from ddpm_controller.control.observing.stream_rules import SLOW_SHARE
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.robots.robot import Robot, RobotError
from ddpm_controller.robots.robot_description import DescriptionError, Descriptions
from ddpm_controller.robots.streams import StreamSource
from ddpm_controller.survey.messages import Track
from ddpm_controller.types import measuring

Level = Literal["fits", "look", "fault"]
_PICTURES_READ = 3
"""Pictures of a topic that are decoded; more show nothing new of it."""


@dataclass(frozen=True)
class Row:
    """One thing that a run needs.

    Attributes:
        what: Name of it.
        expected: What robot file or checkpoint have.
        found: What is there.
        remedy: What to do; empty where nothing is to be done.
        level: ``fits``; ``look``: it may be right; ``fault``: a run is refused or goes wrong.
    """

    what: str
    expected: str
    found: str
    remedy: str = ""
    level: Level = "fits"


@dataclass(frozen=True)
class Place:
    """Where something of a robot file is found.

    Attributes:
        topic: Absolute name; empty where there is none.
        types: Types of the messages there.
        offered: Quality of service that its publishers offer, in words.
    """

    topic: str = ""
    types: tuple[str, ...] = ()
    offered: str = ""


@dataclass
class _Stream:
    """What has come of a stream on one topic."""

    source: StreamSource
    track: Track = field(default_factory=Track)
    num_read: int = 0
    problem: str = ""
    value: np.ndarray | None = None
    others: set[str] = field(default_factory=set)
    leads_s: list[float] = field(default_factory=list)


class Examination:
    """Reads the messages of a robot as its controller does, and reports how they fit.

    Args:
        robot: Robot file.
    """

    def __init__(self, robot: Robot) -> None:
        self._robot, self._reader = robot, StreamReader(robot.streams)
        self._streams = [_Stream(each) for stream in robot.streams for each in stream.sources]
        self._commands = {each.name: Track() for each in robot.outputs}
        self._refused: dict[str, str] = {}
        self._command_leads_s: list[float] = []
        self._described = Descriptions(robot.descriptions)

    def take(self, topic: str, message: Any, came_s: float) -> None:
        """Take a message of a stream.

        Args:
            topic: As the robot file names it.
            message: Message of its type.
            came_s: When it came, s.
        """
        for each in self._streams:
            if each.source.topic == topic:
                each.track.take(came_s)
                self._read(each, message, came_s)

    def take_command(self, output: RobotOutput, message: Any, came_s: float) -> None:
        """Take a recorded command of an output."""
        self._commands[output.name].take(came_s)
        header = getattr(message, "header", None)
        if header is not None and (stamp_s := seconds(header.stamp)):
            self._command_leads_s.append(stamp_s - came_s)
        try:
            command_from(message, output, output.in_bags[1])
        except ConversionError as error:
            self._refused.setdefault(output.name, str(error))

    def take_description(self, topic: str, text: str) -> None:
        """Take the text of a robot description; ``topic`` is as the robot file names it."""
        self._described.take(topic, text)

    def rows(self, places: Mapping[str, Place]) -> list[Row]:
        """Return a row for each topic of a stream, for the clocks and for the limits.

        Args:
            places: Topic as the robot file names it -> where it is.
        """
        streams = [self._stream_row(each, places) for each in self._streams]
        return [*streams, self._clock_row(), *self._limit_rows(places)]

    def command_rows(self, places: Mapping[str, Place]) -> list[Row]:
        """Return a row for the recorded commands of each output; ``places`` as in ``rows``."""
        return [self._command_row(each, places) for each in self._robot.outputs]

    def _read(self, each: _Stream, message: Any, came_s: float) -> None:
        stream = each.source.stream
        if stream.spec.kind == "image" and each.num_read >= _PICTURES_READ:
            each.leads_s.append(seconds(message.header.stamp) - came_s)
            return
        try:
            found = self._reader.read(each.source, message, came_s)
        except ConversionError as error:
            each.problem = each.problem or str(error)
            return
        each.others.update(self._reader.others(each.source, message))
        if found is None:
            return
        each.num_read += 1
        if not (stream.is_text or stream.spec.holds):
            each.leads_s.append(found.stamp_s - came_s)
        if stream.spec.kind == "vector":
            known = np.full(stream.spec.shape, math.nan) if each.value is None else each.value
            each.value = np.where(np.isnan(found.value), known, found.value)

    def _stream_row(self, each: _Stream, places: Mapping[str, Place]) -> Row:
        stream, topic = each.source.stream, each.source.topic
        place = places.get(topic, Place())
        size = list(stream.message_size) if stream.spec.kind == "image" else stream.spec.shape[0]
        rate = f", {stream.spec.rate_hz:g} Hz" if stream.spec.rate_hz else ""
        what, expected = f"stream {stream.spec.name}", f"{topic}: {stream.type}, {size}{rate}"
        if each.source.is_static and not each.track.count:
            return Row(what, expected, "no static links: all may move")
        if problem := _absence(place, stream.type, each.track.count):
            return Row(what, expected, *problem, "fault")
        offered = f", {place.offered}" if place.offered else ""
        found = f"{place.topic}{offered}, {each.track.rate_hz:g} Hz"
        if each.problem:
            return Row(
                what, expected, each.problem, "correct the robot file or the driver", "fault"
            )
        if missing := self._missing(each):
            have = f"{found}; without {missing}, its messages have {sorted(each.others)}"
            remedy = "correct names or topic in the robot file, or start what is missing"
            return Row(what, expected, have, remedy, "fault")
        if each.track.count > 1 and each.track.rate_hz < SLOW_SHARE * stream.spec.rate_hz:
            remedy = "let the driver publish faster, or correct rate_hz of the robot file"
            return Row(what, expected, found, remedy, "look")
        return Row(what, expected, found)

    def _missing(self, each: _Stream) -> list[str]:
        """Return the elements that no topic of a stream has brought."""
        spec = each.source.stream.spec
        parts = [
            other.value
            for other in self._streams
            if other.source.stream is each.source.stream and other.value is not None
        ]
        if spec.kind != "vector" or each.source.stream.is_text or not (parts or each.others):
            return []
        seen = np.zeros(spec.shape, dtype=bool)
        for part in parts:
            seen |= ~np.isnan(part)
        return [name for name, is_seen in zip(spec.names, seen, strict=True) if not is_seen]

    def _clock_row(self) -> Row:
        leads_s: dict[str, list[float]] = (
            {"": self._command_leads_s} if self._command_leads_s else {}
        )
        for each in self._streams:
            if each.leads_s and not each.source.is_static:
                leads_s.setdefault(each.source.stream.spec.name, []).extend(each.leads_s)
        medians_s = {name: float(np.median(each)) for name, each in leads_s.items()}
        expected = "stamps are of the clock of their arrival"
        if not medians_s:
            return Row("clocks", expected, "no stamps came", level="look")
        if wrong := other_clocks(self._robot, medians_s):
            remedy = "set the clocks (chrony), or use_sim_time for all nodes"
            return Row("clocks", expected, _offsets(wrong), remedy, "fault")
        return Row("clocks", expected, _offsets(medians_s))

    def _limit_rows(self, places: Mapping[str, Place]) -> list[Row]:
        topics = list(self._robot.descriptions)
        what, expected = "limits", f"robot_description on {topics}, limits of all joints"
        if not self._described.are_complete:
            found = [place.topic for topic in topics if (place := places.get(topic))]
            text = f"none came, of topics {[each for each in found if each]}"
            remedy = "start robot_state_publisher, or record its topic"
            return [Row(what, expected, text, remedy, "fault")]
        try:
            limits = self._robot.limits(self._described.text)
        except (RobotError, DescriptionError, ValueError) as error:
            return [Row(what, expected, str(error), "correct it where the text names it", "fault")]
        return [Row(what, expected, _ranges(self._robot, limits)), *self._position_row(limits)]

    def _position_row(self, limits: JointLimits) -> list[Row]:
        """Return where the measured joints are, against their limits."""
        spec = self._robot.action_spec
        places = measuring(self._robot.stream_specs, spec)
        values: dict[str, np.ndarray] = {}
        for each in self._streams:
            if each.value is not None:
                values[each.source.stream.spec.name] = each.value
        if places is None or not set(places.names) <= set(values):
            return []
        measured = places.row(values)
        beyond = np.maximum(limits.lower - measured, measured - limits.upper)
        allowed = np.array([BEYOND.get(unit, math.inf) for unit in spec.units])
        wrong = np.flatnonzero((beyond > allowed) & ~spec.are_velocities)
        if not len(wrong):
            return [Row("measured joints", "within their limits", "they are")]
        text = ", ".join(f"{spec.joint_names[i]} {measured[i]:.4g} {spec.units[i]}" for i in wrong)
        remedy = "correct units in the robot file (deg, mm), the limits, or the calibration"
        return [Row("measured joints", "within their limits", text, remedy, "fault")]

    def _command_row(self, output: RobotOutput, places: Mapping[str, Place]) -> Row:
        topic, kind = output.in_bags
        track, what = self._commands[output.name], f"commands {output.name}"
        expected, place = f"{topic}: {kind}, {list(output.names)}", places.get(topic, Place())
        if output.gripper is not None and not track.count and place.topic:
            return Row(what, expected, "none: it had nothing to do")
        if problem := _absence(place, kind, track.count):
            return Row(what, expected, *problem, "fault")
        if output.name in self._refused:
            text = self._refused[output.name]
            return Row(what, expected, text, "correct the robot file", "fault")
        return Row(what, expected, f"{place.topic}, {track.rate_hz:g} Hz")


def _absence(place: Place, kind: str, count: int) -> tuple[str, str] | None:
    """Return what is there in place of messages of a kind, and the remedy; None: they came."""
    if not place.topic:
        return "no such topic", "start its node, correct the robot file, or remap"
    if kind not in place.types:
        return (
            f"{place.topic}: {', '.join(place.types)}",
            "correct type or topic in the robot file",
        )
    if not count:
        offered = f" ({place.offered})" if place.offered else ""
        return f"{place.topic}{offered}: no message came", "start or repair its node"
    return None


def _offsets(leads_s: Mapping[str, float]) -> str:
    return ", ".join(f"{name or 'commands'} {lead_s:+.3f} s" for name, lead_s in leads_s.items())


def _ranges(robot: Robot, limits: JointLimits) -> str:
    spec = robot.action_spec
    rows: Sequence[tuple[str, str, float, float]] = list(
        zip(spec.joint_names, spec.units, limits.lower, limits.upper, strict=True)
    )
    return ", ".join(f"{name} {low:.3g} to {high:.3g} {unit}" for name, unit, low, high in rows)
