"""Where sites of a body are, from the joints: kinematics of many states at once.

Sensors of a rollout would cost nothing more, but their row k belongs to the state of row k - 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from ddpm_controller.rewards.motion import Motion


@dataclass(frozen=True, eq=False)
class _Link:
    """One body on the way of S sites, with its hinge; arrays by site.

    Attributes:
        columns: (S,) of qpos; None: it has no hinge.
        anchor: (S, 3, 1) of the joint in its body; None: at its origin.
        cross: (S, 3, 3) matrix of the cross product with the axis.
        plane: Two numbers of coordinates that turn into each other, where all hinges turn about
            the same axis of their bodies; None: they do not.
        place: (S, 3, 1) of the body in its parent.
        turn: (S, 3, 3) of the body in its parent; None: not turned.
    """

    columns: np.ndarray | None
    anchor: np.ndarray | None
    cross: np.ndarray
    plane: tuple[int, int] | None
    place: np.ndarray
    turn: np.ndarray | None

    def turned(self, places: np.ndarray, sine: np.ndarray, cosine: np.ndarray) -> np.ndarray:
        """Return places (S, 3, M or 1) turned about the hinges by angles (S, 1, M)."""
        arm = places - self.anchor if self.anchor is not None else places
        if self.plane is not None:
            first, second = (arm[:, number, None] for number in self.plane)
            shape = (len(arm), 3, sine.shape[2])
            found = np.empty(shape)
            found[:] = arm
            found[:, self.plane[0], None] = cosine * first - sine * second
            found[:, self.plane[1], None] = sine * first + cosine * second
        else:
            side = self.cross @ arm
            back = self.cross @ side
            found = (arm + back) + sine * side - cosine * back
        return found if self.anchor is None else found + self.anchor


class SitePlaces:
    """Places of sites, whose joints are a chain of hinges each from the world or a floating body.

    Args:
        model: Model, whose first joint may float.
        names: Sites, each with as many joints as the others, and all on the floating body or none.

    Raises:
        ValueError: A site is not there or hangs on something else.
    """

    def __init__(self, model: mujoco.MjModel, names: Sequence[str]) -> None:
        sites = [_site(model, name) for name in names]
        chains = [_chain(model, site, name) for site, name in zip(sites, names, strict=True)]
        kinds = {
            name: (len(chain), floats) for name, (chain, floats) in zip(names, chains, strict=True)
        }
        if len(set(kinds.values())) != 1:
            raise ValueError(
                f"sites must have as many joints each, all on a floating body or none, got {kinds}"
            )
        self._floats = chains[0][1]
        self._tips = model.site_pos[sites][:, :, None]  # (S, 3, 1)
        levels = zip(*(chain for chain, _ in chains), strict=True)
        self._links = [_link(model, bodies) for bodies in levels]

    def in_root(self, motion: Motion) -> np.ndarray:
        """Return places (S, 3, N * H) in the frame of the floating body or the world, m."""
        places = self._tips
        for link in self._links:
            if link.columns is not None:
                angle = motion.qpos[link.columns].reshape(len(link.columns), 1, -1)
                # Single precision, of 1e-7 m: the sines are the most expensive of a reward.
                angle = angle.astype(np.float32)
                places = link.turned(places, np.sin(angle), np.cos(angle))
            if link.turn is not None:
                places = link.turn @ places
            places = places + link.place
        return places

    def heights(self, motion: Motion) -> np.ndarray:
        """Return how high sites are in the world, (S, N, H), m."""
        places, shape = self.in_root(motion), motion.qpos.shape[1:]
        if not self._floats:
            return np.broadcast_to(places[:, 2], (len(places), shape[0] * shape[1])).reshape(
                -1, *shape
            )
        x, y, z = motion.down.reshape(3, -1)
        up = places[:, 0] * x + places[:, 1] * y + places[:, 2] * z
        found: np.ndarray = up.reshape(-1, *shape) + motion.qpos[2]
        return found

    def in_world(self, motion: Motion) -> np.ndarray:
        """Return places (S, 3, N, H) in the world, m."""
        places, shape = self.in_root(motion), motion.qpos.shape[1:]
        if self._floats:
            flat = motion.rotation.reshape(3, 3, -1)
            places = np.einsum("ijm,sjm->sim", flat, places)
            places = places + motion.qpos[:3].reshape(1, 3, -1)
        flat = np.broadcast_to(places, (len(places), 3, shape[0] * shape[1]))
        return flat.reshape(len(places), 3, *shape)


def _site(model: mujoco.MjModel, name: str) -> int:
    found = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, name)
    if found < 0:
        known = [model.site(index).name for index in range(model.nsite)]
        raise ValueError(f"the model has no site {name!r}; it has {known}")
    return int(found)


def _chain(model: mujoco.MjModel, site: int, name: str) -> tuple[list[int], bool]:
    """Return the bodies on the way of a site, the nearest first, and whether the last one floats.

    The floating body itself and the world are left out.
    """
    body, found = int(model.site_bodyid[site]), list[int]()
    while body:
        count, joint = int(model.body_jntnum[body]), int(model.body_jntadr[body])
        kinds = [mujoco.mjtJoint(each) for each in model.jnt_type[joint : joint + count]]
        if kinds == [mujoco.mjtJoint.mjJNT_FREE] and joint == 0:
            return found, True
        if kinds not in ([], [mujoco.mjtJoint.mjJNT_HINGE]):
            raise ValueError(
                f"site {name!r}: a body on its way must have one hinge or none, but "
                f"{model.body(body).name!r} has {[each.name for each in kinds]}"
            )
        found.append(body)
        body = int(model.body_parentid[body])
    return found, False


def _link(model: mujoco.MjModel, bodies: Sequence[int]) -> _Link:
    index = list(bodies)
    turns = np.stack([_matrix(quaternion) for quaternion in model.body_quat[index]])
    jointed = model.body_jntnum[index] > 0
    if jointed.any() != jointed.all():
        raise ValueError(
            "sites must have their joints at the same places of their chains, but of "
            f"{[model.body(each).name for each in index]} only some have one"
        )
    joints = model.body_jntadr[index]
    moves = bool(jointed.all())
    return _Link(
        columns=model.jnt_qposadr[joints] if moves else None,
        anchor=model.jnt_pos[joints][:, :, None] if model.jnt_pos[joints].any() else None,
        cross=np.stack([np.cross(axis, np.eye(3)).T for axis in model.jnt_axis[joints]]),
        plane=_plane(model.jnt_axis[joints]),
        place=model.body_pos[index][:, :, None],
        turn=None if np.allclose(turns, np.eye(3)) else turns,
    )


def _plane(axes: np.ndarray) -> tuple[int, int] | None:
    """Return the plane in which hinges of one axis turn, positive from the first to the second."""
    for number in range(3):
        if (axes == np.eye(3)[number]).all():
            return (number + 1) % 3, (number + 2) % 3
    return None


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, quaternion)
    return flat.reshape(3, 3)
