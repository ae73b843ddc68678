"""Whether what has been observed may be acted on: complete, fresh and valid."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ddpm_controller.control.observation_buffer import (
    ObservationBuffer,
    ObservationError,
    OutOfOrderError,
)
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.control.stream_filter import StreamFilter
from ddpm_controller.types import StreamSpec


class ObservationWatch:
    """A buffer, and what is wrong with its streams.

    Args:
        streams: What is observed.
        max_ages_s: Stream name -> age beyond which it is stale.
        joint_names: The commanded joints; one vector stream must have them all.
        max_lead_s: A stamp further ahead of the last tick than this is refused.
        filters: As ``ObservationBuffer``; what is measured for safety stays as it came.

    Attributes:
        buffer: The values.
        measured_stream: Name of the stream that measures the commanded joints.

    Raises:
        ValueError: No stream measures the commanded joints.
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        max_ages_s: Mapping[str, float],
        joint_names: Sequence[str],
        max_lead_s: float,
        filters: Mapping[str, StreamFilter] | None = None,
    ) -> None:
        self.buffer = ObservationBuffer(streams, max_ages_s, filters=filters)
        self._rates_hz = {stream.name: stream.rate_hz for stream in streams}
        self.measured_stream, self._columns = _measuring_stream(streams, joint_names)
        self._max_lead_s = max_lead_s
        self._now_s = math.nan
        self._invalid: dict[str, str] = {}

    def start(self, not_before_s: float | None = None) -> None:
        """Forget what is older than ``not_before_s``, and everything when None."""
        self.buffer.reset(not_before_s)
        if not_before_s is None or math.isfinite(not_before_s):
            self._invalid.clear()
        self._now_s = math.nan

    def advance(self, now_s: float) -> bool:
        """Note the time; when it went back, forget everything and return True."""
        went_back = self.buffer.advance(now_s)
        if went_back:
            self._invalid.clear()
        self._now_s = now_s
        return went_back

    def observe(self, name: str, stamp_s: float, value: np.ndarray) -> str:
        """Take one value of a stream; return why it was refused, or an empty text."""
        if stamp_s - self._now_s > self._max_lead_s:
            lead_s = stamp_s - self._now_s
            return self.refuse(name, f"{name}: stamp is {lead_s:.1f} s ahead of the clock")
        try:
            self.buffer.add(name, stamp_s, value)
        except OutOfOrderError as error:
            return str(error)  # the newer one that came before it is still good
        except ObservationError as error:
            return self.refuse(name, str(error))
        self._invalid.pop(name, None)
        return ""

    def refuse(self, name: str, error: str) -> str:
        """Note that the newest message of a stream cannot be used; return ``error``."""
        self._invalid[name] = error
        return error

    def problem(self, now_s: float, only: str | None = None) -> Verdict | None:
        """Return why the streams, or ``only`` one of them, cannot be used at ``now_s``."""
        names = self._rates_hz if only is None else (only,)
        invalid = [self._invalid[name] for name in names if name in self._invalid]
        if invalid:
            return Verdict(State.HOLDING, Reason.INVALID_OBSERVATION, "; ".join(invalid))
        ages_s = self.buffer.ages(now_s)
        missing = [name for name in names if math.isnan(ages_s[name])]
        if missing:
            text = f"nothing yet from {', '.join(missing)}"
            return Verdict(State.HOLDING, Reason.NO_OBSERVATION, text)
        stale = [
            f"{n} is {a:.2f} s old" for n, a in self.buffer.stale(now_s).items() if n in names
        ]
        if stale:
            return Verdict(State.HOLDING, Reason.STALE_OBSERVATION, ", ".join(stale))
        return None

    def late(self, now_s: float, tolerance_s: float) -> list[str]:
        """Return the streams that, at their rate, should have delivered again by ``now_s``.

        A stream whose newest message was refused has delivered.
        """
        return [
            name
            for name, age in self.buffer.ages(now_s).items()
            if name not in self._invalid and not age < 1 / self._rates_hz[name] - tolerance_s
        ]

    def measured(self, now_s: float) -> np.ndarray | None:
        """Return the newest measured position of the commanded joints at ``now_s``, (Da,)."""
        value = self.buffer.newest(self.measured_stream, now_s)
        return None if value is None else value[self._columns]


def _measuring_stream(
    streams: Sequence[StreamSpec], joint_names: Sequence[str]
) -> tuple[str, list[int]]:
    """Return the stream that measures the commanded joints, and their columns in it."""
    for stream in streams:
        if set(joint_names) <= set(stream.names):
            return stream.name, [stream.names.index(name) for name in joint_names]
    raise ValueError(
        f"no stream measures all of {list(joint_names)}, so the first command could jump; "
        f"streams: { {stream.name: list(stream.names) for stream in streams} }"
    )
