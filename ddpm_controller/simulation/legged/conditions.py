"""What makes an episode on legs easy or hard: ground, load, pushes, sensors and the request."""

from dataclasses import dataclass

import numpy as np

Request = tuple[float, float, float]
"""Requested velocity of the base: forward and to the left, m/s, and the yaw rate, rad/s."""
_VARIED_S = 2.5
_VARIED_LOW, _VARIED_HIGH = np.array([-0.4, -0.3, -0.8]), np.array([0.9, 0.3, 0.8])
_PUSH_FIRST_S, _PUSH_EVERY_S = 1.5, 2.0


@dataclass(frozen=True)
class LeggedConditions:
    """How every episode of a world with legs is.

    Attributes:
        request: Requested velocity; None: another one every 2.5 s, at random, the last to stand.
        extra_mass_kg: Mass that is added to the trunk, and its inertia with it.
        friction: Friction of the ground.
        push_m_s: Velocity that a push adds to the base at once, every 2 s, in a random direction;
            0: none.
        noise: Noise of the sensors, in units of ``NOISE``.
        delay_ticks: Age of everything that is measured when it comes, in ticks of the world.
        dropouts: Probability that a sensor repeats its last value at a tick.
        stretch: How many times as long an episode lasts.

    Raises:
        ValueError: A number out of its range.
    """

    request: Request | None = (0.8, 0.0, 0.0)
    extra_mass_kg: float = 0.0
    friction: float = 0.6
    push_m_s: float = 0.0
    noise: float = 0.0
    delay_ticks: int = 0
    dropouts: float = 0.0
    stretch: float = 1.0

    def __post_init__(self) -> None:
        for name in ("push_m_s", "noise", "delay_ticks", "friction"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(
                    f"{name} must be 0 or above and finite, got {getattr(self, name)}"
                )
        if not -3 <= self.extra_mass_kg <= 20:
            raise ValueError(f"extra_mass_kg must be from -3 to 20, got {self.extra_mass_kg}")
        if not 0 <= self.dropouts < 1:
            raise ValueError(f"dropouts must be from 0 to below 1, got {self.dropouts}")
        if not 1 <= self.stretch < np.inf:
            raise ValueError(f"stretch must be at least 1 and finite, got {self.stretch}")
        if self.request is not None and not np.isfinite(self.request).all():
            raise ValueError(f"request must be finite, got {self.request}")


NOMINAL = LeggedConditions()
CONDITIONS = {
    "nominal": NOMINAL,
    "heavy": LeggedConditions(extra_mass_kg=2.0),
    "slippery": LeggedConditions(friction=0.3),
    "pushed": LeggedConditions(push_m_s=1.0),
    "noisy": LeggedConditions(noise=1.0, dropouts=0.02),
    "delayed": LeggedConditions(delay_ticks=1),
    "varied": LeggedConditions(request=None),
}
"""Those that evaluations compare, by name."""


def requests(
    conditions: LeggedConditions, duration_s: float, random: np.random.Generator
) -> list[tuple[float, np.ndarray]]:
    """Return the requests of an episode, each with the time from which on it counts."""
    if conditions.request is not None:
        return [(0.0, np.array(conditions.request))]
    begins_s = np.arange(0.0, duration_s - _VARIED_S / 2, _VARIED_S)
    found = [(float(begin_s), random.uniform(_VARIED_LOW, _VARIED_HIGH)) for begin_s in begins_s]
    return [*found[:-1], (found[-1][0], np.zeros(3))]


def pushes(
    conditions: LeggedConditions, duration_s: float, random: np.random.Generator
) -> list[tuple[float, np.ndarray]]:
    """Return the pushes of an episode, each (time, velocity (2,) that it adds), m/s."""
    if conditions.push_m_s == 0:
        return []
    angles = random.uniform(0.0, 2 * np.pi, int(duration_s / _PUSH_EVERY_S))
    return [
        (
            _PUSH_FIRST_S + _PUSH_EVERY_S * number,
            conditions.push_m_s * np.array([np.cos(angle), np.sin(angle)]),
        )
        for number, angle in enumerate(angles)
    ]
