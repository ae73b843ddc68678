"""The state of a model out of what is observed, and observations out of a state."""

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from ddpm_controller.planners.config import StateSource
from ddpm_controller.types import Observation, StreamSpec

_BASE_POSITIONS, _BASE_SPEEDS = 7, 6
"""Numbers of a floating body among qpos and qvel."""


class ObservedState:
    """Reads qpos and qvel of a model from streams.

    Args:
        model: Model of the planner; only its first joint may float.
        source: Which elements are which numbers.
        streams: Streams of the robot.
        rest: (nq,) qpos of what is not observed.

    Attributes:
        floats: Whether the first joint of the model does.

    Raises:
        ValueError: The numbers do not fit the model, or an element is in no stream.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        source: StateSource,
        streams: Sequence[StreamSpec],
        rest: np.ndarray,
    ) -> None:
        self.floats = bool(model.njnt) and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
        self._source, self._rest = source, rest
        self._positions_at = _BASE_POSITIONS if self.floats else 0
        self._speeds_at = _BASE_SPEEDS if self.floats else 0
        _refuse_misfit(source, model, self._positions_at, self._speeds_at)
        self._turns_velocity = source.velocity_frame == "body"
        self._places = {name: columns_of(getattr(source, name), streams) for name in _PARTS}
        self._num_speeds = model.nv

    def of(self, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
        """Return qpos (nq,) and qvel (nv,).

        Raises:
            ValueError: A number is not finite, or an orientation is none.
        """
        qpos, qvel = self._rest.copy(), np.zeros(self._num_speeds)
        values = observation.values
        if self.floats:
            self._read("base_position", values, qpos[:3])
            qpos[3:7] = self._quaternion(values)
            self._read("base_velocity", values, qvel[:3])
            self._read("angular_velocity", values, qvel[3:6])
        self._read("joint_positions", values, qpos[self._positions_at :])
        self._read("joint_velocities", values, qvel[self._speeds_at :])
        if not (np.isfinite(qpos).all() and np.isfinite(qvel).all()):
            raise ValueError(
                f"the observed state is not finite, and no plan is made from it: positions "
                f"{qpos.tolist()}, velocities {qvel.tolist()}"
            )
        if self.floats and self._turns_velocity:
            qvel[:3] = _rotation(qpos[3:7]) @ qvel[:3]
        return qpos, qvel

    def motion_of(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """Return how a floating body moves, (5,): forward, left, turn, height, heading; else 0."""
        if not self.floats:
            return np.zeros(5)
        rotation = _rotation(qpos[3:7])
        forward, left, _ = rotation.T @ qvel[:3]
        heading = np.arctan2(rotation[1, 0], rotation[0, 0])
        return np.array([forward, left, qvel[5], qpos[2], heading])

    def values_of(self, qpos: np.ndarray, qvel: np.ndarray) -> dict[str, dict[int, float]]:
        """Return stream -> its elements that show this state, the reverse of ``of``."""
        parts = {
            "joint_positions": qpos[self._positions_at :],
            "joint_velocities": qvel[self._speeds_at :],
        }
        if self.floats:
            rotation = _rotation(qpos[3:7])
            turned = rotation.T @ qvel[:3] if self._turns_velocity else qvel[:3]
            is_matrix = len(self._source.orientation) == 6
            orientation = rotation[:, :2].T.ravel() if is_matrix else qpos[3:7]
            base = {"base_position": qpos[:3], "base_velocity": turned}
            parts |= base | {"orientation": orientation, "angular_velocity": qvel[3:6]}
        found: dict[str, dict[int, float]] = {}
        for name, numbers in parts.items():
            for stream, (places, elements) in self._places[name].items():
                pairs = zip(elements, numbers[places].tolist(), strict=True)
                found.setdefault(stream, {}).update(pairs)
        return found

    def _read(self, part: str, values: Mapping[str, np.ndarray], into: np.ndarray) -> None:
        for stream, (places, elements) in self._places[part].items():
            into[places] = values[stream][elements]

    def _quaternion(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the orientation as w, x, y, z of length 1."""
        numbers = np.zeros(len(self._source.orientation))
        self._read("orientation", values, numbers)
        found = numbers if len(numbers) == 4 else _quaternion_of(numbers)
        length = float(np.linalg.norm(found))
        if not 0.5 < length < 2.0:
            raise ValueError(f"the observed orientation {numbers.tolist()} is none")
        unit: np.ndarray = found / length
        return unit


_PARTS = (
    *("base_position", "orientation", "base_velocity", "angular_velocity"),
    *("joint_positions", "joint_velocities"),
)


def _refuse_misfit(
    source: StateSource, model: mujoco.MjModel, positions_at: int, speeds_at: int
) -> None:
    """Refuse a model with other joints, or other numbers of elements than the model has."""
    plain = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
    joints = range(1 if positions_at else 0, model.njnt)
    if wrong := [model.joint(j).name for j in joints if model.jnt_type[j] not in plain]:
        raise ValueError(
            f"only the first joint of the model may float or be a ball, but {wrong} are as well"
        )
    has = {name: len(getattr(source, name)) for name in _PARTS}
    base = 3 if positions_at else 0
    needed = {name: [base] for name in _PARTS[:4]}
    needed["orientation"] = [4, 6] if positions_at else [0]
    needed["joint_positions"] = [model.nq - positions_at]
    needed["joint_velocities"] = [model.nv - speeds_at]
    if misfit := {name: has[name] for name in _PARTS if has[name] not in needed[name]}:
        raise ValueError(
            f"the state of the model needs elements {needed}, but there are {has}: correct "
            f"{misfit}"
        )


def place_of(name: str, streams: Sequence[StreamSpec]) -> tuple[str, int]:
    """Return the stream of an element ``stream/element``, and its number there.

    Raises:
        ValueError: There is none.
    """
    stream, _, element = name.partition("/")
    found = [
        each.names.index(element)
        for each in streams
        if stream == each.name and element in each.names
    ]
    if not found:
        known = {each.name: list(each.names) for each in streams if each.names}
        raise ValueError(f"{name!r} must be <stream>/<element> of {known}")
    return stream, found[0]


def columns_of(
    names: Sequence[str], streams: Sequence[StreamSpec]
) -> dict[str, tuple[list[int], list[int]]]:
    """Return stream -> (places among ``names``, elements of the stream); empty names are skipped.

    Raises:
        ValueError: An element is in no stream.
    """
    found: dict[str, tuple[list[int], list[int]]] = {}
    for place, name in enumerate(names):
        if name:
            stream, element = place_of(name, streams)
            places, elements = found.setdefault(stream, ([], []))
            places.append(place)
            elements.append(element)
    return found


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, quaternion)
    return flat.reshape(3, 3)


def _quaternion_of(columns: np.ndarray) -> np.ndarray:
    """Return w, x, y, z of the first two columns of a rotation (6,); 0 where they are none."""
    first, second = columns.reshape(2, 3)
    length = float(np.linalg.norm(first))
    first = first / max(length, 1e-9)
    second = second - first * (first @ second)
    other = float(np.linalg.norm(second))
    if not (0.5 < length < 2.0 and 0.5 < other < 2.0):
        return np.zeros(4)
    second = second / other
    matrix = np.stack([first, second, np.cross(first, second)], axis=1)
    found = np.zeros(4)
    mujoco.mju_mat2Quat(found, matrix.ravel())
    return found
