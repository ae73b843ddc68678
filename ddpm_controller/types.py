"""The nouns that every room shares: what is seen, what is done, and what a plan is.

Values only, numpy only. Arrays are taken as they come and must not be changed afterwards.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

Memory = Mapping[str, np.ndarray]
"""What survives between two plans of one run; arrays only, so that it can be saved anywhere."""
_POSITION_UNITS = {"rad", "m"}
ActionKind = Literal["joint_position", "joint_velocity", "twist", "pose"]
"""What a column of an action commands."""
RelativeTo = Literal["none", "measured", "commanded"]
"""What a column is learned relative to; what is sent is absolute."""


@dataclass(frozen=True)
class StreamSpec:
    """One observation stream as the policy sees it.

    Attributes:
        name: Key in ``Observation.values``, for example ``joint_state`` or ``camera_fixed``.
        kind: ``vector`` (float64) or ``image`` (uint8, RGB).
        shape: (D,) of a vector, (H, W, 3) of an image.
        rate_hz: Rate at which the source is expected to publish; 0 of a vector that is published
            only when there is something new, and holds until then.
        names: Element names of a vector in order (joint names); empty for an image.
        units: Unit of each element of a vector, SI; empty for an image.
        wraps: Elements that turn without end and are reported within one turn; what is observed
            counts on through the seam, from where a run or an episode begins.
        depth_range_m: Distances that 1 and 255 of a depth image stand for, where 0 is no
            measurement; None: an image of colour or grey, or a vector.
    """

    name: str
    kind: Literal["vector", "image"]
    shape: tuple[int, ...]
    rate_hz: float
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    wraps: tuple[str, ...] = ()
    depth_range_m: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.depth_range_m is not None:
            self._check_depth(*self.depth_range_m)
        if self.kind == "vector" and self.shape != (len(self.names),):
            raise ValueError(
                f"stream {self.name!r}: a vector of shape {self.shape} needs one name per "
                f"element, got {len(self.names)}: {list(self.names)}"
            )
        if self.kind == "vector" and len(self.units) != len(self.names):
            raise ValueError(
                f"stream {self.name!r}: {len(self.names)} names but {len(self.units)} units"
            )
        if self.kind == "image" and (len(self.shape) != 3 or self.shape[2] != 3):
            raise ValueError(f"stream {self.name!r}: an image is (H, W, 3), got {self.shape}")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"stream {self.name!r}: names repeat in {list(self.names)}")
        if not (self.rate_hz > 0 or (self.rate_hz == 0 and self.kind == "vector")):
            raise ValueError(f"stream {self.name!r}: rate_hz must be above 0, got {self.rate_hz}")
        units = dict(zip(self.names, self.units, strict=True))
        if wrong := [name for name in self.wraps if units.get(name) != "rad"]:
            raise ValueError(
                f"stream {self.name!r}: wraps names {wrong}, which must be among its names "
                f"{list(self.names)} and in rad: correct the robot file"
            )

    def _check_depth(self, near_m: float, far_m: float) -> None:
        if self.kind != "image":
            raise ValueError(f"stream {self.name!r}: depth_range_m is for images")
        if not 0 <= near_m < far_m < math.inf:
            raise ValueError(
                f"stream {self.name!r}: depth_range_m needs 0 <= nearest < farthest in m, got "
                f"[{near_m}, {far_m}]"
            )

    @property
    def holds(self) -> bool:
        """Whether a value counts until another one comes, however long that takes."""
        return self.rate_hz == 0

    def units_of(self, names: Sequence[str]) -> set[str]:
        """Return the units of some elements of a vector."""
        return {unit for name, unit in zip(self.names, self.units, strict=True) if name in names}


def measuring_stream(
    streams: Sequence[StreamSpec], joint_names: Sequence[str]
) -> StreamSpec | None:
    """Return the stream that measures where all of these joints are; None without one.

    A stream of their velocities has the same names, but other units than rad and m.
    """
    vectors = [stream for stream in streams if stream.kind == "vector"]
    found = [stream for stream in vectors if set(joint_names) <= set(stream.names)]
    measured = (each for each in found if each.units_of(joint_names) <= _POSITION_UNITS)
    return next(measured, found[0] if found else None)


@dataclass(frozen=True)
class ActionSpec:
    """What one row of a chunk commands.

    Attributes:
        joint_names: One per column, in order.
        units: One per column, SI (``rad``, ``m``).
        period_s: Time from one row to the next; the policy's own clock.
        kinds: What each column commands; left out: positions of joints.
        relative_to: What each column is learned relative to; left out: nothing.
    """

    joint_names: tuple[str, ...]
    units: tuple[str, ...]
    period_s: float
    kinds: tuple[ActionKind, ...] = ()
    relative_to: tuple[RelativeTo, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.joint_names)
        if not self.joint_names or len(set(self.joint_names)) != count:
            raise ValueError(f"joint names must be unique and not empty: {list(self.joint_names)}")
        if len(self.units) != count:
            raise ValueError(f"{count} joints but {len(self.units)} units")
        # Filled in, so that a checkpoint from before these fields equals a robot of today.
        object.__setattr__(self, "kinds", self.kinds or ("joint_position",) * count)
        object.__setattr__(self, "relative_to", self.relative_to or ("none",) * count)
        if len(self.kinds) != count or len(self.relative_to) != count:
            raise ValueError(
                f"{count} joints but {len(self.kinds)} kinds and relative_to for "
                f"{len(self.relative_to)}"
            )
        if not self.period_s > 0:
            raise ValueError(f"period_s must be above 0, got {self.period_s}")

    @property
    def are_velocities(self) -> np.ndarray:
        """Which columns are velocities, (Da,) bool: 0 keeps the robot where it is."""
        return np.array([kind in ("joint_velocity", "twist") for kind in self.kinds])

    @property
    def measured_names(self) -> tuple[str, ...]:
        """Columns of which a stream measures where the robot is: all but those of a twist."""
        pairs = zip(self.joint_names, self.kinds, strict=True)
        return tuple(name for name, kind in pairs if kind != "twist")


@dataclass(frozen=True)
class Measuring:
    """Where it is measured what the columns of an action move.

    Attributes:
        streams: Streams that measure a column, each once.
        places: Number of the stream of each column, and of the element there; None: it is not
            measured, as a column of a twist.
    """

    streams: tuple[StreamSpec, ...]
    places: tuple[tuple[int, int] | None, ...]

    @cached_property
    def _columns_of_one(self) -> list[int] | None:
        """Elements of the only stream, where it measures all columns; None: it does not."""
        found = [place[1] for place in self.places if place is not None]
        return found if len(self.streams) == 1 and len(found) == len(self.places) else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the streams."""
        return tuple(stream.name for stream in self.streams)

    @property
    def are_measured(self) -> np.ndarray:
        """Which columns are, (Da,) bool."""
        return np.array([place is not None for place in self.places])

    @property
    def units(self) -> tuple[str, ...]:
        """Unit in which each column is measured; empty where it is not."""
        return tuple(
            "" if place is None else self.streams[place[0]].units[place[1]]
            for place in self.places
        )

    def row(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the columns (..., Da) of streams (..., D) by name; NaN: not there."""
        if self._columns_of_one is not None and self.names[0] in values:
            alone: np.ndarray = values[self.names[0]][..., self._columns_of_one]
            return alone
        known = [values.get(name) for name in self.names]
        some = next((each for each in known if each is not None), np.zeros(0))
        found = np.full((*some.shape[:-1], len(self.places)), np.nan)
        for column, place in enumerate(self.places):
            elements = None if place is None else known[place[0]]
            if place is not None and elements is not None:
                found[..., column] = elements[..., place[1]]
        return found


def measuring(streams: Sequence[StreamSpec], action_spec: ActionSpec) -> Measuring | None:
    """Return what measures the columns of an action; None where one is measured by no stream.

    A stream that has all goes before several that have some each.
    """
    names, wanted = action_spec.joint_names, action_spec.measured_names
    whole = measuring_stream(streams, wanted) if wanted else None
    chosen = {name: whole or measuring_stream(streams, [name]) for name in wanted}
    if None in chosen.values():
        return None
    used = tuple(dict.fromkeys(each for each in chosen.values() if each is not None))
    return Measuring(used, tuple(_place(name, chosen.get(name), used) for name in names))


def _place(
    name: str, stream: StreamSpec | None, used: Sequence[StreamSpec]
) -> tuple[int, int] | None:
    return None if stream is None else (used.index(stream), stream.names.index(name))


@dataclass(frozen=True)
class Observation:
    """Every stream, sampled at one moment of the policy's clock.

    Attributes:
        stamp_s: The moment.
        values: Stream name -> (D,) float64 or (H, W, 3) uint8: the newest at ``stamp_s``.
        source_stamps_s: Stream name -> acquisition time of that value, at most ``stamp_s``; of a
            vector that several messages bring, that of its oldest element.
        masked: Streams whose values mean nothing: NaN of a vector, black of an image.
        element_stamps_s: Vector stream whose elements came with different stamps -> element name
            -> its acquisition time.
    """

    stamp_s: float
    values: Mapping[str, np.ndarray]
    source_stamps_s: Mapping[str, float] = field(default_factory=dict)
    masked: tuple[str, ...] = ()
    element_stamps_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def without(self, names: tuple[str, ...]) -> "Observation":
        """Return the same with the streams ``names`` masked."""
        blank = {
            name: np.zeros_like(value) if value.dtype == np.uint8 else np.full_like(value, np.nan)
            for name, value in self.values.items()
            if name in names
        }
        return replace(self, values={**self.values, **blank}, masked=names)


@dataclass(frozen=True)
class ActionChunk:
    """Rows of commands in absolute time: positions, or what the action's kinds are.

    Row ``i`` is the command for the moment ``start_s + i * period_s``.

    Attributes:
        start_s: Moment of the first row.
        period_s: Time between rows.
        joint_names: One per column.
        actions: (Ta, Da) float64, SI units.
    """

    start_s: float
    period_s: float
    joint_names: tuple[str, ...]
    actions: np.ndarray

    def __post_init__(self) -> None:
        if self.actions.ndim != 2 or self.actions.shape[1] != len(self.joint_names):
            raise ValueError(
                f"actions of shape {self.actions.shape} do not fit {len(self.joint_names)} joints"
            )

    @property
    def end_s(self) -> float:
        """Moment of the last row."""
        return self.start_s + (len(self.actions) - 1) * self.period_s

    def at(self, moments_s: np.ndarray) -> np.ndarray:
        """Return what is commanded at moments (N,), (N, Da): linear between two rows.

        Before the first row it is the first, behind the last row the last.
        """
        return rows_at(self.actions, (np.asarray(moments_s) - self.start_s) / self.period_s)


def rows_at(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return rows (Ta, Da) at places (N,), counted in rows from the first, (N, Da).

    Linear between two rows; before the first row it is the first, behind the last row the last.
    """
    index = np.arange(len(rows))
    return np.stack([np.interp(places, index, column) for column in rows.T], axis=1)


@dataclass(frozen=True)
class Plan:
    """Answer of a policy: the chunk, the memory after it, and things to look at."""

    chunk: ActionChunk
    memory: Memory
    traces: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Episode:
    """One recorded run on the policy's clock.

    Attributes:
        stamps_s: (N,) sample moments, ``period_s`` apart.
        values: Stream name -> (N, D) float64 or (N, H, W, 3) uint8.
        actions: (N, Da) float64: the command in force at each moment.
        source: Where it came from, for messages and provenance.
        success: As marked by the recording; None when unknown.
        digests: sha256 of the bytes of the actions and of each stream, where they are known, so
            that nothing has to be read for them.
        leads_s: Output whose actions are where joints were measured -> by how much earlier they
            count, s; empty where commands were recorded.
    """

    stamps_s: np.ndarray
    values: Mapping[str, np.ndarray]
    actions: np.ndarray
    source: str = ""
    success: bool | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    leads_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {"actions": len(self.actions), **{k: len(v) for k, v in self.values.items()}}
        wrong = {k: n for k, n in lengths.items() if n != len(self.stamps_s)}
        if wrong:
            raise ValueError(f"{self.source}: {len(self.stamps_s)} stamps but {wrong}")

    def __len__(self) -> int:
        return len(self.stamps_s)


@dataclass(frozen=True)
class Trajectory:
    """Points that a robot's trajectory controller interpolates in time.

    Widths are not compared with the names: a message may come from anybody, and whoever takes it
    refuses what does not fit.

    Attributes:
        stamp_s: Moment that ``times_s`` count from; 0: the first update after the arrival.
        joint_names: One per column.
        times_s: (N,) of the points, from ``stamp_s``.
        positions: (N, Da) rad or m.
        velocities: (N, Da) rad/s or m/s; None: the message has none.
        accelerations: (N, Da) rad/s^2 or m/s^2; None: the message has none.
    """

    stamp_s: float
    joint_names: tuple[str, ...]
    times_s: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None = None
    accelerations: np.ndarray | None = None

    def __post_init__(self) -> None:
        rows = (self.positions, self.velocities, self.accelerations)
        wrong = [each.shape for each in rows if each is not None and len(each) != self.size]
        if wrong or self.times_s.ndim != 1:
            raise ValueError(
                f"times of shape {self.times_s.shape} need one row each, got rows of {wrong}"
            )

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.times_s)

    @property
    def end_s(self) -> float:
        """Moment of the last point, if the stamp is not 0."""
        return self.stamp_s + float(self.times_s[-1])
