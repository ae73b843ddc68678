"""A controller that passes targets on: whatever came last is the set point."""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.simulation.drivers.interpolation import Point


@dataclass(frozen=True)
class Targets:
    """Positions as an array of numbers or a joint state has them.

    Attributes:
        positions: (Da,) rad or m.
        joint_names: One per position; empty: an array in the controller's order.
    """

    positions: np.ndarray
    joint_names: tuple[str, ...] = ()


class ForwardController:
    """Holds the last target, for good or until a time-out.

    Args:
        joint_names: Joints of the controller, in its order.
        timeout_s: Age of the last target at which the measured position is held instead; 0: none.

    Raises:
        ValueError: A time-out below 0.
    """

    def __init__(self, joint_names: tuple[str, ...], timeout_s: float = 0.0) -> None:
        if not timeout_s >= 0:
            raise ValueError(f"timeout_s must be 0 (off) or above, got {timeout_s}")
        self._joint_names, self._timeout_s = joint_names, timeout_s
        self._target: np.ndarray | None = None
        self._received_s = 0.0
        self._is_late = False

    def receive(self, message: Targets, now_s: float) -> str:
        """Take ``message`` from the next update on; return why it was refused, or an empty text.

        A joint state may name other joints too, in any order.
        """
        names, wanted = message.joint_names, self._joint_names
        if not names and message.positions.shape != (len(wanted),):
            return f"{message.positions.size} numbers for {len(wanted)} joints"
        if names and len(names) != len(message.positions):
            return f"{len(message.positions)} positions for {len(names)} names"
        if missing := [name for name in wanted if names and name not in names]:
            return f"no target for joints {missing}"
        order = [names.index(name) for name in wanted] if names else slice(None)
        self._target = np.array(message.positions, dtype=np.float64)[order]
        self._received_s, self._is_late = now_s, False
        return ""

    def update(
        self,
        now_s: float,
        measured: np.ndarray,
        velocity: np.ndarray | None = None,
        scaling: float = 1.0,
    ) -> Point:
        """Return the set point at ``now_s``; see ``TrajectoryController.update``.

        Neither a velocity nor a speed scaling changes a target.
        """
        if self._target is None:
            self._target = np.array(measured, dtype=np.float64)
            self._received_s, self._is_late = now_s, True
        late = 0 < self._timeout_s < now_s - self._received_s
        if late and not self._is_late:
            self._target, self._is_late = np.array(measured, dtype=np.float64), True
        return Point(self._target).completed()
