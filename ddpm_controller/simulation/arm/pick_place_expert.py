"""A scripted person who picks up the cube and puts it on the pad."""

from collections.abc import Callable

import numpy as np

from ddpm_controller.simulation.arm.hand_motion import HandMotion
from ddpm_controller.simulation.arm.pick_place_world import (
    CUBE_AREA,
    CUBE_HALF,
    PAD_HALF,
    PickPlaceWorld,
)

OCCASIONS = ("none", "aim_error", "push", "cube_moved", "missed_grasp")
_CHANCES = (0.5, 0.15, 0.13, 0.12, 0.10)
_REACTION_S = 0.15
_OPEN = 0.045
_SQUEEZE = 0.012
_HELD = CUBE_HALF - 0.006  # fingers nearer than this hold nothing


class PickPlaceExpert:
    """Approaches in a bow to one side, grasps from above, carries, puts down, lets go.

    Each phase is a method that runs every tick and names the next one when it is over. What
    goes wrong (moved cube, empty or lost grasp) leads back to the approach.

    Attributes:
        occasion: What happens in this episode: an element of ``OCCASIONS``.
        done: Whether the cube has been released on the pad and the hand has left.
    """

    def __init__(self, world: PickPlaceWorld, seed: int) -> None:
        self._random = np.random.default_rng([seed, 1])
        self._world = world
        self._hand = HandMotion(world, self._random)
        self.occasion = str(self._random.choice(OCCASIONS, p=_CHANCES))
        self.done = False
        self._pending = self.occasion != "none"
        self._occasion_s = world.time_s + self._random.uniform(0.35, 0.8)
        self._hover = self._random.uniform(0.09, 0.13)
        self._aim = world.cube[:2]
        self._correct_s = 0.0
        self._phase: Callable[[], None] = self._begin

    def command(self) -> np.ndarray:
        """Return the command (7,) of this tick; call once before each step."""
        if self._pending and self._world.time_s >= self._occasion_s:
            self._happen()
        self._phase()
        return self._hand.command()

    def _happen(self) -> None:
        """Let the world disturb the approach."""
        if self.occasion == "push":
            force = self._random.uniform(30.0, 60.0) * np.append(self._direction(), 0.3)
            self._world.push(force, 0.25)
        elif self.occasion == "cube_moved":
            self._world.move_cube(self._random.uniform(0.03, 0.07) * self._direction())
            self._correct_s = self._world.time_s + _REACTION_S
        else:
            return
        self._pending = False

    def _begin(self) -> None:
        self._aim = self._world.cube[:2]
        if self.occasion == "aim_error" and self._pending:
            self._aim = self._aim + self._random.uniform(0.03, 0.06) * self._direction()
            self._pending = False
        duration_s = 0.75 + float(np.linalg.norm(self._aim - self._world.tip[:2])) / 0.35
        self._correct_s = self._world.time_s + 0.6 * duration_s / self._hand.speed
        target = {"z": self._hover, "yaw": self._world.cube_yaw, "opening": _OPEN}
        self._hand.reach({**_place(self._aim), **target}, 0.0, duration_s)
        self._hand.bow(self._bow_size(), self._aim, 0.0, duration_s)
        self._phase = self._approach

    def _approach(self) -> None:
        """Correct the aim, then go down; the two overlap."""
        self._correct()
        if self._hand.time_left() < 0.2 and self._world.time_s >= self._correct_s:
            height = CUBE_HALF + self._random.uniform(-0.004, 0.002)
            self._hand.reach({"z": height}, 0.0, 0.7)
            self._phase = self._descend

    def _descend(self) -> None:
        if self._world.tip[2] > 0.08:
            self._correct()
        if self._arrived():
            if self.occasion == "missed_grasp" and self._pending:
                self._slip_away()
            self._hand.reach({"opening": _SQUEEZE}, 0.0, 0.35)
            self._phase = self._close

    def _close(self) -> None:
        opening, speed = self._world.positions[-1], abs(self._world.velocities[-1])
        if self._hand.time_left() > -0.04 or speed > 0.01:
            return
        if opening < _HELD:
            self._retry()
            return
        pad = self._world.pad[:2] + self._random.uniform(-0.012, 0.012, 2)
        duration_s = 0.75 + float(np.linalg.norm(pad - self._world.tip[:2])) / 0.35
        self._hand.reach({"z": self._hover}, 0.0, 0.7)
        self._hand.reach({**_place(pad), "yaw": 0.0}, 0.3, duration_s)
        self._hand.bow(self._bow_size(), pad, 0.3, duration_s)
        self._phase = self._carry

    def _carry(self) -> None:
        if self._world.positions[-1] < _HELD:
            self._retry()
        elif self._hand.time_left() < 0.2:
            self._hand.reach({"z": CUBE_HALF + 0.002}, 0.0, 0.7)
            self._phase = self._lower

    def _lower(self) -> None:
        if self._world.positions[-1] < _HELD:
            self._retry()
        elif self._arrived():
            self._hand.reach({"opening": _OPEN}, 0.0, 0.35)
            self._hand.reach({"z": self._hover + 0.03}, 0.25, 0.8)
            self._phase = self._leave

    def _leave(self) -> None:
        if self._hand.time_left() > 0.0:
            return
        if np.abs(self._world.cube - self._world.pad)[:2].max() < PAD_HALF:
            self.done = True
        else:
            self._phase = self._begin

    def _retry(self) -> None:
        """Open and rise at once; the next approach begins on the way up."""
        self._hand.reach({"opening": _OPEN}, 0.0, 0.4)
        self._hand.reach({"z": self._hover}, 0.1, 0.6)
        self._phase = self._rise

    def _rise(self) -> None:
        if self._hand.time_left() < 0.2:
            self._phase = self._begin

    def _correct(self) -> None:
        cube = self._world.cube[:2]
        if self._world.time_s >= self._correct_s and np.linalg.norm(cube - self._aim) > 0.004:
            duration_s = 0.6 + float(np.linalg.norm(cube - self._aim))
            self._hand.reach({**_place(cube), "yaw": self._world.cube_yaw}, 0.0, duration_s)
            self._aim = cube

    def _arrived(self) -> bool:
        """Whether the tip has caught up with the end of the path, or never will."""
        late_s = -self._hand.time_left()
        near = np.linalg.norm(self._world.tip - self._hand.path.end[:3]) < 0.006
        return bool(late_s > 0.25 or (late_s > 0.0 and near))

    def _slip_away(self) -> None:
        """Move the cube out between the fingers, so that they close on nothing."""
        away = np.array([np.cos(self._world.yaw), np.sin(self._world.yaw)])
        inwards = np.sign((np.mean(CUBE_AREA, axis=1) - self._world.cube[:2]) @ away)
        self._world.move_cube(inwards * self._random.uniform(0.05, 0.07) * away)
        self._pending = False

    def _bow_size(self) -> float:
        return float(self._random.choice([-1.0, 1.0]) * self._random.uniform(0.02, 0.06))

    def _direction(self) -> np.ndarray:
        angle = self._random.uniform(0.0, 2 * np.pi)
        return np.array([np.cos(angle), np.sin(angle)])


def _place(place: np.ndarray) -> dict[str, float]:
    return {"x": float(place[0]), "y": float(place[1])}
