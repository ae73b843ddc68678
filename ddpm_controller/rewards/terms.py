"""Terms of a reward: what a tick of a motion is worth, (N, H), 0 at the best.

A term is bound to a model, which refuses names that the model lacks; what is bound is a plain
callable. Angles rad, lengths m; ``requests`` of the motion go before the numbers given here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from ddpm_controller.rewards.gaits import swing_heights
from ddpm_controller.rewards.motion import Motion
from ddpm_controller.rewards.site_places import SitePlaces

Reward = Callable[[Motion], np.ndarray]
"""What N motions of H ticks are worth, (N, H)."""
HEIGHT, FORWARD, LEFT, TURN, HEADING = "height", "forward", "left", "turn", "heading"
DUTY, SWING, CLEARANCE = "duty", "swing_height", "clearance"
"""Names of requests: m, m/s, m/s, rad/s, rad; share, m and m."""


@dataclass(frozen=True)
class GaitTerm:
    """Feet as high as the gait has them: less the squares of their distances in units of a scale.

    Attributes:
        feet: Sites, in the order front right, front left, rear right, rear left.
        phases: Share of a period by which each is later.
        duty: Share of a period on the ground.
        height_m: Height of a foot in the middle of its swing, above ``ground_m``.
        ground_m: Height of the site of a foot that stands.
        scale_m: Distance that costs 1.
    """

    feet: tuple[str, ...]
    phases: tuple[float, ...]
    duty: float
    height_m: float
    ground_m: float = 0.02
    scale_m: float = 0.05

    def __post_init__(self) -> None:
        if len(self.feet) != len(self.phases):
            raise ValueError(
                f"a gait needs one phase for each foot, got {len(self.phases)} for {self.feet}"
            )

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        places = SitePlaces(model, self.feet)

        def reward(motion: Motion) -> np.ndarray:
            duty = float(motion.requests.get(DUTY, self.duty))
            height_m = float(motion.requests.get(SWING, self.height_m))
            wanted = swing_heights(motion.turns, duty, height_m, self.phases) + self.ground_m
            away = (places.heights(motion) - wanted[:, None]) / self.scale_m
            return -(away * away).sum(axis=0)

        return reward


@dataclass(frozen=True)
class ClearanceTerm:
    """Feet in the middle of their swing at least so high: less squares of what is missing.

    Attributes:
        feet: Sites, as those of a gait.
        phases: Share of a period by which each is later.
        duty: Share of a period on the ground.
        clearance_m: Height that is needed in the middle of a swing, above ``ground_m``.
        ground_m: Height of the site of a foot that stands.
        scale_m: Distance that costs 1.
    """

    feet: tuple[str, ...]
    phases: tuple[float, ...]
    duty: float
    clearance_m: float
    ground_m: float = 0.02
    scale_m: float = 0.05

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        places = SitePlaces(model, self.feet)

        def reward(motion: Motion) -> np.ndarray:
            duty = float(motion.requests.get(DUTY, self.duty))
            height_m = float(motion.requests.get(CLEARANCE, self.clearance_m))
            wanted = swing_heights(motion.turns, duty, height_m, self.phases) + self.ground_m
            missing = np.maximum(wanted[:, None] - places.heights(motion), 0.0) / self.scale_m
            return -(missing * missing).sum(axis=0)

        return reward


@dataclass(frozen=True)
class UprightTerm:
    """A floating body upright: less the square of the way between the tips of the verticals."""

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        _refuse_fixed(model)
        return lambda motion: 2.0 * (motion.upright - 1.0)


@dataclass(frozen=True)
class VelocityTerm:
    """Velocity of a floating body in its own frame: less the square of the difference.

    Attributes:
        forward: Target, m/s.
        left: Target, m/s.
    """

    forward: float = 0.0
    left: float = 0.0

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        _refuse_fixed(model)

        def reward(motion: Motion) -> np.ndarray:
            ahead, aside = motion.body_velocity
            ahead = ahead - motion.requests.get(FORWARD, self.forward)
            aside = aside - motion.requests.get(LEFT, self.left)
            found: np.ndarray = -(ahead * ahead + aside * aside)
            return found

        return reward


@dataclass(frozen=True)
class TurnTerm:
    """Rate of turn of a floating body about its vertical: less the square of the difference.

    Attributes:
        rate: Target, rad/s.
    """

    rate: float = 0.0

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        _refuse_fixed(model)
        return lambda motion: -((motion.qvel[5] - motion.requests.get(TURN, self.rate)) ** 2)


@dataclass(frozen=True)
class YawTerm:
    """Heading of a floating body: less the square of the angle to it.

    Attributes:
        heading: Target, rad.
    """

    heading: float = 0.0

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        _refuse_fixed(model)

        def reward(motion: Motion) -> np.ndarray:
            away = motion.yaw - motion.requests.get(HEADING, self.heading)
            found: np.ndarray = -((np.mod(away + np.pi, 2 * np.pi) - np.pi) ** 2)
            return found

        return reward


@dataclass(frozen=True)
class HeightTerm:
    """Height of a floating body: less the square of the difference.

    Attributes:
        height_m: Target.
    """

    height_m: float

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        _refuse_fixed(model)
        return lambda motion: -((motion.qpos[2] - motion.requests.get(HEIGHT, self.height_m)) ** 2)


@dataclass(frozen=True)
class EnergyTerm:
    """Mechanical power of all joints that are driven, less W, at the end of each tick."""

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        joints = _driven(model)
        positions, speeds = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        gain = model.actuator_gainprm[:, 0][:, None, None]
        fixed, stiffness, damping = model.actuator_biasprm[:, :3].T[:, :, None, None]
        has_bias = (model.actuator_biastype == mujoco.mjtBias.mjBIAS_AFFINE)[:, None, None]
        limited = (model.actuator_forcelimited > 0)[:, None, None]
        low, high = model.actuator_forcerange.T[:, :, None, None]
        low, high = np.where(limited, low, -np.inf), np.where(limited, high, np.inf)

        def reward(motion: Motion) -> np.ndarray:
            speed = motion.qvel[speeds]
            bias = fixed + stiffness * motion.qpos[positions] + damping * speed
            force = np.clip(gain * motion.controls + np.where(has_bias, bias, 0.0), low, high)
            found: np.ndarray = -np.abs(force * speed).sum(axis=0)
            return found

        return reward


@dataclass(frozen=True)
class JointLimitsTerm:
    """Joints within their ranges: less squares of how far they are in the margin or beyond it.

    Attributes:
        margin: Distance from the limit at which it begins to cost, rad or m.
    """

    margin: float = 0.1

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        joints = np.flatnonzero(model.jnt_limited)
        if not len(joints):
            raise ValueError("no joint of the model has limits")
        columns = model.jnt_qposadr[joints]
        low, high = model.jnt_range[joints].T[:, :, None, None]

        def reward(motion: Motion) -> np.ndarray:
            place = motion.qpos[columns]
            beyond = np.maximum(low + self.margin - place, place - high + self.margin)
            beyond = np.maximum(beyond, 0.0)
            found: np.ndarray = -(beyond * beyond).sum(axis=0)
            return found

        return reward


@dataclass(frozen=True)
class PostureTerm:
    """Joints as in a key frame of the model: less squares of the differences.

    Attributes:
        keyframe: Name of the key frame.
        joints: Names; empty: all hinges and slides.
    """

    keyframe: str = "home"
    joints: tuple[str, ...] = ()

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        names = self.joints or tuple(
            model.joint(index).name for index in range(model.njnt) if model.jnt_type[index] > 1
        )
        columns = [_column(model, name) for name in names]
        wanted = keyframe(model, self.keyframe).qpos[columns][:, None, None]

        def reward(motion: Motion) -> np.ndarray:
            away = motion.qpos[columns] - wanted
            found: np.ndarray = -(away * away).sum(axis=0)
            return found

        return reward


@dataclass(frozen=True)
class JointTerm:
    """One joint at a place: less the square of the difference, or of a turning one 1 - cos.

    Attributes:
        joint: Name.
        target: Target, rad or m.
        turns: Whether full turns make no difference.
    """

    joint: str
    target: float = 0.0
    turns: bool = False

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        column = _column(model, self.joint)
        if self.turns:
            return lambda motion: np.cos(motion.qpos[column] - self.target) - 1.0
        return lambda motion: -((motion.qpos[column] - self.target) ** 2)


@dataclass(frozen=True)
class JointVelocityTerm:
    """Speed of one joint: less the square of the difference.

    Attributes:
        joint: Name.
        target: Target, rad/s or m/s.
    """

    joint: str
    target: float = 0.0

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        speed = int(model.jnt_dofadr[_joint(model, self.joint)])
        return lambda motion: -((motion.qvel[speed] - self.target) ** 2)


@dataclass(frozen=True)
class ControlTerm:
    """Commands near those of a key frame, or 0: less squares of the differences.

    Attributes:
        keyframe: Name of the key frame; empty: 0.
    """

    keyframe: str = ""

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        rest = keyframe(model, self.keyframe).ctrl if self.keyframe else np.zeros(model.nu)

        def reward(motion: Motion) -> np.ndarray:
            away = motion.controls - rest[:, None, None]
            found: np.ndarray = -(away * away).sum(axis=0)
            return found

        return reward


@dataclass(frozen=True)
class SmoothTerm:
    """Commands that change little from tick to tick: less squares of the changes."""

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""

        def reward(motion: Motion) -> np.ndarray:
            change = np.diff(motion.controls, axis=2, prepend=motion.controls[:, :, :1])
            found: np.ndarray = -(change * change).sum(axis=0)
            return found

        return reward


@dataclass(frozen=True)
class ReachTerm:
    """A site at a place of the world: less its distance, m.

    Attributes:
        site: Name.
        place: Target, (x, y, z), m.
    """

    site: str
    place: tuple[float, float, float]

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        places = SitePlaces(model, (self.site,))
        target = np.array(self.place)[:, None, None]
        return lambda motion: -np.linalg.norm(places.in_world(motion)[0] - target, axis=0)


@dataclass(frozen=True)
class KeepOutTerm:
    """Sites outside a box of the world: less how deep they are in it, m, summed.

    Attributes:
        sites: Names.
        low: Corner of the box, (x, y, z), m.
        high: Opposite corner.
        margin_m: Distance from the box at which it begins to cost.
    """

    sites: tuple[str, ...]
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    margin_m: float = 0.0

    def __post_init__(self) -> None:
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"a box needs low below high, got {self.low} and {self.high}")

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward."""
        places = SitePlaces(model, self.sites)
        low = np.array(self.low)[:, None, None] - self.margin_m
        high = np.array(self.high)[:, None, None] + self.margin_m

        def reward(motion: Motion) -> np.ndarray:
            place = places.in_world(motion)
            depth = np.minimum(place - low, high - place).min(axis=1)
            found: np.ndarray = -np.maximum(depth, 0.0).sum(axis=0)
            return found

        return reward


