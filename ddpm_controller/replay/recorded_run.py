"""Contents of a bag about a controller: what it saw, planned, decided and commanded. No rclpy."""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_controller.bags.conversions import (
    ConversionError,
    positions_from,
    seconds,
)
from ddpm_controller.bags.element_stamps import element_stamps_from
from ddpm_controller.bags.files import BagError, OpenBag, RecordedMessage, resolve_topic
from ddpm_controller.bags.memory_messages import memory_from
from ddpm_controller.bags.stream_reader import StreamReader
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.observation_buffer import NEVER_S
from ddpm_controller.control.parameter_names import values_from
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.given_files import one_line, parsed_json
from ddpm_controller.replay.recorded_outputs import RecordedOutputs
from ddpm_controller.replay.recorded_turns import RecordedTurns
from ddpm_controller.robots.lead import ACTION_LATENCY_KEY
from ddpm_controller.robots.outputs import JOINT_STATE, JOINT_TRAJECTORY, RobotOutput
from ddpm_controller.robots.robot import COMMANDS_TOPIC, Robot
from ddpm_controller.robots.robot_description import Descriptions
from ddpm_controller.robots.streams import STRING, StreamSource
from ddpm_controller.types import Memory, Observation

CHUNK_TOPIC = "controller/action_chunk"
MEMORY_TOPIC = "controller/memory"
STATUS_TOPIC = "controller/status"
_ARRIVAL_S = 0.1
"""A message without a stamp comes to the controller and to the recorder within this time."""
_OWN_TOPICS = {
    CHUNK_TOPIC: "ddpm_msgs/msg/ActionChunk",
    MEMORY_TOPIC: "ddpm_msgs/msg/Memory",
    STATUS_TOPIC: "ddpm_msgs/msg/ControllerStatus",
}
_Role = StreamSource | RobotOutput | str
PARAMETERS_KEY = "controller_parameters"
"""Key of the bag's custom data: JSON of the controller's parameters while it was recorded."""
LOST_KEY = "lost_messages"
"""Key of the bag's custom data: JSON of topic -> messages that were lost while recording."""


@dataclass(frozen=True)
class RecordedChunk:
    """One chunk that was taken over, and all that it was made from.

    Attributes:
        takeover_s: Tick at which it was taken over.
        requested_s: Tick at which it was asked for.
        start_s: Moment of its first row.
        joint_names: One per column.
        rows: (Ta, Da) float64.
        plan_number: Number of the plan since the run began.
        seed: Seed of the run.
        checkpoint_hash: Checkpoint hash of the policy.
        settings: Settings of the policy as it was run, by name.
        num_inference_steps: Denoising steps.
        expected_delay_s: Time that the plan was expected to take.
        window: Moments, oldest first, each with the acquisition time per stream.
        masked: Streams that it was planned without.
        elements: For each moment, "stream/element" -> acquisition time, of streams whose elements
            came in several messages.
        engine: What computed it; torch in a bag of before there was a choice.
    """

    takeover_s: float
    requested_s: float
    start_s: float
    joint_names: tuple[str, ...]
    rows: np.ndarray
    plan_number: int
    seed: int
    checkpoint_hash: str
    settings: Mapping[str, float | str]
    num_inference_steps: int
    expected_delay_s: float
    window: tuple[tuple[float, Mapping[str, float]], ...]
    masked: tuple[str, ...] = ()
    elements: tuple[Mapping[str, float], ...] = ()
    engine: str = "torch"


@dataclass(frozen=True)
class RecordedCommand:
    """One command: its tick, and positions (Da,) in the order of the robot file.

    Attributes:
        stamp_s: The tick.
        position: (Da,).
        motion: The same with velocity and acceleration; None where the bag has none.
    """

    stamp_s: float
    position: np.ndarray
    motion: Motion | None = None

    def repeats(self, other: "RecordedCommand") -> bool:
        """Whether it is ``other``, sent once more."""
        same = np.array_equal(self.position, other.position)
        return self.stamp_s == other.stamp_s and bool(same)


