"""What goes wrong on the robot's side: each wraps a driver and is one."""

import math
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from ddpm_controller.simulation.drivers.interpolation import Point

Message = TypeVar("Message", contravariant=True)


class Driver(Protocol[Message]):
    """The robot's side of a command topic; see ``TrajectoryController``."""

    def receive(self, message: Message, now_s: float) -> str:
        """Take ``message`` or return why not."""
        ...

    def update(
        self,
        now_s: float,
        measured: np.ndarray,
        velocity: np.ndarray | None = None,
        scaling: float = 1.0,
    ) -> Point:
        """Return the set point that is written at ``now_s``."""
        ...


@dataclass(frozen=True)
class Span:
    """When a fault is there.

    Attributes:
        begin_s: First moment.
        end_s: Moment from which it is over.
    """

    begin_s: float = -math.inf
    end_s: float = math.inf

    def __post_init__(self) -> None:
        if not self.begin_s < self.end_s:
            raise ValueError(f"begin_s {self.begin_s} must be before end_s {self.end_s}")

    def __contains__(self, now_s: float) -> bool:
        return self.begin_s <= now_s < self.end_s


class Switch:
    """A fault that is there while it is switched on.

    Attributes:
        is_on: Whether it is there.
    """

    def __init__(self) -> None:
        self.is_on = False

    def __contains__(self, now_s: float) -> bool:
        return self.is_on


class OffClock(Generic[Message]):
    """A robot whose clock is ahead of everybody else's by ``offset_s``, or behind if below 0."""

    def __init__(self, driver: Driver[Message], offset_s: float) -> None:
        self._driver, self._offset_s = driver, offset_s

    def receive(self, message: Message, now_s: float) -> str:
        """Take ``message`` or return why not."""
        return self._driver.receive(message, now_s + self._offset_s)

    def update(
        self,
        now_s: float,
        measured: np.ndarray,
        velocity: np.ndarray | None = None,
        scaling: float = 1.0,
    ) -> Point:
        """Return the set point that is written at ``now_s`` of the others' clock."""
        return self._driver.update(now_s + self._offset_s, measured, velocity, scaling)


class RefusesInSilence(Generic[Message]):
    """A robot that takes nothing during ``span`` and gives no reason."""

    def __init__(self, driver: Driver[Message], span: Span | Switch = Span()) -> None:
        self._driver, self._span = driver, span

    def receive(self, message: Message, now_s: float) -> str:
        """Take ``message``, or drop it without a reason."""
        return "" if now_s in self._span else self._driver.receive(message, now_s)

    def update(
        self,
        now_s: float,
        measured: np.ndarray,
        velocity: np.ndarray | None = None,
        scaling: float = 1.0,
    ) -> Point:
        """Return the set point that is written at ``now_s``."""
        return self._driver.update(now_s, measured, velocity, scaling)


class StandsStill(Generic[Message]):
    """A robot in a protective stop during ``span``: it stays where it was, whatever it is sent.

    The controller behind it continues, as it does on a robot whose drives alone were switched off.
    """

    def __init__(self, driver: Driver[Message], span: Span | Switch) -> None:
        self._driver, self._span = driver, span
        self._held: np.ndarray | None = None

    def receive(self, message: Message, now_s: float) -> str:
        """Take ``message`` or return why not."""
        return self._driver.receive(message, now_s)

    def update(
        self,
        now_s: float,
        measured: np.ndarray,
        velocity: np.ndarray | None = None,
        scaling: float = 1.0,
    ) -> Point:
        """Return where the robot is led: nowhere during the span."""
        found = self._driver.update(now_s, measured, velocity, scaling)
        if now_s not in self._span:
            self._held = None
            return found
        if self._held is None:
            self._held = np.array(measured, dtype=np.float64)
        return Point(self._held).completed()


class Slowed(Generic[Message]):
    """A robot that runs at a share of the speed during ``span``: its speed scaling factor.

    Raises:
        ValueError: A share that is not from 0 to 1.
    """

    def __init__(self, driver: Driver[Message], share: float, span: Span = Span()) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, got {share}")
        self._driver, self._share, self._span = driver, share, span

    def receive(self, message: Message, now_s: float) -> str:
        """Take ``message`` or return why not."""
        return self._driver.receive(message, now_s)

    def update(
        self,
        now_s: float,
        measured: np.ndarray,
        velocity: np.ndarray | None = None,
        scaling: float = 1.0,
    ) -> Point:
        """Return the set point that is written at ``now_s``, slower during the span."""
        share = self._share if now_s in self._span else 1.0
        return self._driver.update(now_s, measured, velocity, scaling * share)
