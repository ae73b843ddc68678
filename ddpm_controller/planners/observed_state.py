"""The state of a model out of what is observed, and observations out of a state."""

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from ddpm_controller.planners.config import StateSource
from ddpm_controller.types import Observation, StreamSpec


class ObservedState:
    """Reads qpos and qvel of a model from streams.

    Args:
        model: Model of the planner.
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
        sizes = (len(source.positions), len(source.velocities))
        if sizes != (model.nq, model.nv):
            raise ValueError(
                f"the state of the model has {model.nq} positions and {model.nv} velocities, but "
                f"elements for {sizes[0]} and {sizes[1]} are named"
            )
        self._rest = rest
        self._positions = _columns(source.positions, streams)
        self._velocities = _columns(source.velocities, streams)
        self.floats = bool(model.njnt) and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
        self._turns_velocity = self.floats and source.velocity_frame == "body"

    def of(self, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
        """Return qpos (nq,) and qvel (nv,).

        Raises:
            ValueError: A number is not finite, or an orientation has no length.
        """
        qpos = _filled(self._rest, self._positions, observation.values)
        qvel = _filled(np.zeros_like(qpos)[:0], self._velocities, observation.values)
        if not (np.isfinite(qpos).all() and np.isfinite(qvel).all()):
            raise ValueError(
                f"the observed state is not finite: positions {qpos.tolist()}, velocities "
                f"{qvel.tolist()}: no plan is made from it"
            )
        if self.floats:
            length = float(np.linalg.norm(qpos[3:7]))
            if length < 0.5:
                raise ValueError(
                    f"the observed orientation {qpos[3:7].tolist()} is no quaternion of length 1"
                )
            qpos[3:7] /= length
            if self._turns_velocity:
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
        if self._turns_velocity:
            qvel = qvel.copy()
            qvel[:3] = _rotation(qpos[3:7]).T @ qvel[:3]
        found: dict[str, dict[int, float]] = {}
        for columns, numbers in ((self._positions, qpos), (self._velocities, qvel)):
            for name, (places, elements) in columns.items():
                if name:
                    pairs = zip(elements, numbers[places].tolist(), strict=True)
                    found.setdefault(name, {}).update(pairs)
        return found


def place_of(name: str, streams: Sequence[StreamSpec]) -> tuple[str, int]:
    """Return the stream that has an element, and its number there.

    Raises:
        ValueError: None has it.
    """
    found = [(each.name, each.names.index(name)) for each in streams if name in each.names]
    if not found:
        known = {each.name: list(each.names) for each in streams if each.names}
        raise ValueError(f"no stream has the element {name!r}; there are {known}")
    return found[0]


def _columns(
    names: Sequence[str], streams: Sequence[StreamSpec]
) -> dict[str, tuple[list[int], list[int]]]:
    """Return stream -> (numbers of the state, elements of the stream); "" -> those unobserved."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for number, name in enumerate(names):
        stream, element = place_of(name, streams) if name else ("", 0)
        places, elements = found.setdefault(stream, ([], []))
        places.append(number)
        elements.append(element)
    return found


def _filled(
    rest: np.ndarray,
    columns: Mapping[str, tuple[list[int], list[int]]],
    values: Mapping[str, np.ndarray],
) -> np.ndarray:
    count = sum(len(places) for places, _ in columns.values())
    found = rest.copy() if len(rest) else np.zeros(count)
    for stream, (places, elements) in columns.items():
        if stream:
            found[places] = values[stream][elements]
    return found


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, quaternion)
    return flat.reshape(3, 3)
