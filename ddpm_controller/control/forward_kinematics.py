"""Where a link of a robot is, from its URDF: the chain of joints that leads to it, row by row."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_TURNING = ("revolute", "continuous")
_KINDS = (*_TURNING, "prismatic", "fixed")


@dataclass(frozen=True)
class _Joint:
    """One joint of the chain: a fixed place, then a turn or a slide of factor * value + offset.

    ``column`` is that of the joint in the rows; None for one that does not move.
    """

    place: np.ndarray  # (4, 4)
    turns: bool
    axis: np.ndarray  # (3,), of length 1
    column: int | None
    factor: float
    offset: float

    def poses(self, rows: np.ndarray) -> np.ndarray:
        """(N, Da) -> (N, 4, 4) or (4, 4)."""
        if self.column is None and not self.offset:
            return self.place
        moved = np.zeros(len(rows)) if self.column is None else rows[:, self.column]
        values = self.factor * moved + self.offset
        moving = np.tile(np.eye(4), (len(rows), 1, 1))
        if self.turns:
            moving[:, :3, :3] = _turns(self.axis, values)
        else:
            moving[:, :3, 3] = values[:, None] * self.axis
        found: np.ndarray = self.place @ moving
        return found


class LinkChain:
    """Forward kinematics of one link for many rows of joint positions at once.

    A joint of the chain that is not among ``joint_names`` stays at 0; ``still`` names those.

    Args:
        urdf: Text of robot_description.
        joint_names: Columns of the rows.
        link: Whose pose is wanted; empty: the link with the most joints before it, the first of
            them in the text where several have as many.

    Attributes:
        base: Root link, in whose frame the poses are.
        link: The link.
        still: Moving joints of the chain that have no column.

    Raises:
        ValueError: Not a URDF with one root, no such link, or a joint that is not a hinge, a
            slide or fixed; with the value.
    """

    def __init__(self, urdf: str, joint_names: Sequence[str], link: str = "") -> None:
        joints = _joints_of(urdf)
        above = {_link(joint, "child"): joint for joint in joints}
        links = [*(_link(joint, "parent") for joint in joints), *above]
        roots = list(dict.fromkeys(each for each in links if each not in above))
        if len(roots) != 1:
            raise ValueError(f"robot_description must have one root link, got {roots}")
        self.base = roots[0]
        if link and link not in links:
            raise ValueError(f"robot_description has no link {link!r} on a joint, but {links}")
        self.link = link or max(above, key=lambda each: len(_path(above, each)))
        path = _path(above, self.link)
        columns = {name: column for column, name in enumerate(joint_names)}
        self._chain = [_joint(joint, columns) for joint in path]
        self.still = tuple(
            joint.get("name", "")
            for joint, each in zip(path, self._chain, strict=True)
            if each.column is None and joint.get("type") != "fixed"
        )

    def poses(self, rows: np.ndarray) -> np.ndarray:
        """Return the link in the frame of ``base``, (N, 4, 4), for joint positions (N, Da)."""
        found = np.tile(np.eye(4), (len(rows), 1, 1))
        for joint in self._chain:
            found = found @ joint.poses(rows)
        return found

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Return the origin of the link, (N, 3) in m, for joint positions (N, Da)."""
        found: np.ndarray = self.poses(rows)[:, :3, 3]
        return found


def _joints_of(urdf: str) -> list[ElementTree.Element]:
    try:
        joints = ElementTree.fromstring(urdf).findall("joint")
    except ElementTree.ParseError as error:
        raise ValueError(f"robot_description is not XML: {error}") from None
    wrong = [f"{j.get('name')} ({j.get('type')})" for j in joints if j.get("type") not in _KINDS]
    if wrong:
        raise ValueError(f"robot_description: joints must be of {list(_KINDS)}, got {wrong}")
    return joints


def _link(joint: ElementTree.Element, side: str) -> str:
    element = joint.find(side)
    name = None if element is None else element.get("link")
    if not name:
        raise ValueError(f"robot_description: joint {joint.get('name')!r} has no {side} link")
    return name


def _path(above: Mapping[str, ElementTree.Element], link: str) -> list[ElementTree.Element]:
    """Return the joints from the root to ``link``."""
    path: list[ElementTree.Element] = []
    while link in above:
        if len(path) == len(above):
            raise ValueError(f"robot_description: the joints above {link!r} make a circle")
        path.insert(0, above[link])
        link = _link(above[link], "parent")
    return path


def _joint(joint: ElementTree.Element, columns: Mapping[str, int]) -> _Joint:
    kind, mimic = joint.get("type"), joint.find("mimic")
    mover = joint.get("name", "") if mimic is None else mimic.get("joint", "")
    place, axis = np.eye(4), _numbers(joint, "axis", "xyz", (1.0, 0.0, 0.0))
    place[:3, 3] = _numbers(joint, "origin", "xyz", (0.0, 0.0, 0.0))
    roll, pitch, yaw = _numbers(joint, "origin", "rpy", (0.0, 0.0, 0.0))
    x, y, z = np.eye(3)
    # About the fixed axes of the parent: roll first.
    place[:3, :3] = _turn(z, yaw) @ _turn(y, pitch) @ _turn(x, roll)
    length = np.linalg.norm(axis)
    if kind != "fixed" and not length > 0:
        raise ValueError(f"robot_description: joint {joint.get('name')!r} has the axis {axis}")
    return _Joint(
        place,
        turns=kind in _TURNING,
        axis=axis / (length or 1.0),
        column=None if kind == "fixed" else columns.get(mover),
        factor=1.0 if mimic is None else float(mimic.get("multiplier", 1.0)),
        offset=0.0 if mimic is None else float(mimic.get("offset", 0.0)),
    )


def _numbers(
    joint: ElementTree.Element, tag: str, key: str, default: tuple[float, float, float]
) -> np.ndarray:
    element = joint.find(tag)
    text = None if element is None else element.get(key)
    try:
        values = default if text is None else tuple(float(word) for word in text.split())
    except ValueError:
        values = ()
    if len(values) != 3:
        raise ValueError(
            f"robot_description: joint {joint.get('name')!r} needs three numbers for {key} of "
            f"<{tag}>, got {text!r}"
        )
    return np.array(values)


def _turn(axis: np.ndarray, angle: float) -> np.ndarray:
    found: np.ndarray = _turns(axis, np.array([angle]))[0]
    return found


def _turns(axis: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) about a unit axis (3,) by angles (N,): Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, cosine = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    found: np.ndarray = np.eye(3) + sine * cross + (1.0 - cosine) * (cross @ cross)
    return found
