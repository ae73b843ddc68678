"""One recording as numbers, message by message, with nothing taken out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ddpm_controller.data.commanded_motion import CommandedMotion, CommandedPoints
from ddpm_controller.data.measured_track import MeasuredTrack
from ddpm_controller.robots.outputs import RobotOutput

OTHER_CLOCK_NS = 500_000_000
"""Stamps that are off by more from the time of recording are of another clock."""
_STEP_NS = 50_000_000
_PAUSE_NS = 500_000_000
_MOST_STEPS = 20_000
_FEWEST = 5


@dataclass(frozen=True)
class Track:
    """Numbers of one stream, or of the commands of one output.

    Attributes:
        name: Name of the stream or output.
        topic: Topic as the robot file has it.
        names: Columns.
        units: Unit of each.
        log_ns: Times of recording, (N,) int64.
        stamps_ns: Own stamps, (N,) int64; 0: the message has none.
        rows: (N, D) in SI; NaN: not in this message.
        is_stamped: Whether messages of its type have a stamp.
        are_positions: Whether all columns are where joints are, which cannot jump.
        wraps: Columns that are reported within one turn.
        output: Where commands go; None of a stream.
        points: What each message commands, of positions of joints; else empty.
    """

    name: str
    topic: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    log_ns: np.ndarray
    stamps_ns: np.ndarray
    rows: np.ndarray
    is_stamped: bool = True
    are_positions: bool = True
    wraps: frozenset[int] = frozenset()
    output: RobotOutput | None = None
    points: tuple[CommandedPoints, ...] = ()

    @cached_property
    def shift_ns(self) -> int:
        """What to add to the stamps to have them by the clock of the recording."""
        known = self.stamps_ns > 0
        if not known.any():
            return 0
        late_ns = int(np.median(self.log_ns[known] - self.stamps_ns[known]))
        return late_ns if abs(late_ns) > OTHER_CLOCK_NS else 0

    @cached_property
    def times_ns(self) -> np.ndarray:
        """Moments of the rows by the clock of the recording, (N,); whatever the stamps are."""
        own = self.stamps_ns + self.shift_ns
        usable = (self.stamps_ns > 0) & (np.abs(own - self.log_ns) <= OTHER_CLOCK_NS)
        return np.where(usable, own, self.log_ns)

    @property
    def positions(self) -> list[int]:
        """Columns that cannot jump: of joints in rad or m, and not within one turn."""
        if not self.are_positions:
            return []
        pairs = enumerate(self.units)
        return [i for i, unit in pairs if unit in ("rad", "m") and i not in self.wraps]


@dataclass(frozen=True)
class Pictures:
    """Images of one stream.

    Attributes:
        name: Name of the stream.
        topic: Topic as the robot file has it.
        log_ns: Times of recording, (N,) int64.
        stamps_ns: Own stamps, (N,) int64.
        digests: A number for the content of each message, (N,); equal for equal images.
        shown: Which images have a thumbnail, (M,).
        thumbnails: (M, 8, 8, 3) float32, 0 to 255.
    """

    name: str
    topic: str
    log_ns: np.ndarray
    stamps_ns: np.ndarray
    digests: np.ndarray
    shown: np.ndarray
    thumbnails: np.ndarray


@dataclass(frozen=True)
class Part:
    """One episode of a recording, ns by the clock of the recording."""

    number: int
    begin_ns: int
    end_ns: int
    success: bool | None = None


@dataclass(frozen=True)
class Pair:
    """What was commanded beside what was measured, on one grid of moments.

    Attributes:
        command: The commands.
        state: What measures them.
        times_ns: (G,).
        commanded: (G, D).
        measured: (G, D).
        is_led: Whether a command had come, or its points had lasted, within half a second, (G,).
    """

    command: Track
    state: Track
    times_ns: np.ndarray
    commanded: np.ndarray
    measured: np.ndarray
    is_led: np.ndarray

    @property
    def step_s(self) -> float:
        """Time between two moments."""
        return float(self.times_ns[1] - self.times_ns[0]) * 1e-9


@dataclass(frozen=True)
class Recording:
    """What one bag holds.

    Attributes:
        name: Name of the bag.
        states: Streams of vectors.
        commands: Commands, one for each output that is recorded as commands.
        pictures: Streams of images.
        marked: Episodes as they are marked; empty: there are no marks.
        topics: Recorded topic -> type.
        fault: Why it cannot be read to its end; empty: it can.
        refused: Topic -> why messages of it could not be read, one text for each.
        repeated: Topic -> joints that are in one message twice.
        urdf: Its robot description; empty: it has none.
    """

    name: str
    states: tuple[Track, ...] = ()
    commands: tuple[Track, ...] = ()
    pictures: tuple[Pictures, ...] = ()
    marked: tuple[Part, ...] = ()
    topics: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    refused: Mapping[str, list[str]] = field(default_factory=dict)
    repeated: Mapping[str, list[str]] = field(default_factory=dict)
    urdf: str = ""

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Numbers of all streams and outputs."""
        return (*self.states, *self.commands)

    @cached_property
    def ends_ns(self) -> tuple[int, int]:
        """First and last moment of what is measured; (0, 0) where nothing is."""
        times = [each.times_ns for each in self.states if len(each.times_ns)]
        if not times:
            return 0, 0
        return int(max(each.min() for each in times)), int(min(each.max() for each in times))

    @property
    def parts(self) -> tuple[Part, ...]:
        """The episodes; all of it where no one is marked."""
        return self.marked or (Part(0, *self.ends_ns),)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """What was commanded beside what was measured, for each output that moves joints."""
        found = (_pair(command, self.states) for command in self.commands)
        return tuple(each for each in found if each is not None)

    def shift_of(self, moment_ns: int) -> int:
        """Return a moment of the clock of the recording by the stamps of the first stream."""
        return moment_ns - (self.states[0].shift_ns if self.states else 0)


