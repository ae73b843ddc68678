"""How a motion is cut into messages, and the limits that it keeps between their points."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ddpm_controller.control.moving.safety import JointLimits

SHORTEST_PAST_S = 0.02
"""A first point must be past when the message is there, and on the controller's clock."""
_MESSAGES_AHEAD = 2
"""Message periods that a lead lasts at the least: one message may be a period late."""
_LATE_PERIODS = 1.5
"""Message periods by which a lead is shorter just before the next message, and some jitter."""


@dataclass(frozen=True)
class StreamSettings:
    """How a motion is cut into messages.

    Attributes:
        past_s: Time before now that a message begins at: more than a clock may be off.
        lead_s: Time ahead of now that is committed: period, delay and lost messages together. A
            new chunk changes nothing before.
        knot_s: Shortest time between points, unless the ticks are further apart.
        message_period_s: Shortest time between messages, unless the ticks are further apart.
        stamp: ``absolute``; or ``zero``: counted from the arrival, for robots whose clock is off
            by more than ``past_s``; each jitter of the delivery is in the motion then.
        carries: The derivatives that the points have; with less than accelerations a stop is
            sampled tick by tick, and accelerations go beyond their limits.
        begin_s: Time in which the robot goes from where it is to where the motion begins; longer
            where the limits need that.

    Raises:
        ValueError: A time out of its range; the text has the rule.
    """

    past_s: float = 0.06
    lead_s: float = 0.08
    knot_s: float = 0.004
    message_period_s: float = 0.01
    stamp: Literal["absolute", "zero"] = "absolute"
    carries: Literal["positions", "velocities", "accelerations"] = "accelerations"
    begin_s: float = 0.4

    def __post_init__(self) -> None:
        if self.stamp not in ("absolute", "zero"):
            raise ValueError(f"stamp must be 'absolute' or 'zero', got {self.stamp!r}")
        if self.carries not in ("positions", "velocities", "accelerations"):
            raise ValueError(
                "carries must be 'positions', 'velocities' or 'accelerations', got "
                f"{self.carries!r}"
            )
        lowest = {
            "past_s": SHORTEST_PAST_S if self.stamp == "absolute" else 0.0,
            "lead_s": 0.0,
            "knot_s": 1e-4,
            "message_period_s": 1e-3,
            "begin_s": 0.1,
        }
        for name, low in lowest.items():
            value = getattr(self, name)
            if not low <= value <= 2.0:
                raise ValueError(f"{name} must be from {low} to 2 s, got {value}")

    def knot_ticks(self, period_s: float) -> int:
        """Return how many ticks lie between two points."""
        return max(round(self.knot_s / period_s), 1)

    def problem(self, chunk_s: float) -> str:
        """Return why chunks of ``chunk_s`` from the first row to the last cannot be streamed.

        A chunk changes the motion only from a lead ahead on: what is left of it then must be
        something.
        """
        if self.lead_s < chunk_s:
            return ""
        return (
            f"command.stream_lead_s {self.lead_s} s is not shorter than a chunk, {chunk_s:.3f} s: "
            "every row would come too late; lower it, or send targets to a forward controller"
        )

    def refuse_period(self, period_s: float) -> None:
        """Raise where the lead does not last until a message that comes a period late.

        Raises:
            ValueError: Ticks of ``period_s`` are too far apart; the text has figures and remedies.
        """
        needed_s = _MESSAGES_AHEAD * max(self.message_period_s, period_s)
        if self.lead_s < needed_s - 1e-9:
            raise ValueError(
                f"a lead of {self.lead_s} s does not bridge a late message at {1 / period_s:g} "
                f"Hz: set command.stream_lead_s to {needed_s:.3f} or more, or raise "
                "control_rate_hz"
            )

    def resume_s(self, period_s: float) -> float:
        """Return the least lead that is left when a message comes late; below it is a hole."""
        message_s = max(self.message_period_s, period_s)
        return self.lead_s - max(self.lead_s / 2, _LATE_PERIODS * message_s + period_s)


_QUINTIC_VELOCITY, _OVER_POSITION = 0.0221, 0.0062
"""Times J h^2 and J h^3: how far a quintic may be from any motion of jerk J that it joins."""
_OVER_VELOCITY = _QUINTIC_VELOCITY + 1 / 8
"""Times J h^2: a velocity of jerk J that is within a limit each h passes it by an eighth of that
between, and the quintic adds to it."""


def limits_between(limits: JointLimits, spacing_s: float) -> JointLimits:
    """Return limits for a motion whose points are ``spacing_s`` apart, for quintics between them.

    A quintic between two points of a motion whose acceleration and jerk stay within A and J goes
    up to A + 0.0508 J h, h being the time between them (worst case over all such motions, by a
    linear programme). With J h at most A that is 1.05 A. What it adds to velocity and position is
    taken from their limits.

    Raises:
        ValueError: Points so far apart that nothing is left of a limit.
    """
    jerk = np.minimum(limits.jerk, limits.acceleration / spacing_s)
    velocity = limits.velocity - _OVER_VELOCITY * jerk * spacing_s**2
    margin = _OVER_POSITION * jerk * spacing_s**3
    if not ((velocity > 0.5 * limits.velocity) & (2 * margin < limits.upper - limits.lower)).all():
        raise ValueError(
            f"points {spacing_s} s apart leave a velocity of {velocity} of {limits.velocity}: "
            "take a shorter period, or lower acceleration limits"
        )
    if not (limits.step > 2 * margin).all():
        raise ValueError(
            f"max_step_from_measured {limits.step} is not above {2 * margin}, twice what a motion "
            "may be off between its points: raise it in the joint-limits file, or lower the "
            "acceleration limits"
        )
    lower, upper = limits.lower + margin, limits.upper - margin
    step = limits.step - margin
    return replace(limits, lower=lower, upper=upper, velocity=velocity, jerk=jerk, step=step)


def time_between(first: np.ndarray, last: np.ndarray, limits: JointLimits) -> float:
    """Return the shortest time of a quintic from rest at (Da,) to rest at (Da,), s."""
    way = np.abs(last - first)
    velocity = 15 / 8 * way / limits.velocity
    acceleration = np.sqrt(10 / math.sqrt(3) * way / limits.acceleration)
    jerk = np.cbrt(60 * way / limits.jerk)
    return float(np.max([velocity, acceleration, jerk]))
