"""A scripted person who touches the ball."""

import numpy as np

from ddpm_controller.simulation.arm.hand_motion import HandMotion
from ddpm_controller.simulation.arm.reach_world import ReachWorld

OCCASIONS = ("none", "aim_error", "push", "ball_moved")
_CHANCES = (0.5, 0.2, 0.15, 0.15)
_REACTION_S = 0.15


class ReachExpert:
    """Goes to the ball in a bow to one side, and corrects itself.

    Attributes:
        occasion: What happens in this episode: an element of ``OCCASIONS``.
    """

    def __init__(self, world: ReachWorld, seed: int) -> None:
        random = np.random.default_rng([seed, 1])
        self._world = world
        self._hand = HandMotion(world, random)
        self.occasion = str(random.choice(OCCASIONS, p=_CHANCES))
        self._side = random.choice([-1.0, 1.0]) * random.uniform(0.02, 0.06)
        self._shift = random.uniform(0.03, 0.06) * _direction(random)
        self._force = random.uniform(30.0, 60.0) * np.append(_direction(random), 0.3)
        self._occasion_s = world.time_s + random.uniform(0.4, 0.9)
        error = self._shift if self.occasion == "aim_error" else np.zeros(2)
        self._aim = world.ball[:2] + error
        duration_s = self._duration(self._aim)
        self._correct_s = world.time_s + 0.6 * duration_s
        self._go(self._aim, 0.0, duration_s)
        self._hand.bow(self._side, self._aim, 0.0, duration_s)

    @property
    def done(self) -> bool:
        """Whether the ball is touched."""
        return self._world.success

    def command(self) -> np.ndarray:
        """Return the command (7,) of this tick; call once before each step."""
        now_s = self._world.time_s
        if self.occasion in ("push", "ball_moved") and now_s >= self._occasion_s > 0:
            self._happen()
        if now_s >= self._correct_s and np.linalg.norm(self._world.ball[:2] - self._aim) > 0.004:
            self._aim = self._world.ball[:2]
            self._go(self._aim, 0.0, 0.7)
        return self._hand.command()

    def _happen(self) -> None:
        self._occasion_s = -1.0
        if self.occasion == "push":
            self._world.push(self._force, 0.25)
        else:
            self._world.move_ball(self._shift)
            self._correct_s = self._world.time_s + _REACTION_S

    def _go(self, place: np.ndarray, delay_s: float, duration_s: float) -> None:
        target = {"x": place[0], "y": place[1], "z": self._world.ball[2], "yaw": 0.0}
        self._hand.reach({**target, "opening": 0.02}, delay_s, duration_s)

    def _duration(self, place: np.ndarray) -> float:
        distance = np.linalg.norm(np.append(place, self._world.ball[2]) - self._world.tip)
        return 0.9 + float(distance) / 0.35


def _direction(random: np.random.Generator) -> np.ndarray:
    angle = random.uniform(0.0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])
