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

    Its pose at the value v is ``place + sin(v) sine + (1 - cos(v)) versine + v slide``: for a
    turn that is Rodrigues' formula, multiplied out. ``column`` is that of the joint in the rows;
    None for one that does not move.
    """

    place: np.ndarray  # (4, 4), as the three below
    sine: np.ndarray
    versine: np.ndarray
    slide: np.ndarray
    column: int | None
    factor: float
    offset: float


class LinkChain:
    """Forward kinematics of one link for many rows of joint positions at once.

    A joint of the chain that is not among ``joint_names`` stays at 0; ``still`` names those.

    Args:
        urdf: Text of robot_description.
        joint_names: Columns of the rows.
        link: Link whose pose is computed; empty: the link with the most joints before it, the
            first of them in the text where several have as many.

    Attributes:
        base: Root link, in whose frame the poses are.
        link: The link.
        still: Moving joints of the chain that have no column.

    Raises:
        ValueError: Not a URDF with one root, no such link or the root itself, or a joint that is
            not a hinge, a slide or fixed; with the value.
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
        if not path:
            raise ValueError(
                f"robot_description: {self.link!r} is the root link, which never moves"
            )
        _refuse_others(path)
        columns = {name: column for column, name in enumerate(joint_names)}
        chain = [_joint(joint, columns) for joint in path]
        self.still = tuple(
            joint.get("name", "")
            for joint, each in zip(path, chain, strict=True)
            if each.column is None and joint.get("type") != "fixed"
        )
        self._offsets = np.array([each.offset for each in chain])
        self._factors = np.zeros((len(columns), len(chain)))  # values = rows @ factors + offsets
        for number, each in enumerate(chain):
            if each.column is not None:
                self._factors[each.column, number] = each.factor
        self._place = np.array([each.place for each in chain])
        self._sine = np.array([each.sine for each in chain])
        self._versine = np.array([each.versine for each in chain])
        self._slide = np.array([each.slide for each in chain])

    def poses(self, rows: np.ndarray) -> np.ndarray:
        """Return the link in the frame of ``base``, (N, 4, 4), for joint positions (N, Da)."""
        values = (rows @ self._factors + self._offsets)[:, :, None, None]
        joints = self._place + values * self._slide  # (N, J, 4, 4)
        joints += np.sin(values) * self._sine + (1.0 - np.cos(values)) * self._versine
        found: np.ndarray = joints[:, 0]
        for number in range(1, joints.shape[1]):
            found = found @ joints[:, number]
        return found

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Return the origin of the link, (N, 3) in m, for joint positions (N, Da)."""
        found: np.ndarray = self.poses(rows)[:, :3, 3]
        return found


def _joints_of(urdf: str) -> list[ElementTree.Element]:
    try:
        # XML allows nothing before its first line, ROS does.
        return ElementTree.fromstring(urdf.lstrip("\ufeff \t\r\n")).findall("joint")
    except ElementTree.ParseError as error:
        raise ValueError(f"robot_description is not XML: {error}") from None


def _refuse_others(path: Sequence[ElementTree.Element]) -> None:
    wrong = [f"{j.get('name')} ({j.get('type')})" for j in path if j.get("type") not in _KINDS]
    if wrong:
        raise ValueError(f"robot_description: joints must be of {list(_KINDS)}, got {wrong}")


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
    axis = _numbers(joint, "axis", "xyz", (1.0, 0.0, 0.0))
    length = np.linalg.norm(axis)
    if kind != "fixed" and not length > 0:
        raise ValueError(f"robot_description: joint {joint.get('name')!r} has the axis {axis}")
    axis = axis / (length or 1.0)
    place, cross, along = np.eye(4), np.zeros((4, 4)), np.zeros((4, 4))
    place[:3, 3] = _numbers(joint, "origin", "xyz", (0.0, 0.0, 0.0))
    place[:3, :3] = _turned(*_numbers(joint, "origin", "rpy", (0.0, 0.0, 0.0)))
    if kind in _TURNING:
        cross[:3, :3] = _cross(axis)
    elif kind == "prismatic":
        along[:3, 3] = axis
    return _Joint(
        place,
        place @ cross,
        place @ cross @ cross,
        place @ along,
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


def _cross(axis: np.ndarray) -> np.ndarray:
    x, y, z = axis
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _turned(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """Return the rotation (3, 3) about the fixed axes of the parent: x first."""
    found = np.eye(3)
    for axis, angle in zip(np.eye(3), (roll, pitch, yaw), strict=True):
        cross = _cross(axis)
        found = (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross) @ found
    return found
