"""The newest of every stream, sampled on the policy's own clock."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.control.observing.turns import TurnCounter, TurnError
from ddpm_controller.types import Observation, StreamSpec

_SAME_MOMENT_S = 1e-6
"""Sums of periods are off by rounding: a value of "now - 0.1 s" must not be missed for that."""


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

    Args:
        streams: What is observed.
        max_ages_s: Stream name -> age beyond which it is stale.
        history_s: How far back ``sample`` can look; ``math.inf`` keeps everything.
        filters: Vector stream -> what stands in for its newest value in ``sample``; none for most.

    Attributes:
        history_s: May be set at any time.
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        max_ages_s: Mapping[str, float],
        history_s: float = math.inf,
        filters: Mapping[str, StreamFilter] | None = None,
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
        self.history_s = history_s
        self._now_s = -math.inf
        self._not_before_s = -math.inf
        self._stamps: dict[str, list[float]] = {name: [] for name in self._streams}
        self._values: dict[str, list[np.ndarray]] = {name: [] for name in self._streams}
        self._first_s = dict.fromkeys(self._streams, math.inf)
        turning = [each for each in streams if "rad" in each.units and not each.holds]
        self._turns = {each.name: TurnCounter(each) for each in turning}

    def begin_turns(self) -> bool:
        """Count turns from the newest values on; return whether that changes values.

        A reset alone keeps the count, since the motion that is commanded continues then.
        """
        changes = False
        for name, turns in self._turns.items():
            kept = self._values[name]
            before = turns.begin(keeps=bool(kept))
            if before.any():
                changes, self._values[name] = True, [value - before for value in kept]
        return changes

    def reset(self, not_before_s: float | None = None) -> None:
        """Begin a run: forget what is older than ``not_before_s``, and everything when None.

        What comes later and is older is ignored too.
        """
        self._now_s = -math.inf
        self._not_before_s = -math.inf if not_before_s is None else not_before_s
        for name, stamps in self._stamps.items():
            old = len(stamps) if not_before_s is None else bisect_left(stamps, not_before_s)
            if self._streams[name].holds:
                old = min(old, len(stamps) - 1)
            del stamps[: max(old, 0)], self._values[name][: max(old, 0)]
            self._first_s[name] = stamps[0] if stamps else math.inf

    def add(self, name: str, stamp_s: float, value: np.ndarray) -> bool:
        """Keep one value; return False when it is a repeat or from before the run.

        Args:
            name: Stream.
            stamp_s: Acquisition time.
            value: (D,) of a vector stream, (H, W, 3) uint8 of an image stream.

        Raises:
            ObservationError: The value is not finite or has another shape, or jumps by a turn.
            OutOfOrderError: It is older than the newest.
        """
        stream = self._streams[name]
        value = self._checked(stream, value)
        stamps = self._stamps[name]
        if not math.isfinite(stamp_s):
            raise ObservationError(f"{name}: stamp {stamp_s} is not a time")
        if stream.holds:
            self._drop_from(name, stamp_s)
        elif stamp_s < self._not_before_s or (stamps and stamp_s == stamps[-1]):
            return False
        if stamps and stamp_s < stamps[-1]:
            raise OutOfOrderError(
                f"{name}: out of order, {stamps[-1] - stamp_s:.3f} s older than the newest"
            )
        if name in self._turns:
            try:
                value = self._turns[name].counted(value, stamp_s)
            except TurnError as error:
                raise WholeTurnError(str(error)) from None
        self._first_s[name] = min(self._first_s[name], stamp_s)
        stamps.append(stamp_s)
        self._values[name].append(value)
        self._forget_old(name)
        return True

    def advance(self, now_s: float) -> bool:
        """Note the time; when it went back, as with a looped bag, forget all and return True."""
        went_back = now_s < self._now_s
        if went_back:
            self.reset()
            for name, stamps in self._stamps.items():
                if stamps:  # it holds, now as before
                    stamps[-1] = self._first_s[name] = min(stamps[-1], now_s)
        self._now_s = now_s
        return went_back

    def sample(self, stamp_s: float) -> Observation | None:
        """Return the newest of every stream at ``stamp_s``; None while one has nothing.

        A value acquired less than a microsecond later counts as of the same moment.
        """
        values: dict[str, np.ndarray] = {}
        sources_s: dict[str, float] = {}
        for name, stamps in self._stamps.items():
            i = bisect_right(stamps, stamp_s + _SAME_MOMENT_S) - 1
            if i < 0:
                return None
            values[name], sources_s[name] = self._value(name, i, stamp_s), stamps[i]
        return Observation(stamp_s, values, sources_s)

    def window(
        self, now_s: float, n_obs_steps: int, period_s: float
    ) -> tuple[Observation, ...] | None:
        """Return the observations at ``now_s``, ``now_s - period_s``, ...; oldest first.

        Moments from before every stream had delivered are moved up to that moment: at the
        start of a run the oldest observation is repeated. None while a stream has nothing.
        """
        complete_s = max(self._first_s.values())
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

    def newest_stamped(self, name: str, now_s: float) -> tuple[float, np.ndarray] | None:
        """Return the stamp of ``newest``, and the value."""
        i = bisect_right(self._stamps[name], now_s + _SAME_MOMENT_S) - 1
        return (self._stamps[name][i], self._values[name][i]) if i >= 0 else None

    def latest(self, name: str) -> np.ndarray:
        """Return the value of a stream that came last; there must be one."""
        return self._values[name][-1]

    def ages(self, now_s: float) -> dict[str, float]:
        """Return the age of the newest value of every stream, s; NaN before the first."""
        return {
            name: now_s - stamps[-1] if stamps else math.nan
            for name, stamps in self._stamps.items()
        }

    def stale(self, now_s: float) -> dict[str, float]:
        """Return the streams that are older than their maximum age, with their ages in s."""
        ages_s = self.ages(now_s)
        return {name: age for name, age in ages_s.items() if age > self._max_ages_s[name]}

    def _value(self, name: str, newest: int, stamp_s: float) -> np.ndarray:
        """Return the newest value, or what the stream's filter makes of its history."""
        values, stamps = self._values[name], self._stamps[name]
        if name not in self._filters:
            return values[newest]
        chosen = self._filters[name]
        back_s = (i * chosen.period_s for i in reversed(range(chosen.num_rows)))
        rows = (bisect_right(stamps, stamp_s - s + _SAME_MOMENT_S) - 1 for s in back_s)
        # Before the first value it is repeated, as at the start of a window.
        return chosen.value(np.stack([values[max(row, 0)] for row in rows]))

    def _checked(self, stream: StreamSpec, value: np.ndarray) -> np.ndarray:
        if value.shape != stream.shape:
            raise ObservationError(
                f"{stream.name}: shape {value.shape} came, the robot file has {stream.shape}"
            )
        if stream.kind == "image":
            if value.dtype != np.uint8:
                raise ObservationError(f"{stream.name}: an image must be uint8, got {value.dtype}")
            return value
        if not np.isfinite(value).all():
            wrong = [n for n, x in zip(stream.names, value, strict=True) if not np.isfinite(x)]
            raise ObservationError(f"{stream.name}: not finite: {', '.join(wrong)}")
        return np.asarray(value, dtype=np.float64)

    def _drop_from(self, name: str, stamp_s: float) -> None:
        """Forget what is stamped ``stamp_s`` or later."""
        stamps = self._stamps[name]
        kept = bisect_left(stamps, stamp_s)
        del stamps[kept:], self._values[name][kept:]

    def _forget_old(self, name: str) -> None:
        stamps, values = self._stamps[name], self._values[name]
        # The newest value at the far end of the history must stay, so the second one decides.
        while len(stamps) > 1 and stamps[1] < stamps[-1] - self.history_s:
            del stamps[0], values[0]
