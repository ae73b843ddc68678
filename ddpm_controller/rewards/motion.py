"""A batch of motions as terms see it: N motions of H ticks, element by element."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Motion:
    """What N rollouts did in H ticks; scalars over them are (N, H).

    Attributes:
        qpos: (nq, N, H), in the order of the model.
        qvel: (nv, N, H).
        controls: (nu, N, H), what was commanded in each tick.
        turns: (H,) periods of the gait that have passed at the end of each tick.
        requests: What is asked of the motion, by name: velocities in the frame of the body, a
            height; (H,) or a number.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    controls: np.ndarray
    turns: np.ndarray
    requests: Mapping[str, np.ndarray | float] = field(default_factory=dict)

    @cached_property
    def upright(self) -> np.ndarray:
        """Cosine of the angle between the vertical of a floating body and that of the world."""
        return self.down[2]

    @cached_property
    def down(self) -> np.ndarray:
        """The vertical of the world in the frame of a floating body, (3, N, H)."""
        w, x, y, z = self.qpos[3:7]
        return np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)])

    @cached_property
    def rotation(self) -> np.ndarray:
        """Rotation of a floating body, from its frame to the world, (3, 3, N, H)."""
        w, x, y, z = self.qpos[3:7]
        first = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
        second = [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
        return np.stack([np.stack(first), np.stack(second), self.down])

    @cached_property
    def body_velocity(self) -> np.ndarray:
        """Velocity of a floating body forward and to its left, (2, N, H), m/s."""
        w, x, y, z = self.qpos[3:7]
        vx, vy, vz = self.qvel[:3]
        return np.stack(
            [
                (1 - 2 * (y * y + z * z)) * vx
                + 2 * (x * y + w * z) * vy
                + 2 * (x * z - w * y) * vz,
                2 * (x * y - w * z) * vx
                + (1 - 2 * (x * x + z * z)) * vy
                + 2 * (y * z + w * x) * vz,
            ]
        )

    @cached_property
    def yaw(self) -> np.ndarray:
        """Heading of a floating body, rad."""
        w, x, y, z = self.qpos[3:7]
        return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def motion_of(
    qpos: np.ndarray,
    qvel: np.ndarray,
    controls: np.ndarray,
    turns: np.ndarray,
    requests: Mapping[str, np.ndarray | float],
) -> Motion:
    """Return the motion of arrays (N, H, .), of which each element then lies together."""
    front = [np.ascontiguousarray(each.transpose(2, 0, 1)) for each in (qpos, qvel, controls)]
    return Motion(front[0], front[1], front[2], turns, requests)
