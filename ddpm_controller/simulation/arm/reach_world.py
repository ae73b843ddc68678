"""Touch the coloured ball, whose place only the cameras see."""

from typing import ClassVar

import numpy as np

from ddpm_controller.simulation.arm.arm_world import ArmWorld

BALL_RADIUS = 0.03
TOUCH_DISTANCE = 0.025
BALL_AREA = ((0.28, 0.53), (-0.20, 0.20))
"""(x, y) ranges of the ball's centre, m."""


class ReachWorld(ArmWorld):
    """A ball lies on the table; success is the tip within 2.5 cm of its centre.

    The ball can be entered: a hard one would roll away from an arm that is nearly there.
    """

    name: ClassVar[str] = "reach"
    timeout_s: ClassVar[float] = 6.0
    objects_mjcf: ClassVar[str] = (
        '<body name="ball" mocap="true"><geom type="sphere" size="0.03" contype="0" '
        'conaffinity="0" rgba="1.0 0.35 0.0 1"/></body>'
    )

    @property
    def ball(self) -> np.ndarray:
        """Centre of the ball, (3,), m."""
        return np.array(self._state.mocap_pos[0])

    def move_ball(self, offset: np.ndarray) -> None:
        """Shift the ball by ``offset`` (2,), m, staying inside its area."""
        lower, upper = np.transpose(BALL_AREA)
        self._state.mocap_pos[0, :2] = np.clip(self.ball[:2] + offset, lower, upper)

    def running_cost(self) -> float:
        """Return ``terminal_cost``: there is nothing to do on the way."""
        return self.terminal_cost()

    def terminal_cost(self) -> float:
        """Return the distance of the tip from the ball's centre, m."""
        return float(np.linalg.norm(self.tip - self.ball))

    def _place_objects(self, random: np.random.Generator) -> None:
        lower, upper = np.transpose(BALL_AREA)
        self._state.mocap_pos[0] = [*random.uniform(lower, upper), BALL_RADIUS]

    def _at_goal(self) -> bool:
        return bool(np.linalg.norm(self.tip - self.ball) < TOUCH_DISTANCE)
