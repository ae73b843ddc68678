"""How well the base follows the requested velocity."""

from collections import deque

import numpy as np

_SETTLING_S = 1.0
"""After a change of the request the error does not count for so long."""
_MEAN_S = 0.4
"""The base sways with every step: its velocity is the mean of about a period of the gait."""
MOST_VELOCITY_ERROR, MOST_YAW_RATE_ERROR = 0.2, 0.3
"""Mean errors up to which the request counts as followed, m/s and rad/s."""


class Tracking:
    """Means of the errors of an episode.

    Args:
        tick_s: Time between two notes.
    """

    def __init__(self, tick_s: float) -> None:
        self._settling = round(_SETTLING_S / tick_s)
        self._velocities: deque[np.ndarray] = deque(maxlen=max(round(_MEAN_S / tick_s), 1))
        self._request: np.ndarray | None = None
        self.restart()

    def restart(self) -> None:
        """Forget the errors, as when another source leads."""
        self._errors, self._count, self._settled = np.zeros(2), 0, 0

    def note(self, velocity: np.ndarray, request: np.ndarray) -> None:
        """Take in the velocity of the base (3,) and the request (3,) of a tick."""
        self._velocities.append(velocity)
        if self._request is None or not np.array_equal(request, self._request):
            self._request, self._settled = request, 0
        self._settled += 1
        if self._settled > self._settling:
            error = np.mean(self._velocities, axis=0) - request
            self._errors += np.hypot(error[0], error[1]), abs(error[2])
            self._count += 1

    @property
    def velocity_error(self) -> float:
        """Mean error of the velocity in the plane, m/s; NaN before the first."""
        return float(self._errors[0] / self._count) if self._count else float("nan")

    @property
    def yaw_rate_error(self) -> float:
        """Mean error of the yaw rate, rad/s; NaN before the first."""
        return float(self._errors[1] / self._count) if self._count else float("nan")

    @property
    def follows(self) -> bool:
        """Whether the errors are small; where none is known they are."""
        return not (
            self.velocity_error > MOST_VELOCITY_ERROR or self.yaw_rate_error > MOST_YAW_RATE_ERROR
        )