@dataclass(frozen=True)
class RecordedStatus:
    """What the controller did from a tick on, until the next status.

    Attributes:
        stamp_s: The tick.
        verdict: State and reason.
        control_rate_hz: Rate of the commands.
        checkpoint_hash: Checkpoint hash of the policy.
        plan_number: Number of the plan in force; 0 also where there is none.
    """

    stamp_s: float
    verdict: Verdict
    control_rate_hz: float
    checkpoint_hash: str = ""
    plan_number: int = 0


@dataclass
class RecordedRun:
    """One bag.

    Attributes:
        bag: Where it came from.
        robot: The robot that was recorded.
        values: Stream -> acquisition time -> value; NaN of what no message of that time has.
        chunks: In the order of take-over.
        commands: In the order of recording.
        statuses: In the order of recording.
        limits: From robot_description; None when it was not recorded.
        described: Those of each robot_description, in the order of recording.
        parameters: Field -> value of the controller's parameters, as ``ControllerParameters`` has
            them; empty when they were not recorded.
        has_parameters: Whether the controller answered a recorder that asked for its parameters;
            true in bags from before they were recorded, false of a storage file alone in which
            nothing is noted of its recording.
        lost: Topic -> messages that were lost while recording, where any.
        is_whole: Whether the recorder has finished the bag.
        oldest_s: Oldest stamp in the bag; infinite before the first.
        newest_s: Newest stamp in the bag so far.
        memories: Tick of take-over and plan number -> what the policy remembered when it was
            asked; bags from before have none.
        turns: Stream with joints that are reported within one turn -> its turns.
        outputs: What each output was sent, where no single one is sent all.
        descriptions: What the bag has of the robot description.
    """

    bag: Path
    robot: Robot
    values: dict[str, dict[float, np.ndarray]] = field(default_factory=dict)
    chunks: list[RecordedChunk] = field(default_factory=list)
    commands: list[RecordedCommand] = field(default_factory=list)
    statuses: list[RecordedStatus] = field(default_factory=list)
    limits: JointLimits | None = None
    described: list[JointLimits] = field(default_factory=list)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    memories: dict[tuple[float, int], Memory] = field(default_factory=dict)
    turns: dict[str, RecordedTurns] = field(default_factory=dict)
    has_parameters: bool = True
    lost: Mapping[str, int] = field(default_factory=dict)
    is_whole: bool = True
    oldest_s: float = math.inf
    newest_s: float = 0.0
    outputs: RecordedOutputs = field(default_factory=lambda: RecordedOutputs(()))
    _ahead: list[RecordedCommand] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.descriptions = Descriptions(self.robot.descriptions)

    def receive(self, points: list[RecordedCommand]) -> None:
        """Take the points of one more message; those that nothing can replace are commands.

        A message of several points replaces what the one before has at and behind its first
        point. In lockstep an answer is sent again, as it was, where the world may not have
        received it.
        """
        commands = [each for each in self._ahead if each.stamp_s < points[0].stamp_s]
        self._ahead = points if len(points) > 1 else []
        for command in commands + points if len(points) == 1 else commands:
            if not self.commands or not command.repeats(self.commands[-1]):
                self.commands.append(command)

    def memory(self, chunk: RecordedChunk) -> Memory | None:
        """Return what a chunk was planned from beside its window; None where it is not there."""
        return self.memories.get((chunk.takeover_s, chunk.plan_number))

    def window(self, chunk: RecordedChunk) -> tuple[Observation, ...]:
        """Return the observations that a chunk was planned from.

        Raises:
            BagError: One of them is not in the bag.
        """
        elements = chunk.elements or ({},) * len(chunk.window)
        begins = {name: self._begin_of_turns(name, chunk) for name in self.turns}
        # Optional streams that had not come.
        never = {n for _, s in chunk.window for n in s if s[n] == NEVER_S} & {*chunk.masked}
        shapes = {each.name: each.shape for each in self.robot.stream_specs}
        return tuple(
            Observation(
                stamp_s,
                {
                    name: self._seen(name, self._stamps_s(name, source_s, own_s), begins)
                    for name, source_s in sources_s.items()
                    if name not in never
                }
                | {name: np.full(shapes[name], math.nan) for name in never},
                dict(sources_s),
            ).without(chunk.masked)
            for (stamp_s, sources_s), own_s in zip(chunk.window, elements, strict=True)
        )

    def _seen(
        self, name: str, stamps_s: Sequence[float], begins: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        value = self._value(name, stamps_s)
        return self.turns[name].seen(value, stamps_s, begins[name]) if name in begins else value

    def _begin_of_turns(self, name: str, chunk: RecordedChunk) -> np.ndarray:
        """Return the turns (D,) of a stream when the run of ``chunk`` began."""
        before = [c for c in self.chunks if c.takeover_s <= chunk.takeover_s and c.window]
        first = next((c for c in reversed(before) if c.plan_number == 0), None)
        turns, newest = self.turns[name], first or chunk
        own_s = newest.elements[-1] if newest.elements else {}
        stamps_s = self._stamps_s(name, newest.window[-1][1][name], own_s)
        if first is not None:
            return turns.at(stamps_s)
        reported = self._value(name, stamps_s)
        return turns.begin_before(stamps_s, reported, chunk.joint_names, chunk.rows[0])

    def _stamps_s(
        self, name: str, stamp_s: float, elements_s: Mapping[str, float]
    ) -> Sequence[float]:
        """Return the acquisition time of each element of a stream, or one for all."""
        stream = next((s for s in self.robot.streams if s.spec.name == name), None)
        if stream is not None and stream.counts_from_arrival:
            return [_nearest(list(self.values[name]), stamp_s)]
        names = () if stream is None else stream.spec.names
        stamps_s = [elements_s.get(f"{name}/{each}", stamp_s) for each in names]
        return stamps_s if len(set(stamps_s)) > 1 else [stamp_s]

    def _value(self, name: str, stamps_s: Sequence[float]) -> np.ndarray:
        """Return a value as it was put together from the messages of its elements."""
        if len(stamps_s) == 1:
            return self._of_message(name, stamps_s[0])
        rows = [self._of_message(name, each_s, only=i) for i, each_s in enumerate(stamps_s)]
        return np.array([row[i] for i, row in enumerate(rows)])

    def _of_message(self, name: str, stamp_s: float, only: int | None = None) -> np.ndarray:
        """Return what came with a stamp; it or its element ``only`` must be there."""
        values = self.values.get(name, {})
        if values and any(s.spec.name == name and s.is_text for s in self.robot.streams):
            # Sent without a stamp, it came to the controller and to the recorder within moments,
            # or before the recording began.
            stamp_s = min(values, key=lambda each_s: abs(max(each_s, self.oldest_s) - stamp_s))
        value = values.get(stamp_s)
        asked = value if value is None or only is None else value[only]
        if asked is None or np.isnan(asked).any():
            why = "the recorder lost it"
            if stamp_s < min(values, default=math.inf):
                why = "it came before the recorder had found the topic"
            raise BagError(
                f"bag {self.bag}: the message of {name} stamped {stamp_s:.9f} s, which a plan was "
                f"made from, is not in it: {why}"
            )
        assert value is not None
        return value


def read_run(bag: Path, robot: Robot) -> RecordedRun:
    """Read a bag of a running controller.

    Raises:
        BagError: The bag is damaged, or nothing of a controller was recorded.
    """
    run = RecordedRun(bag, robot, {stream.spec.name: {} for stream in robot.streams})
    run.outputs = RecordedOutputs(robot.outputs)
    with OpenBag(bag) as source:
        recorded = _noted(source, PARAMETERS_KEY)
        run.parameters = values_from(recorded)
        noted = bool(source.provenance) or not bag.is_file()
        run.has_parameters = noted and set(recorded) != {ACTION_LATENCY_KEY}
        run.lost = _noted(source, LOST_KEY)
        run.is_whole = source.is_whole
        roles, reader = _roles(source, robot), StreamReader(robot.streams)
        for message in source.messages(roles):
            try:
                for role in roles[message.topic]:
                    _keep(run, reader, role, message)
            except (ValueError, AttributeError, KeyError, IndexError) as error:
                # A message of another release lacks a field, or has a number that is no state.
                raise BagError(f"bag {bag}, topic {message.topic}: {one_line(error)}") from error
    run.turns = {
        spec.name: RecordedTurns.of(spec, run.values[spec.name])
        for spec in robot.stream_specs
        if spec.wraps
    }
    if not run.chunks:
        raise BagError(
            f"bag {bag} has no plan of a controller; record {CHUNK_TOPIC}, {STATUS_TOPIC}, "
            f"{', '.join(robot.descriptions)}, the streams and the command, as `record` does"
        )
    return run


def _noted(source: OpenBag, key: str) -> dict[str, Any]:
    """Return what was noted as JSON in the bag's custom data; empty where nothing was.

    Raises:
        BagError: It is damaged.
    """
    text = source.provenance.get(key, "{}")
    try:
        recorded = parsed_json(str(text))
        if not isinstance(recorded, dict):
            raise ValueError("it has no names with values")
        return recorded
    except (ValueError, TypeError) as error:
        raise BagError(
            f"bag {source.folder}: {key} in its metadata.yaml cannot be read "
            f"({one_line(error)}): copy the bag again"
        ) from None


def _roles(source: OpenBag, robot: Robot) -> dict[str, list[_Role]]:
    """Return recorded topic -> what it is to a run: one thing, or of several streams."""
    wanted: list[tuple[str, str, _Role]] = [
        *((each.topic, s.type, each) for s in robot.streams for each in s.sources),
        *((topic, kind, topic) for topic, kind in _OWN_TOPICS.items()),
        *((topic, STRING, topic) for topic in robot.descriptions),
        (robot.commands_topic, JOINT_TRAJECTORY, "command"),
    ]
    if robot.commands_topic == COMMANDS_TOPIC:
        wanted += [
            (each.mirror_topic, JOINT_STATE, each)
            if each.is_action
            else (each.topic, each.type, each)
            for each in robot.outputs
        ]
    roles: dict[str, list[_Role]] = {}
    for name, kind, role in wanted:
        topic = resolve_topic(name, source.topics)
        if topic is not None and source.topics[topic] != kind:
            raise BagError(
                f"bag {source.folder}: {topic} has type {source.topics[topic]}, a run has {kind}: "
                "name the robot file of the recording"
            )
        if topic is not None:
            roles.setdefault(topic, []).append(role)
    return roles


def _keep(run: RecordedRun, reader: StreamReader, role: _Role, recorded: RecordedMessage) -> None:
    message = recorded.message
    if recorded.header_ns:
        run.oldest_s = min(run.oldest_s, recorded.header_ns * 1e-9)
        run.newest_s = max(run.newest_s, recorded.header_ns * 1e-9)
    if isinstance(role, StreamSource):
        _keep_observation(run, reader, role, recorded)
    elif isinstance(role, RobotOutput):
        run.outputs.add(role, recorded.stamp_ns * 1e-9, message)
    elif role == CHUNK_TOPIC:
        run.chunks.append(_chunk(message))
    elif role == MEMORY_TOPIC:
        key = seconds(message.header.stamp), int(message.plan_number)
        run.memories[key] = _present(memory_from(message))
    elif role == STATUS_TOPIC:
        verdict = Verdict(State(message.state), Reason(message.reason), message.text)
        stamp_s = seconds(message.header.stamp)
        rate_hz, checkpoint_hash = message.control_rate_hz, str(message.checkpoint_hash)
        number = int(message.plan_number)
        run.statuses.append(RecordedStatus(stamp_s, verdict, rate_hz, checkpoint_hash, number))
    elif role in run.robot.descriptions:
        if run.descriptions.take(role, message.data):
            run.limits = run.robot.limits(run.descriptions.text)
            run.described.append(run.limits)
    elif role == "command":
        run.receive(points_from(message, run.robot))
        run.outputs.add_whole(message)


def _keep_observation(
    run: RecordedRun, reader: StreamReader, source: StreamSource, recorded: RecordedMessage
) -> None:
    stream = source.stream
    came_s = run.newest_s if stream.is_text else recorded.log_s
    try:
        found = reader.read(source, recorded.message, came_s)
    except ConversionError:
        if stream.fields:  # without a value at that moment: the controller did not use it either
            return
        raise
    if found is None:
        return
    value, values = found.value, run.values[stream.spec.name]
    before = values.get(found.stamp_s)
    if found.present is not None and before is not None:  # another part of the same moment
        value = np.where(np.isnan(before), value, before)
    values[found.stamp_s] = value


def _nearest(stamps_s: Sequence[float], stamp_s: float) -> float:
    """Return the nearest of sorted stamps, if it is near enough to be of the same message."""
    place = bisect.bisect_left(stamps_s, stamp_s)
    near_s = stamps_s[max(place - 1, 0) : place + 1]
    found_s = min(near_s, key=lambda each: abs(each - stamp_s), default=math.inf)
    return found_s if abs(found_s - stamp_s) < _ARRIVAL_S else stamp_s


def points_from(message: Any, robot: Robot) -> list[RecordedCommand]:
    """Return the points of a JointTrajectory with their moments; the first is at its stamp.

    Raises:
        ConversionError: Names or sizes are not those of the robot file.
    """
    wanted = robot.action_spec.joint_names
    positions_from(message, wanted)  # refuses what does not fit
    names = list(message.joint_names)
    columns = [names.index(name) for name in wanted]
    begin_ns = _nanoseconds(message.header.stamp)
    first_ns = _nanoseconds(message.points[0].time_from_start)
    found = []
    for point in message.points:
        moment_ns = begin_ns + _nanoseconds(point.time_from_start) - first_ns
        rows = [
            np.asarray(each, dtype=np.float64)[columns]
            for each in (point.positions, point.velocities, point.accelerations)
            if len(each) == len(names)
        ]
        motion = Motion(*rows) if len(rows) == 3 else None
        moment_s = float(moment_ns // 10**9 + moment_ns % 10**9 * 1e-9)
        found.append(RecordedCommand(moment_s, rows[0], motion))
    return found


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _chunk(message: Any) -> RecordedChunk:
    names = list(message.stream_names)
    sources_s = [seconds(stamp) for stamp in message.source_stamps]
    rows = np.asarray(message.rows, dtype=np.float64)
    window = tuple(
        (seconds(stamp), dict(zip(names, sources_s[i * len(names) :], strict=False)))
        for i, stamp in enumerate(message.window_stamps)
    )
    return RecordedChunk(
        takeover_s=seconds(message.header.stamp),
        requested_s=seconds(message.requested),
        start_s=seconds(message.start),
        joint_names=tuple(message.joint_names),
        rows=rows.reshape(message.num_rows, len(message.joint_names)),
        plan_number=int(message.plan_number),
        seed=int(message.seed),
        checkpoint_hash=str(message.checkpoint_hash),
        settings=_settings(message),
        num_inference_steps=int(message.num_inference_steps),
        expected_delay_s=float(getattr(message, "expected_delay_s", 0.0)),
        window=window,
        masked=tuple(getattr(message, "masked_streams", ())),
        elements=element_stamps_from(message, len(window)),
        engine=str(getattr(message, "engine", "")) or "torch",
    )


def _present(memory: Memory) -> Memory:
    """Return a memory under the names of this release: a state had its own for the same chunk."""
    older = {"recalled_rows": "previous_rows", "recalled_start_s": "previous_start_s"}
    return {older.get(name, name): value for name, value in memory.items()}


def _settings(message: Any) -> dict[str, float | str]:
    """Return how the policy was run; bags of earlier releases have a field for each setting."""
    if hasattr(message, "override_names"):
        return dict(zip(message.override_names, message.override_values, strict=True))
    if not message.sampler:  # it had no denoiser, and so none of these
        return {}
    found: dict[str, float | str] = {
        "sampler": str(message.sampler),
        "num_inference_steps": int(message.num_inference_steps),
        # Bags from before seams have neither.
        "seam": str(getattr(message, "seam", "")) or "switch",
        "surprise": float(getattr(message, "surprise_limit", 0.0)),
    }
    scale = float(getattr(message, "transition_scale", math.nan))
    return found if math.isnan(scale) else {**found, "transition_scale": scale}
