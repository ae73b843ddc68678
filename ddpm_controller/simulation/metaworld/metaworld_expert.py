"""MetaWorld's scripted policies as somebody who takes his time, and who is disturbed."""

import numpy as np

from ddpm_controller.simulation.disturbances import random_occlusion, random_push
from ddpm_controller.simulation.metaworld.metaworld_description import HAND_JOINTS, OPEN_M
from ddpm_controller.simulation.metaworld.metaworld_task import MetaWorldPolicy
from ddpm_controller.simulation.metaworld.metaworld_world import MetaWorldWorld

OCCASIONS = ("none", "push", "occlusion", "pull_back")
_CHANCES = (0.4, 0.2, 0.2, 0.2)
_MOST_PUSHES = 3
_OCCLUDED_S = (0.5, 1.5)
PACE = (0.25, 0.45)
"""Of MetaWorld's own, which is through after a second."""
ONSET_S = (0.2, 1.0)
_GRIP_S = 0.3
"""For which the hand waits when the fingers close; it would lift too early."""
_GRIP = np.array([0.0, 0.0, -0.15])
"""What it does meanwhile, as an action: it sinks by a centimetre, for a surer hold."""
_DESCENDING = -0.22
"""Below this action the hand still goes down, and the fingers are not to close yet."""


class MetaWorldExpert:
    """Does what MetaWorld's policy wants, slower; as an action is a velocity, by its share.

    Sees everything as it is, also what is hidden from a policy.

    Attributes:
        occasion: What happens in this episode: an element of ``OCCASIONS``.
    """

    def __init__(self, world: MetaWorldWorld, seed: int) -> None:
        random = np.random.default_rng([seed, 1])
        self._world = world
        self._policy = MetaWorldPolicy(world.published_name)
        self.occasion = str(random.choice(OCCASIONS, p=_CHANCES))
        speed = np.array([joint.velocity for joint in HAND_JOINTS[:3]])
        self._reach = speed * world.tick_s * random.uniform(*PACE)
        self._onset_s = world.time_s + random.uniform(*ONSET_S)
        self._closed_s: float | None = None
        self._disturb(random)

    @property
    def done(self) -> bool:
        """Whether the goal is reached."""
        return self._world.success

    def command(self) -> np.ndarray:
        """Return the command (4,) of this tick; call once before each step."""
        place = self._world.command_in_force
        if self._world.time_s < self._onset_s:
            return place
        action = self._policy.action(self._world.observed)
        velocity, effort = self._gripping(action[:3], action[3])
        step = self._reach * velocity
        lead = place[:3] + step - self._world.observed[:3]
        step[(np.abs(lead) > self._world.largest_lead_m) & (lead * step > 0.0)] = 0.0
        return np.append(place[:3] + step, (1.0 - effort) / 2.0 * OPEN_M)

    def _gripping(self, velocity: np.ndarray, effort: float) -> tuple[np.ndarray, float]:
        """Return an action with time for the fingers to close where the hand has arrived."""
        if effort <= 0.0:
            self._closed_s = None
        elif self._closed_s is None and velocity[2] >= _DESCENDING:
            self._closed_s = self._world.time_s
        if self._closed_s is None:
            return velocity, -1.0
        gripping = self._world.time_s < self._closed_s + _GRIP_S
        return (_GRIP if gripping else velocity), effort

    def _disturb(self, random: np.random.Generator) -> None:
        if self.occasion == "push":
            for _ in range(random.integers(1, _MOST_PUSHES, endpoint=True)):
                self._world.push(random_push(random))
        elif self.occasion == "occlusion":
            self._world.occlude(*random_occlusion(random, random.uniform(*_OCCLUDED_S)))
        elif self.occasion == "pull_back":
            self._world.pull_back()
