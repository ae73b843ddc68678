"""The hand of an expert: a smooth path of the tip with a person's tremor, as joint commands."""

import numpy as np

from ddpm_controller.simulation.arm.arm import NUM_ARM_JOINTS, joint_range
from ddpm_controller.simulation.arm.arm_world import ArmWorld
from ddpm_controller.simulation.submovements import Submovements, minimum_jerk

TREMOR = 0.0015
"""Amplitude of each of the tremor's waves, m."""
USUAL_SPEED = 0.7
"""Pace of a careful person; movements are given at pace 1."""
_TAKE_OVER_S = 0.8
_NUM_WAVES = 3


class HandMotion:
    """Reference of the tip (x, y, z, yaw, half opening), followed by inverse kinematics.

    It begins where the arm is, so an expert may take over from anything that moved it before.
    """

    def __init__(self, world: ArmWorld, random: np.random.Generator) -> None:
        self._world = world
        self._range = joint_range()
        self.path = Submovements(np.array([*world.tip, world.yaw, world.positions[-1]]))
        self.speed = USUAL_SPEED * random.uniform(0.8, 1.25)
        self._begin_s = world.time_s
        self._joints = world.kinematics.joints_for(
            world.tip, world.yaw, world.command_in_force[:NUM_ARM_JOINTS]
        )
        self._take_over = world.command_in_force[:NUM_ARM_JOINTS] - self._joints
        self._wave_hz = random.uniform(0.3, 1.4, (_NUM_WAVES, 3))
        self._wave_phase = random.uniform(0.0, 2 * np.pi, (_NUM_WAVES, 3))

    def reach(self, target: dict[str, float], delay_s: float, duration_s: float) -> None:
        """Make ``target`` the end of the path, beginning after a delay.

        Args:
            target: Any of x, y, z (m), yaw (rad), opening (m, half the distance of the fingers).
            delay_s: From now.
            duration_s: At the usual speed; this expert's own speed is applied here.
        """
        wanted = [target.get(name, np.nan) for name in ("x", "y", "z", "yaw", "opening")]
        self.path.go(np.array(wanted), self._world.time_s + delay_s, duration_s / self.speed)

    def bow(self, sideways: float, towards: np.ndarray, delay_s: float, duration_s: float) -> None:
        """Bend the way to ``towards`` (2,) to its left by ``sideways`` m, or right if negative."""
        way = towards - self.path.at(self._world.time_s)[:2]
        length = max(float(np.linalg.norm(way)), 0.05)
        size = np.array([-way[1], way[0], 0.0, 0.0, 0.0]) * sideways / length
        self.path.bow(size, self._world.time_s + delay_s, duration_s / self.speed)

    def time_left(self) -> float:
        """Return the time until the path is at rest, s; negative when it has been for a while."""
        return self.path.end_s - self._world.time_s

    def command(self) -> np.ndarray:
        """Return the joint command (7,) for the present moment, rad and m."""
        elapsed = self._world.time_s - self._begin_s
        target = self.path.at(self._world.time_s)
        waves = np.sin(2 * np.pi * self._wave_hz * elapsed + self._wave_phase)
        fade = minimum_jerk(elapsed / _TAKE_OVER_S)
        place = target[:3] + fade * TREMOR * waves.mean(axis=0)
        self._joints = self._world.kinematics.joints_for(place, target[3], self._joints, 3)
        joints = self._joints + (1.0 - fade) * self._take_over
        opening = np.clip(target[4], self._range.lower[-1], self._range.upper[-1])
        return np.append(joints, opening)
