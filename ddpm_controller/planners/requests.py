"""What is asked of a motion from outside, as a velocity, followed as fast as it may change."""

from collections.abc import Mapping, Sequence

import numpy as np

from ddpm_controller.planners.observed_state import place_of
from ddpm_controller.types import Observation, StreamSpec

REQUESTS = ("forward", "left", "turn", "height", "heading")
"""What can be asked for: m/s, m/s, rad/s, m, rad; in the order of arrays (5,)."""
_RATES = 3
"""The first of them are rates: where nothing comes, 0 is asked for."""


class Requests:
    """Reads requests from streams and leads to them.

    Args:
        elements: Request -> element of a stream.
        acceleration: Request -> largest change in a second; without one it counts at once.
        streams: Streams of the robot.

    Raises:
        ValueError: A request is unknown, or an element is in no stream.
    """

    def __init__(
        self,
        elements: Mapping[str, str],
        acceleration: Mapping[str, float],
        streams: Sequence[StreamSpec],
    ) -> None:
        if unknown := sorted({*elements, *acceleration} - set(REQUESTS)):
            raise ValueError(f"requests {unknown} are unknown; there are {list(REQUESTS)}")
        self._places = {request: place_of(name, streams) for request, name in elements.items()}
        self._rate = np.array([acceleration.get(name, np.inf) for name in REQUESTS])
        self._is_led = np.isfinite(self._rate)

    @property
    def streams(self) -> frozenset[str]:
        """Streams from which requests come; without them nothing is asked for."""
        return frozenset(stream for stream, _ in self._places.values())

    def asked(self, observation: Observation) -> np.ndarray:
        """Return what is asked for, (5,); NaN: nothing, a rate that does not come is 0."""
        found = np.full(len(REQUESTS), np.nan)
        for request, (stream, element) in self._places.items():
            value = float(observation.values[stream][element])
            place = REQUESTS.index(request)
            found[place] = value if np.isfinite(value) else 0.0 if place < _RATES else np.nan
        return found

    def followed(
        self, before: np.ndarray, asked: np.ndarray, measured: np.ndarray, passed_s: float
    ) -> np.ndarray:
        """Return what is followed now, (5,), on the way to what is asked for.

        Args:
            before: (5,), what was followed; NaN: nothing.
            asked: (5,).
            measured: (5,), with which a run begins, as far as it is between rest and ``asked``.
            passed_s: Time since then.
        """
        first = np.clip(measured, np.minimum(asked, 0.0), np.maximum(asked, 0.0))
        begin = np.where(np.isnan(before), first, before)
        way = np.where(self._is_led, self._rate, 0.0) * passed_s
        led: np.ndarray = np.clip(asked, begin - way, begin + way)
        return np.where(self._is_led, led, asked)

    def ahead(
        self, followed: np.ndarray, asked: np.ndarray, ahead_s: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return what will be followed at later times (H,), (H,) each."""
        found = {}
        for place in np.flatnonzero(~np.isnan(followed)).tolist():
            wanted = np.full(len(ahead_s), asked[place])
            if self._is_led[place]:
                way = self._rate[place] * ahead_s
                wanted = np.clip(wanted, followed[place] - way, followed[place] + way)
            found[REQUESTS[place]] = wanted
        return found
