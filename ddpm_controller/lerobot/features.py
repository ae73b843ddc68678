"""Which feature of a data set is which stream of a robot: by name, in SI, in the robot's order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.messages.units import UNITS
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import RobotStream

STATE, ACTION = "observation.state", "action"
IMAGES = "observation.images."
_OBSERVATION = "observation."
_OF_MOTORS = (".pos", ".vel")
"""What LeRobot writes behind the names of motors."""
COUNTERS: Mapping[str, str] = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""Features that every data set has, and the types of their numbers."""


@dataclass(frozen=True)
class Columns:
    """Where the numbers of a robot are in the numbers of a feature.

    Attributes:
        feature: Name of the feature.
        order: Column of each number of the robot, (D,).
        scales: Number in SI = scale * number of the feature, (D,).
    """

    feature: str
    order: np.ndarray
    scales: np.ndarray

    def taken(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (N, D) of the robot of rows of the feature, float64."""
        chosen = np.asarray(rows, dtype=np.float64)[:, self.order]
        return np.ascontiguousarray(chosen * self.scales)


@dataclass(frozen=True)
class Matching:
    """What belongs together where names do not show it.

    Attributes:
        features: Stream -> feature.
        by_position: Numbers without fitting names are taken in the robot's order.
        angles: Unit of angles where the data set names none, ``rad`` or ``deg``.
    """

    features: Mapping[str, str]
    by_position: bool = False
    angles: str = "rad"


def stream_features(robot: Robot) -> dict[str, str]:
    """Return stream -> name of its feature; the first vector is the state, texts are tasks."""
    found: dict[str, str] = {}
    for stream in robot.streams:
        if stream.is_text:
            continue
        name = stream.spec.name
        if stream.spec.kind == "image":
            found[name] = f"{IMAGES}{name}"
        else:
            found[name] = f"{_OBSERVATION}{name}" if STATE in found.values() else STATE
    return found


def refuse_depth(robot: Robot) -> None:
    """Refuse streams of depth, which this format has no place for.

    Raises:
        LeRobotError: With the streams.
    """
    if found := [each.name for each in robot.stream_specs if each.depth_range_m is not None]:
        raise LeRobotError(
            f"streams {found} are of depth, which a LeRobot data set does not hold: leave them "
            "out of the robot file"
        )


def vector_feature(names: Sequence[str], units: Sequence[str]) -> dict[str, Any]:
    """Return what info.json has of numbers; ``units`` is ours, LeRobot has no place for them."""
    return {
        "dtype": "float32",
        "shape": [len(names)],
        "names": list(names),
        "units": list(units),
    }


def image_feature(shape: Sequence[int], dtype: str) -> dict[str, Any]:
    """Return what info.json has of pictures: ``video``, or ``image`` for PNG in the tables."""
    return {"dtype": dtype, "shape": list(shape), "names": ["height", "width", "channels"]}


def matched(
    robot: Robot, features: Mapping[str, Any], matching: Matching
) -> tuple[dict[str, Columns], dict[str, str], Columns]:
    """Return the columns of vectors, the features of pictures, and the columns of the action.

    Raises:
        LeRobotError: A stream has no feature, or names, units or sizes do not fit.
    """
    names = stream_features(robot) | dict(matching.features)
    if unknown := sorted(set(matching.features) - {each.spec.name for each in robot.streams}):
        raise LeRobotError(f"no stream is called {unknown}: streams are {sorted(names)}")
    vectors: dict[str, Columns] = {}
    images: dict[str, str] = {}
    for stream in robot.streams:
        if stream.is_text:
            continue
        name = stream.spec.name
        feature = features.get(names[name])
        if feature is None:
            raise LeRobotError(
                f"stream {name!r} needs the feature {names[name]!r}, the data set has "
                f"{sorted(set(features) - set(COUNTERS))}: name it, as --feature {name}=FEATURE"
            )
        if stream.spec.kind == "image":
            _refuse_size(stream, names[name], feature)
            images[name] = names[name]
        else:
            spec = stream.spec
            vectors[name] = _columns(names[name], feature, spec.names, spec.units, matching)
    if ACTION not in features:
        raise LeRobotError(f"the data set has no feature {ACTION!r}: it has {sorted(features)}")
    wanted = robot.action_spec
    action = _columns(ACTION, features[ACTION], wanted.joint_names, wanted.units, matching)
    return vectors, images, action


def _refuse_size(stream: RobotStream, name: str, feature: Mapping[str, Any]) -> None:
    size = image_size(feature)
    if feature["dtype"] not in ("video", "image") or size != stream.message_size:
        raise LeRobotError(
            f"feature {name!r} is {feature['dtype']} of {list(size)} (height, width), the "
            f"messages of stream {stream.spec.name!r} have {list(stream.message_size)}: set "
            "height and width in the robot file; crop and resize may follow"
        )


def image_size(feature: Mapping[str, Any]) -> tuple[int, int]:
    """Return height and width of pictures; some data sets have the channels first."""
    shape = [int(each) for each in feature["shape"]]
    if len(shape) != 3:
        return (0, 0)
    height, width = shape[1:] if shape[0] in (1, 3) and shape[2] not in (1, 3) else shape[:2]
    return height, width


def _columns(
    name: str,
    feature: Mapping[str, Any],
    wanted: Sequence[str],
    units: Sequence[str],
    matching: Matching,
) -> Columns:
    have = _names(feature)
    size = int(np.prod(feature["shape"]))
    short = [each.removesuffix(_OF_MOTORS[0]).removesuffix(_OF_MOTORS[1]) for each in have]
    for known in (have, short):
        if len(known) == size and set(wanted) <= set(known) and len(set(known)) == size:
            order = np.array([known.index(each) for each in wanted])
            break
    else:
        if not matching.by_position or size != len(wanted):
            raise LeRobotError(
                f"feature {name!r} has {size} numbers called {have}, the robot file "
                f"{list(wanted)}: correct the names in the robot file, or take them in this order "
                "with --by-position"
            )
        order = np.arange(size)
    given = feature.get("units")
    return Columns(name, order, _scales(name, given, order, wanted, units, matching.angles))


def _names(feature: Mapping[str, Any]) -> list[str]:
    """Return the names of the numbers of a feature; older data sets have them below a word."""
    names = feature.get("names") or []
    if isinstance(names, Mapping):
        names = [each for several in names.values() for each in _several(several)]
    elif len(names) == 1:  # a list in a list
        names = _several(names[0])
    return [str(each) for each in names]


def _several(names: Any) -> list[Any]:
    return list(names) if isinstance(names, list | tuple) else [names]


def _scales(
    name: str,
    given: Sequence[str] | None,
    order: np.ndarray,
    wanted: Sequence[str],
    units: Sequence[str],
    angles: str,
) -> np.ndarray:
    """Return what each number is multiplied by to be in the robot's unit, which is SI."""
    scales = []
    for column, joint, unit in zip(order, wanted, units, strict=True):
        default = unit.replace("rad", angles)
        have = str(given[column]) if given is not None and column < len(given) else default
        if have not in UNITS or UNITS[have].si != UNITS[unit].si:
            raise LeRobotError(
                f"feature {name!r}: {joint!r} is in {have!r}, the robot file has {unit!r}: "
                "correct the unit there"
            )
        scales.append(UNITS[have].scale)
    return np.array(scales)
