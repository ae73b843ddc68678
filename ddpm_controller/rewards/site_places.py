"""Where sites of a body are, from the joints: kinematics of many states at once.

Sensors of a rollout would cost nothing more, but their row k belongs to the state of row k - 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from ddpm_controller.rewards.motion import Motion

Places = list[np.ndarray]
"""x, y and z of S sites in M states, (S, M) each, or (S, 1) where all states share them."""


@dataclass(frozen=True, eq=False)
class _Link:
    """One body on the way of S sites, with its hinge; arrays by site.

    Attributes:
        columns: (S,) of qpos; None: it has no hinge.
        anchor: (3, S, 1) of the joint in its body; None: at its origin.
        cross: (S, 3, 3) matrix of the cross product with the axis.
        plane: Two numbers of coordinates that turn into each other, where all hinges turn about
            the same axis of their bodies; None: they do not.
        place: x, y and z (S, 1) of the body in its parent; None: 0 for all.
        turn: (S, 3, 3) of the body in its parent; None: not turned.
    """

    columns: np.ndarray | None
    anchor: np.ndarray | None
    cross: np.ndarray
    plane: tuple[int, int] | None
    place: list[np.ndarray | None]
    turn: np.ndarray | None

    def moved(self, places: Places, sine: np.ndarray, cosine: np.ndarray) -> Places:
        """Return places in the parent of the body, of angles (S, M)."""
        if self.anchor is not None:
            places = [each - off for each, off in zip(places, self.anchor, strict=True)]
        if self.plane is not None:
            first, second = (places[number] for number in self.plane)
            places = list(places)
            places[self.plane[0]] = cosine * first - sine * second
            places[self.plane[1]] = sine * first + cosine * second
        else:
            side = _applied(self.cross, places)
            back = _applied(self.cross, side)
            triples = zip(places, side, back, strict=True)
            places = [one + two * sine + three * (1 - cosine) for one, two, three in triples]
        if self.anchor is not None:
            places = [each + off for each, off in zip(places, self.anchor, strict=True)]
        return places


def _applied(matrices: np.ndarray, places: Places) -> Places:
    """Return places (S, M) each turned by matrices (S, 3, 3)."""
    x, y, z = places
    rows = (matrices[:, row, :, None] for row in range(3))
    return [row[:, 0] * x + row[:, 1] * y + row[:, 2] * z for row in rows]


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
        self._tips = model.site_pos[sites].T[:, :, None]  # (3, S, 1)
        levels = zip(*(chain for chain, _ in chains), strict=True)
        self._links = [_link(model, bodies) for bodies in levels]

    def in_root(self, motion: Motion) -> Places:
        """Return x, y, z (S, N * H) in the frame of the floating body or the world, m."""
        places: Places = list(self._tips)
        for link in self._links:
            if link.columns is not None:
                angle = motion.qpos[link.columns].reshape(len(link.columns), -1)
                # Single precision, of 1e-7 m: the sines are the most expensive of a reward.
                angle = angle.astype(np.float32)
                sine, cosine = np.sin(angle).astype(np.float64), np.cos(angle).astype(np.float64)
                places = link.moved(places, sine, cosine)
            if link.turn is not None:
                places = _applied(link.turn, places)
            pairs = zip(places, link.place, strict=True)
            places = [each if off is None else each + off for each, off in pairs]
        return places

    def heights(self, motion: Motion) -> np.ndarray:
        """Return how high sites are in the world, (S, N, H), m."""
        places, shape = self.in_root(motion), motion.qpos.shape[1:]
        up = places[2]
        if self._floats:
            x, y, z = motion.down.reshape(3, -1)
            up = places[0] * x + places[1] * y + places[2] * z
        found = np.broadcast_to(up, (len(up), shape[0] * shape[1])).reshape(-1, *shape)
        return found + motion.qpos[2] if self._floats else found

    def in_world(self, motion: Motion) -> np.ndarray:
        """Return places (S, 3, N, H) in the world, m."""
        shape = motion.qpos.shape[1:]
        width = (len(self._tips[0]), shape[0] * shape[1])
        rows = [np.broadcast_to(each, width) for each in self.in_root(motion)]
        places = np.stack(rows, axis=1)
        if self._floats:
            flat = motion.rotation.reshape(3, 3, -1)
            places = np.einsum("ijm,sjm->sim", flat, places)
            places = places + motion.qpos[:3].reshape(1, 3, -1)
        return places.reshape(len(places), 3, *shape)


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
        anchor=model.jnt_pos[joints].T[:, :, None] if model.jnt_pos[joints].any() else None,
        cross=np.stack([np.cross(axis, np.eye(3)).T for axis in model.jnt_axis[joints]]),
        plane=_plane(model.jnt_axis[joints]),
        place=[row[:, None] if row.any() else None for row in model.body_pos[index].T],
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
