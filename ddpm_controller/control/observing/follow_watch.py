"""Whether the robot goes where it is led; if not, it is stopped and begins again where it is.

A joint follows while it is measured within its tolerance of where it was led at some moment of the
last time, or gets there soon at its pace: so neither a lag, a sag, a backlash nor a lower speed is
a fault. A robot in a protective stop, a controller that refuses what it is sent, or something that
holds a joint are. A joint that is led by velocities is led on from where it was measured a second
before: what it has drifted away until then does not count.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ddpm_controller.control.observing.track import Track
from ddpm_controller.control.states import Reason, State, Verdict

_PACE_S = 0.2
"""The pace of a joint is that of this time, s."""
_SOON_S = 2.0
"""A joint that is back within this time at its pace is slow, and follows."""
_KNOWN_S = 0.1
"""So long after the last command it is not known where the robot is led."""
_ANCHOR_S = 1.0
"""So long ago a joint that is led by velocities was where it was measured."""
_LONGEST_HOLD_S = 0.2
"""A velocity is taken to be held until the next one, at most so long."""
_STILL = 0.2
"""Of its tolerance: a joint that moves less than this in the time of a pace stands still."""
_BEGIN_S = 0.1
"""A beginning is reported as one for so long, so that it is seen from outside."""
_REST_S = 1.0
"""After the first beginning the robot rests so long, after each further one twice as long."""
_TRUST_S = 10.0
"""After so long without a fault a further one is the first again."""

Event = Literal["", "stops", "begins"]


@dataclass(frozen=True)
class FollowRules:
    """From when on a robot does not follow, and how often it begins again.

    Attributes:
        lag_s: Longest time by which a robot that follows is behind its commands.
        patience_s: Time for which a joint does not follow before the robot is stopped.
        repeats: Number of times that it begins again by itself, until it has followed for 10 s.

    Raises:
        ValueError: A time is not above 0, or the number is below 0.
    """

    lag_s: float = 0.4
    patience_s: float = 0.3
    repeats: int = 3

    def __post_init__(self) -> None:
        for name in ("lag_s", "patience_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, got {getattr(self, name)}")
        if self.repeats < 0:
            raise ValueError(f"repeats must not be below 0, got {self.repeats}")


class FollowWatch:
    """Compares where the robot was led with where it is measured.

    Args:
        joint_names: Names of the commanded joints.
        units: Their units.
        rules: From when on it does not follow; None: nothing is compared.
        are_velocities: (Da,) bool, joints that are led by velocities; None: there is none.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        units: Sequence[str],
        rules: FollowRules | None,
        are_velocities: np.ndarray | None = None,
    ) -> None:
        self._names, self._rules = joint_names, rules
        self._units = [unit.removesuffix("/s") for unit in units]
        is_any = are_velocities is not None and bool(are_velocities.any())
        self._velocities = are_velocities if is_any else None
        self._memory_s = _ANCHOR_S if is_any else 0.0
        self._sent, self._sent_s = np.zeros(len(joint_names)), -math.inf
        self._way = np.zeros(len(joint_names))
        self._led, self._seen = Track(len(joint_names)), Track(len(joint_names))
        self.start()

    def start(self) -> None:
        """Begin a run: nothing counts that was before."""
        self._phase: Literal["follows", "stops", "rests"] = "follows"
        self._text = ""
        self._count = 0
        self._until_s = self._begun_s = -math.inf
        self.forget()

    def forget(self) -> None:
        """Forget where the robot was led and measured; what follows from it stays."""
        self._led.clear()
        self._seen.clear()
        self._since_s = np.full(len(self._names), math.inf)

    def begin(self, now_s: float, position: np.ndarray) -> None:
        """Note that the robot begins at ``position`` (Da,)."""
        self.forget()
        self._begun_s, self._sent_s = now_s, -math.inf
        self.lead(now_s, position)

    def lead(self, moment_s: float, position: np.ndarray) -> None:
        """Note where the robot is led, (Da,), at a moment that may be ahead of now.

        Of a joint that is led by velocities, its velocity.
        """
        if self._rules is None:
            return
        if self._velocities is not None:
            held_s = min(max(moment_s - self._sent_s, 0.0), _LONGEST_HOLD_S)
            self._way = self._way + np.where(self._velocities, self._sent, 0.0) * held_s
            self._sent, self._sent_s = position, moment_s
            position = np.where(self._velocities, self._way, position)
        self._led.note(moment_s, position)

    def kept(self, tolerance: np.ndarray) -> np.ndarray:
        """Return (Da,) where the joints that are not compared begin again; NaN for the others.

        A gripper that holds something must not let it go.
        """
        if self._led.last_s == -math.inf:
            return np.full(len(self._names), np.nan)
        return np.where(np.isposinf(tolerance), self._led.last, np.nan)

    def look(
        self,
        now_s: float,
        stamps_s: np.ndarray | float,
        measured: np.ndarray,
        tolerance: np.ndarray,
        stop_s: float,
    ) -> Event:
        """Look at the newest measurement; return whether the robot stops or begins again now.

        Args:
            now_s: The tick.
            stamps_s: Stamp of each measured joint, (Da,), or one for all.
            measured: (Da,) position.
            tolerance: (Da,) farthest that a joint is from where it was led; infinite: any.
            stop_s: Time within which a stop ends.
        """
        if self._rules is None or np.isposinf(tolerance).all():
            return ""
        stamps_s = np.broadcast_to(stamps_s, measured.shape)
        stamp_s = float(stamps_s.max())
        if stamp_s > self._seen.last_s:
            self._note(stamps_s, measured, tolerance)
        fault = bool((stamps_s - self._since_s >= self._rules.patience_s).any())
        if self._phase == "follows":
            return self._followed(now_s, stamps_s, measured, tolerance, stop_s, fault)
        if self._phase == "stops":
            is_over = now_s >= self._until_s and self._stands_still(stamp_s, tolerance)
            return self._rested(now_s, is_new=True) if is_over else ""
        if fault:  # it was moved: it rests where it is now
            return self._rested(now_s, is_new=False)
        if now_s >= self._until_s:
            self._phase, self._until_s = "follows", now_s + _TRUST_S
        return ""

    def verdict(self, now_s: float) -> Verdict | None:
        """Return why the robot is held, or None; a beginning has another reason."""
        if self._phase == "follows":
            return None
        if now_s - self._begun_s < _BEGIN_S:
            return Verdict(State.HOLDING, Reason.NO_PLAN, "begins again where the robot stands")
        return Verdict(State.HOLDING, Reason.NOT_FOLLOWED, self._text)

    @property
    def holds(self) -> bool:
        """Whether the robot is held: nothing is to be planned."""
        return self._phase != "follows"

    @property
    def text(self) -> str:
        """What the robot did not follow, in words."""
        return self._text

    # Parts

    def _note(self, stamps_s: np.ndarray, measured: np.ndarray, tolerance: np.ndarray) -> None:
        assert self._rules is not None
        stamp_s = float(stamps_s.max())
        self._seen.note(stamp_s, measured)
        self._seen.forget(stamp_s - max(_PACE_S, self._memory_s))
        self._led.forget(float(stamps_s.min()) - self._rules.lag_s - self._memory_s)
        strays = self._strays(stamps_s, measured, tolerance)
        self._since_s = np.where(strays, np.minimum(self._since_s, stamps_s), math.inf)

    def _off(self, stamps_s: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Return the way (Da,) to the nearest place where it was led; 0: it is at one.

        Each joint is compared with where it was led before its own moment.
        """
        assert self._rules is not None
        low, high = self._ways(stamps_s, measured)
        off: np.ndarray = np.zeros_like(measured)
        for stamp_s in set(stamps_s.tolist()):
            if not self._led.begin_s <= stamp_s <= self._led.last_s + _KNOWN_S:
                continue
            lowest, highest = self._led.band(stamp_s - self._rules.lag_s, stamp_s)
            way = np.maximum(lowest - high, 0.0) - np.maximum(low - highest, 0.0)
            off = np.where(stamps_s == stamp_s, way, off)
        return off

    def _ways(self, stamps_s: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return between which places the joints are, (Da,), as they are led.

        A joint that is led by velocities is as far from its anchor as it is measured; how late it
        was there is not known.
        """
        if self._velocities is None or self._led.last_s == -math.inf:
            return measured, measured
        assert self._rules is not None
        anchor_s = max(float(stamps_s.max()) - _ANCHOR_S, self._seen.begin_s, self._led.begin_s)
        gone = measured - self._seen.at(anchor_s)
        band = self._led.band(anchor_s - self._rules.lag_s, anchor_s)
        low, high = (np.where(self._velocities, gone + each, measured) for each in band)
        return low, high

    def _strays(
        self, stamps_s: np.ndarray, measured: np.ndarray, tolerance: np.ndarray
    ) -> np.ndarray:
        """Return which joints neither are where they were led nor get there soon, (Da,)."""
        off = self._off(stamps_s, measured)
        gained = np.sign(off) * (measured - self._seen.at(float(stamps_s.max()) - _PACE_S))
        strays: np.ndarray = (np.abs(off) > tolerance) & (
            gained * (_SOON_S / _PACE_S) < np.abs(off)
        )
        return strays

    def _followed(
        self,
        now_s: float,
        stamps_s: np.ndarray,
        measured: np.ndarray,
        tolerance: np.ndarray,
        stop_s: float,
        fault: bool,
    ) -> Event:
        if not fault:
            if self._count and now_s >= self._until_s:
                self._count = 0
            return ""
        assert self._rules is not None
        off = self._off(stamps_s, measured)
        worst = int(np.argmax(np.abs(off) / tolerance))
        self._text = (
            f"{self._names[worst]} is at {measured[worst]:.3f} {self._units[worst]}, "
            f"{abs(off[worst]):.3f} from anywhere that it was led in the last "
            f"{self._rules.lag_s:.2f} s: protective stop, a controller that refuses, speed "
            "scaling, or something in the way?"
        )
        self._count += 1
        self._phase, self._until_s = "stops", now_s + stop_s
        return "stops"

    def _stands_still(self, stamp_s: float, tolerance: np.ndarray) -> bool:
        if stamp_s - self._seen.begin_s < _PACE_S:
            return False
        lowest, highest = self._seen.band(stamp_s - _PACE_S, stamp_s)
        return bool((highest - lowest <= _STILL * tolerance).all())

    def _rested(self, now_s: float, *, is_new: bool) -> Event:
        """Begin again where the robot is, and rest there."""
        assert self._rules is not None
        self._phase, self._begun_s = "rests", now_s
        self._since_s = np.full(len(self._names), math.inf)
        if not is_new:
            return "begins"
        if self._count > self._rules.repeats:
            self._until_s = math.inf
            self._text += f" That was {self._count} times in a row: reset to resume"
        else:
            self._until_s = now_s + _REST_S * 2.0 ** (self._count - 1)
        return "begins"