def measured_by(command: Track, states: tuple[Track, ...]) -> tuple[Track, list[int]] | None:
    """Return the stream that measures the columns of commands, and which columns; None: none."""
    for state in states:
        if state.are_positions and set(command.names) <= set(state.names):
            columns = [state.names.index(name) for name in command.names]
            if {state.units[i] for i in columns} <= {"rad", "m"} and len(state.rows):
                return state, columns
    return None


def track_of(state: Track, columns: list[int]) -> MeasuredTrack:
    """Return some columns of a stream by the clock of the recording."""
    return MeasuredTrack.of(state.times_ns.tolist(), list(state.rows[:, columns]))


def motion_of(command: Track, track: MeasuredTrack, period_ns: int = 0) -> CommandedMotion:
    """Return the motion that the commands of a track command, by the clock of the recording."""
    moved = [
        CommandedPoints(int(at_ns), each.after_ns, each.positions, each.velocities)
        for at_ns, each in zip(command.log_ns, command.points, strict=True)
    ]
    if command.is_stamped and command.shift_ns == 0:
        moved = list(command.points)
    moved.sort(key=lambda each: each.stamp_ns)
    return CommandedMotion(moved, period_ns, track.at)


def _pair(command: Track, states: tuple[Track, ...]) -> Pair | None:
    measuring = measured_by(command, states)
    if measuring is None or not command.points:
        return None
    state, columns = measuring
    track = track_of(state, columns)
    if len(track.stamps_ns) < _FEWEST:
        return None
    begin_ns = max(int(track.stamps_ns[0]), int(command.times_ns.min()))
    end_ns = int(track.stamps_ns[-1])
    usual_ns = int(np.median(np.diff(track.stamps_ns)))
    step_ns = max(_STEP_NS, usual_ns, (end_ns - begin_ns) // _MOST_STEPS)
    times_ns = np.arange(begin_ns, end_ns + 1, step_ns)
    if len(times_ns) < _FEWEST:
        return None
    motion = motion_of(command, track, 2 * step_ns)
    commanded = np.stack([motion.at(int(each)) for each in times_ns])
    at = np.searchsorted(track.stamps_ns, times_ns, side="right") - 1
    measured = track.rows[np.maximum(at, 0)]
    return Pair(command, state, times_ns, commanded, measured, _are_led(command, times_ns))


def _are_led(command: Track, times_ns: np.ndarray) -> np.ndarray:
    """Return at which moments a command was in force that was not over for long."""
    order = np.argsort(command.times_ns, kind="stable")
    lasts_ns = np.array([int(each.after_ns[-1]) for each in command.points])
    ends_ns = np.maximum.accumulate((command.times_ns + lasts_ns)[order])
    newest = np.searchsorted(command.times_ns[order], times_ns, side="right") - 1
    return np.asarray(times_ns - ends_ns[np.maximum(newest, 0)] <= _PAUSE_NS)
