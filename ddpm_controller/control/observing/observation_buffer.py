"""The newest of every stream, sampled on the policy's own clock."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.control.observing.stream_history import StreamHistory
from ddpm_controller.control.observing.turns import TurnCounter, TurnError
from ddpm_controller.types import Observation, StreamSpec

_SAME_MOMENT_S = 1e-6
"""Sums of periods are off by rounding: a value of "now - 0.1 s" must not be missed for that."""
NEVER_S = 0.0
"""In place of the acquisition time of an optional stream that has not come."""


class ObservationError(ValueError):
    """A value that must not be used: not finite, of another size, or out of order."""


class OutOfOrderError(ObservationError):
    """A value older than the newest of its stream."""


class WholeTurnError(ObservationError):
    """The turns of a joint cannot be counted as the robot file has it."""


class ObservationBuffer:
    """Stamped values per stream, and what was newest at any moment.

    Of a stream that holds, see ``StreamSpec``, the last value that came always stays: it would not
    come again. Its order is that of coming, whatever the stamps are. Joints that are reported
    within one turn are counted through the seam, see ``begin_turns``.

    The elements of a vector may come in several messages, as the joints of an arm and of its
    gripper do: at any moment a vector has the newest of each, and is as old as the oldest of
    these.

    Args:
        streams: What is observed.
        max_ages_s: Stream name -> age beyond which it is stale.
        history_s: How far back ``sample`` can look; ``math.inf`` keeps everything.
        filters: Vector stream -> what stands in for its newest value in ``sample``; none for most.
        optional: Vector streams that may never come; until then they are NaN, of ``NEVER_S``.

    Attributes:
        history_s: May be set at any time.
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        max_ages_s: Mapping[str, float],
        history_s: float = math.inf,
        filters: Mapping[str, StreamFilter] | None = None,
        optional: Sequence[str] = (),
    ) -> None:
        missing = [stream.name for stream in streams if stream.name not in max_ages_s]
        if missing:
            raise ValueError(f"max_ages_s has no entry for {missing}; it has {list(max_ages_s)}")
        self._streams = {stream.name: stream for stream in streams}
        self._filters = dict(filters or {})
        vectors = [stream.name for stream in streams if stream.kind == "vector"]
        if wrong := sorted(set(self._filters) - set(vectors)):
            raise ValueError(f"filters are for {wrong}, but the vector streams are {vectors}")
        self._max_ages_s = dict(max_ages_s)
        self._optional = frozenset(optional) & set(vectors)
        self.history_s = history_s
        self._now_s = -math.inf
        self._not_before_s = -math.inf
        self._histories = {s.name: StreamHistory(len(s.names) or 1) for s in streams}
        turning = [each for each in streams if "rad" in each.units and not each.holds]
        self._turns = {each.name: TurnCounter(each) for each in turning}

    def begin_turns(self) -> bool:
        """Count turns from the newest values on; return whether that changes values.

        A reset alone keeps the count, since the motion that is commanded continues then.
        """
        changes = False
        for name, turns in self._turns.items():
            history = self._histories[name]
            before = turns.begin(np.isfinite(history.newest_s))
            if before.any():
                changes = True
                history.move(-before)
        return changes

    def reset(self, not_before_s: float | None = None) -> None:
        """Begin a run: forget what is older than ``not_before_s``, and everything when None.

        What comes later and is older is ignored too.
        """
        self._now_s = -math.inf
        self._not_before_s = -math.inf if not_before_s is None else not_before_s
        before_s = math.inf if not_before_s is None else not_before_s
        for name, history in self._histories.items():
            history.begin(before_s, keep_last=self._streams[name].holds)

    def ignores(self, name: str, stamp_s: float) -> bool:
        """Return whether a value of this moment is from before the run, and would not be kept."""
        return stamp_s < self._not_before_s and not self._streams[name].holds

    def add(
        self, name: str, stamp_s: float, value: np.ndarray, present: np.ndarray | None = None
    ) -> bool:
        """Keep one value; return False when it is a repeat or from before the run.

        Args:
            name: Stream.
            stamp_s: Acquisition time.
            value: (D,) of a vector stream, (H, W, 3) uint8 of an image stream.
            present: (D,) which elements of a vector it has; None: all.

        Raises:
            ObservationError: The value is not finite or has another shape, or jumps by a turn.
            OutOfOrderError: It is older than the newest.
        """
        stream = self._streams[name]
        value = _checked(stream, value, present)
        history = self._histories[name]
        if not math.isfinite(stamp_s):
            raise ObservationError(f"{name}: stamp {stamp_s} is not a time")
        if stream.holds:
            history.drop_from(stamp_s)
        elif self.ignores(name, stamp_s):
            return False
        newer = history.newer(stamp_s, present)
        if not newer.any():
            behind_s = history.behind_s(stamp_s, present)
            if behind_s > 0:
                raise OutOfOrderError(
                    f"{name}: out of order, {behind_s:.3f} s older than the newest"
                )
            return False
        if name in self._turns:
            try:
                value = self._turns[name].counted(value, stamp_s, newer)
            except TurnError as error:
                raise WholeTurnError(str(error)) from None
        history.add(stamp_s, value, newer)
        history.forget_before(history.stamps_s[-1] - self.history_s)
        return True

    def advance(self, now_s: float) -> bool:
        """Note the time; when it went back, as with a looped bag, forget all and return True."""
        went_back = now_s < self._now_s
        if went_back:
            self.reset()
            for history in self._histories.values():  # what is left holds, now as before
                history.move_last(now_s)
        self._now_s = now_s
        return went_back

    def sample(self, stamp_s: float) -> Observation | None:
        """Return the newest of every stream at ``stamp_s``; None while one has nothing.

        A value acquired less than a microsecond later counts as of the same moment.
        """
        values: dict[str, np.ndarray] = {}
        sources_s: dict[str, float] = {}
        elements_s: dict[str, Mapping[str, float]] = {}
        for name, history in self._histories.items():
            i = history.index(stamp_s + _SAME_MOMENT_S)
            if i < 0 and name in self._optional:
                values[name] = np.full(self._streams[name].shape, math.nan)
                sources_s[name] = NEVER_S
                continue
            if i < 0:
                return None
            stamps_s = history.elements_s(i)
            values[name], sources_s[name] = self._value(name, i, stamp_s), float(stamps_s.min())
            if stamps_s.max() > sources_s[name]:
                names = self._streams[name].names
                elements_s[name] = dict(zip(names, stamps_s.tolist(), strict=True))
        return Observation(stamp_s, values, sources_s, element_stamps_s=elements_s)

    def window(
        self, now_s: float, n_obs_steps: int, period_s: float
    ) -> tuple[Observation, ...] | None:
        """Return the observations at ``now_s``, ``now_s - period_s``, ...; oldest first.

        Moments from before every stream had delivered are moved up to that moment: at the
        start of a run the oldest observation is repeated. None while a stream has nothing.
        """
        needed = (each for name, each in self._histories.items() if name not in self._optional)
        complete_s = max(history.complete_s for history in needed)
        if complete_s > now_s + _SAME_MOMENT_S:
            return None
        moments_s = (now_s - i * period_s for i in reversed(range(n_obs_steps)))
        observations = [self.sample(max(moment_s, complete_s)) for moment_s in moments_s]
        found = tuple(o for o in observations if o is not None)
        return found if len(found) == n_obs_steps else None

    def newest(self, name: str, now_s: float) -> np.ndarray | None:
        """Return the newest value of a stream at ``now_s``, or None before the first."""
        found = self.newest_stamped(name, now_s)
        return None if found is None else found[1]

    def newest_stamped(self, name: str, now_s: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the stamp of each element of ``newest``, and the value."""
        history = self._histories[name]
        i = history.index(now_s + _SAME_MOMENT_S)
        return (history.elements_s(i), history.row(i)) if i >= 0 else None

    def ages(self, now_s: float) -> dict[str, float]:
        """Return the age of the newest value of every stream, s; NaN before the first.

        That of a vector is the age of its oldest element.
        """
        return {name: _age(now_s, each.oldest_s) for name, each in self._histories.items()}

    def element_ages(self, name: str, now_s: float) -> np.ndarray:
        """Return the age of the newest value of each element of a stream, (D,), s.

        Infinite before it came; an image is one element.
        """
        return now_s - self._histories[name].newest_s

    def stale(self, now_s: float) -> dict[str, float]:
        """Return the streams that are older than their maximum age, with their ages in s."""
        ages_s = self.ages(now_s)
        return {name: age for name, age in ages_s.items() if age > self._max_ages_s[name]}

    def _value(self, name: str, newest: int, stamp_s: float) -> np.ndarray:
        """Return the newest value, or what the stream's filter makes of its history."""
        history = self._histories[name]
        if name not in self._filters:
            return history.row(newest)
        chosen, first = self._filters[name], history.first_complete()
        back_s = (i * chosen.period_s for i in reversed(range(chosen.num_rows)))
        rows = (history.index(stamp_s - s + _SAME_MOMENT_S) for s in back_s)
        # Before the first value it is repeated, as at the start of a window.
        return chosen.value(np.stack([history.row(row if row >= 0 else first) for row in rows]))


def _age(now_s: float, stamp_s: float) -> float:
    return math.nan if stamp_s == -math.inf else now_s - stamp_s


def _checked(stream: StreamSpec, value: np.ndarray, present: np.ndarray | None) -> np.ndarray:
    if value.shape != stream.shape:
        raise ObservationError(
            f"{stream.name}: shape {value.shape} came, the robot file has {stream.shape}"
        )
    if stream.kind == "image":
        if value.dtype != np.uint8:
            raise ObservationError(f"{stream.name}: an image must be uint8, got {value.dtype}")
        return value
    wrong = ~np.isfinite(value) if present is None else ~np.isfinite(value) & present
    if wrong.any():
        names = [name for name, is_wrong in zip(stream.names, wrong, strict=True) if is_wrong]
        raise ObservationError(f"{stream.name}: not finite: {', '.join(names)}")
    return np.asarray(value, dtype=np.float64)
