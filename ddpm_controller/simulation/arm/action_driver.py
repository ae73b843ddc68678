"""Controllers of the arm that take other commands than positions of joints.

A velocity controller moves its set points at the velocities that it is sent, a Cartesian one
solves for the joints that put the tip where it is sent, and a servo moves them so that the tip
has the twist that it is sent. Backwards, what an expert commands as positions becomes what it
would have commanded of another kind.
"""

from collections.abc import Mapping

import numpy as np

from ddpm_controller.simulation.arm.arm import NUM_ARM_JOINTS, joint_range
from ddpm_controller.simulation.arm.arm_world import ArmWorld
from ddpm_controller.simulation.arm.kinematics import rotation_of, rotation_vector
from ddpm_controller.simulation.world import NamedVector
from ddpm_controller.types import ActionSpec

TWIST_NAMES = ("linear.x", "linear.y", "linear.z", "angular.x", "angular.y", "angular.z")
POSE_NAMES = ("x", "y", "z", "rx", "ry", "rz")
HAND = "hand_pose"
"""Name of the vector that measures the tip: place, and rotation vector about the base's axes."""
_STEPS = 10
"""Of the inverse kinematics for each tick."""


class ActionDriver:
    """Rows of an action to set points of an arm world, and back.

    Args:
        world: World of the arm; its set points are where the driver begins.
        spec: Columns of the action.

    Raises:
        ValueError: The arm has no such column.
    """

    def __init__(self, world: ArmWorld, spec: ActionSpec) -> None:
        self._world, self._range = world, joint_range()
        kinds = dict(zip(spec.joint_names, spec.kinds, strict=True))
        self._positions = self._columns(spec, kinds, "joint_position", world.joint_names)
        self._velocities = self._columns(spec, kinds, "joint_velocity", world.joint_names)
        self._twist = self._columns(spec, kinds, "twist", TWIST_NAMES)
        self._pose = self._columns(spec, kinds, "pose", POSE_NAMES)
        self._size = len(spec.joint_names)

    @staticmethod
    def _columns(
        spec: ActionSpec, kinds: Mapping[str, str], kind: str, known: tuple[str, ...]
    ) -> tuple[list[int], list[int]]:
        """Return the columns of a kind, and their places among the ``known`` names."""
        names = [name for name in spec.joint_names if kinds[name] == kind]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"the arm takes no {kind} of {unknown}, only of {list(known)}")
        columns = [spec.joint_names.index(name) for name in names]
        return columns, [known.index(name) for name in names]

    def target(self, row: np.ndarray) -> np.ndarray:
        """Return the set points (D,) of the next tick under a row (Da,)."""
        world = self._world
        target = world.command_in_force
        columns, joints = self._positions
        target[joints] = row[columns]
        columns, joints = self._velocities
        target[joints] += row[columns] * world.tick_s
        arm = target[:NUM_ARM_JOINTS]
        if self._twist[0]:
            twist = np.zeros(6)
            twist[self._twist[1]] = row[self._twist[0]]
            arm += world.kinematics.joint_rates(arm, twist) * world.tick_s
        if self._pose[0]:
            pose = np.zeros(6)
            pose[self._pose[1]] = row[self._pose[0]]
            arm[:] = world.kinematics.joints_at(pose[:3], rotation_of(pose[3:]), arm, _STEPS)
        return np.clip(target, self._range.lower, self._range.upper)

    def row_for(self, target: np.ndarray) -> np.ndarray:
        """Return the row (Da,) that leads the set points to ``target`` (D,) in the next tick."""
        world, row = self._world, np.zeros(self._size)
        begin = world.command_in_force
        columns, joints = self._positions
        row[columns] = target[joints]
        columns, joints = self._velocities
        row[columns] = (target - begin)[joints] / world.tick_s
        if not self._twist[0] and not self._pose[0]:
            return row
        place, rotation = world.kinematics.tip(target[:NUM_ARM_JOINTS])
        row[self._pose[0]] = np.append(place, rotation_vector(rotation))[self._pose[1]]
        before, turned = world.kinematics.tip(begin[:NUM_ARM_JOINTS])
        moved = np.append(place - before, rotation_vector(rotation @ turned.T))
        row[self._twist[0]] = moved[self._twist[1]] / world.tick_s
        return row

    @property
    def vectors(self) -> dict[str, NamedVector]:
        """What the controller measures besides the joints."""
        place, rotation = self._world.kinematics.tip(self._world.positions[:NUM_ARM_JOINTS])
        return {HAND: NamedVector(POSE_NAMES, np.append(place, rotation_vector(rotation)))}
