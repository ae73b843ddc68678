"""Where the tip is, and which joints put it there."""

import mujoco
import numpy as np

from ddpm_controller.simulation.arm.arm import JOINT_NAMES, NUM_ARM_JOINTS, joint_range


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Return the rotation vector (3,), rad, of a rotation (3, 3)."""
    quaternion, vector = np.zeros(4), np.zeros(3)
    mujoco.mju_mat2Quat(quaternion, rotation.ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector


def rotation_of(vector: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) of a rotation vector (3,), rad."""
    quaternion, matrix = np.zeros(4), np.zeros(9)
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 0 else np.array([0.0, 0.0, 1.0])
    mujoco.mju_axisAngle2Quat(quaternion, axis, angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


class Kinematics:
    """Forward and inverse kinematics on a scratch state of its own."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._state = mujoco.MjData(model)
        self._tip = model.site("tip").id
        self._positions = [model.joint(name).qposadr[0] for name in JOINT_NAMES[:NUM_ARM_JOINTS]]
        self._columns = [model.joint(name).dofadr[0] for name in JOINT_NAMES[:NUM_ARM_JOINTS]]
        self._range = joint_range()
        self._jacobian = np.zeros((2, 3, model.nv))

    def tip(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the tip's position (3,) in m and its rotation (3, 3) for joints (6,)."""
        self._state.qpos[self._positions] = joints
        mujoco.mj_kinematics(self._model, self._state)
        return (
            self._state.site_xpos[self._tip].copy(),
            self._state.site_xmat[self._tip].reshape(3, 3).copy(),
        )

    def joints_for(
        self,
        position: np.ndarray,
        yaw: float,
        start: np.ndarray,
        num_steps: int = 30,
        damping: float = 0.02,
        tolerance: float = 1e-5,
    ) -> np.ndarray:
        """Return joints (6,) that hold the hand straight down at a place; see ``joints_at``.

        Args:
            position: Position of the tip, (3,), m.
            yaw: Angle of the hand about the vertical, rad.
            start: Joints to start from, (6,).
            num_steps: At the most.
            damping: Damping of the least squares.
            tolerance: Error in m and rad at which to stop.
        """
        cosine, sine = np.cos(yaw), np.sin(yaw)
        wanted = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        return self.joints_at(position, wanted, start, num_steps, damping, tolerance)

    def joints_at(
        self,
        position: np.ndarray,
        wanted: np.ndarray,
        start: np.ndarray,
        num_steps: int = 30,
        damping: float = 0.02,
        tolerance: float = 1e-5,
    ) -> np.ndarray:
        """Return joints (6,) that hold the hand at a place, turned by ``wanted`` (3, 3).

        Damped least squares (Wampler 1986), warm-started, so that a smooth path of the tip
        gives a smooth path of the joints. Out of reach it returns the nearest it found.
        """
        lower, upper = self._range.lower[:NUM_ARM_JOINTS], self._range.upper[:NUM_ARM_JOINTS]
        joints = start.copy()
        for _ in range(num_steps):
            here, rotation = self.tip(joints)
            turn = 0.5 * sum(np.cross(rotation[:, k], wanted[:, k]) for k in range(3))
            error = np.concatenate([position - here, turn])
            if np.abs(error).max() < tolerance:
                break
            jacobian = self._tip_jacobian()
            square = jacobian @ jacobian.T + damping**2 * np.eye(6)
            joints = np.clip(joints + jacobian.T @ np.linalg.solve(square, error), lower, upper)
        return joints

    def joint_rates(
        self, joints: np.ndarray, twist: np.ndarray, damping: float = 0.02
    ) -> np.ndarray:
        """Return the velocities (6,) of joints (6,) that move the tip with a twist.

        Args:
            joints: Position, rad.
            twist: (6,) velocity of the tip, m/s, and its angular velocity, rad/s, along the axes
                of the base.
            damping: Damping of the least squares.
        """
        self.tip(joints)
        jacobian = self._tip_jacobian()
        square = jacobian @ jacobian.T + damping**2 * np.eye(6)
        rates: np.ndarray = jacobian.T @ np.linalg.solve(square, twist)
        return rates

    def _tip_jacobian(self) -> np.ndarray:
        """Return d(position, rotation) / d(joints), (6, 6), at the last ``tip``."""
        mujoco.mj_comPos(self._model, self._state)
        mujoco.mj_jacSite(
            self._model, self._state, self._jacobian[0], self._jacobian[1], self._tip
        )
        return self._jacobian[:, :, self._columns].reshape(6, NUM_ARM_JOINTS)