TERMS: Mapping[str, type[Any]] = {
    "gait": GaitTerm,
    "foot_clearance": ClearanceTerm,
    "upright": UprightTerm,
    "velocity": VelocityTerm,
    "turn": TurnTerm,
    "yaw": YawTerm,
    "height": HeightTerm,
    "energy": EnergyTerm,
    "joint_limits": JointLimitsTerm,
    "posture": PostureTerm,
    "joint": JointTerm,
    "joint_velocity": JointVelocityTerm,
    "control": ControlTerm,
    "smooth": SmoothTerm,
    "reach": ReachTerm,
    "keep_out": KeepOutTerm,
}
"""Every term by its name in a task file."""


def keyframe(model: mujoco.MjModel, name: str) -> Any:
    """Return a key frame of a model.

    Raises:
        ValueError: It has none of this name.
    """
    known = [model.key(index).name for index in range(model.nkey)]
    if name not in known:
        raise ValueError(f"the model has no key frame {name!r}; it has {known}")
    return model.key(name)


def _joint(model: mujoco.MjModel, name: str) -> int:
    found = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)
    if found < 0 or model.jnt_type[found] < int(mujoco.mjtJoint.mjJNT_SLIDE):
        known = [model.joint(j).name for j in range(model.njnt) if model.jnt_type[j] > 1]
        raise ValueError(f"the model has no hinge or slide {name!r}; it has {known}")
    return int(found)


def _column(model: mujoco.MjModel, name: str) -> int:
    return int(model.jnt_qposadr[_joint(model, name)])


def _driven(model: mujoco.MjModel) -> Sequence[int]:
    kinds = set(model.actuator_trntype.tolist())
    if kinds != {int(mujoco.mjtTrn.mjTRN_JOINT)}:
        raise ValueError("every actuator of the model must drive a joint")
    joints: Sequence[int] = model.actuator_trnid[:, 0]
    return joints


def _refuse_fixed(model: mujoco.MjModel) -> None:
    if not model.njnt or model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(
            "the first joint of the model must float, and it has "
            f"{[model.joint(index).name for index in range(model.njnt)]}"
        )
