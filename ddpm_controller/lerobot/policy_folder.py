"""A trained diffusion policy of LeRobot, read for a robot: the folder ``pretrained_model``."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_controller.given_files import file_content
from ddpm_controller.lerobot.features import Matching, stream_features
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.lerobot.policy_config import Feature, commanded, observed, policy_fields
from ddpm_controller.lerobot.policy_encoder import ENCODER, encoder_of
from ddpm_controller.lerobot.policy_files import json_of, tensors_of
from ddpm_controller.lerobot.policy_statistics import is_statistic, normalizations
from ddpm_controller.messages.units import UNITS
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import RobotStream
from ddpm_controller.robots.trained_sources import SOURCES, sources_of
from ddpm_controller.types import StreamSpec

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_UNET = "diffusion.unet."
_COMPILED = "_orig_mod."


@dataclass(frozen=True)
class LeRobotPolicy:
    """What was read.

    Attributes:
        fields: Those of a ``DiffusionPolicyConfig``.
        unet: Weights of its U-Net by their names there.
        encoders: Stream of pictures -> weights of its encoder, by the names of a
            ``ResNetEncoder``.
        features: Stream -> its feature, in the order of the policy's condition.
        statistics: Stream or ``action`` -> its ranges and what is made of them, SI units.
        provenance: For the checkpoint.
    """

    fields: Mapping[str, Any]
    unet: Mapping[str, np.ndarray]
    encoders: Mapping[str, Mapping[str, np.ndarray]]
    features: Mapping[str, str]
    statistics: Mapping[str, Mapping[str, list[float]]]
    provenance: Mapping[str, Any]


def read_policy(folder: Path, robot: Robot, matching: Matching) -> LeRobotPolicy:
    """Return a policy for a robot; numbers are taken in the order of the robot file.

    Args:
        folder: As LeRobot saves it; one that has it in ``pretrained_model`` may be given too.
        robot: Robot file.
        matching: Streams of features whose names differ, and the unit of angles.

    Raises:
        LeRobotError: It cannot be read, has what is not imported, or does not fit the robot.
    """
    if not (folder / CONFIG).exists() and (folder / "pretrained_model" / CONFIG).exists():
        folder = folder / "pretrained_model"
    config = json_of(folder / CONFIG)
    try:
        fields, seen, action = policy_fields(config), observed(config), commanded(config)
    except LeRobotError as error:
        raise LeRobotError(f"{folder / CONFIG}: {error}") from None
    streams = [_stream_of(each, robot, matching) for each in seen]
    _refuse_other_action(action, robot)
    weights = tensors_of(folder / WEIGHTS)
    before, after = normalizations(folder, config, weights)
    pairs = list(zip(seen, streams, strict=True))
    statistics = {
        stream.spec.name: before.of(each, _scales(stream.spec.units, matching), is_output=False)
        for each, stream in pairs
        if stream.spec.kind == "vector"
    }
    pictures = [each for each in pairs if each[1].spec.kind == "image"]
    encoders = {
        stream.spec.name: encoder_of(weights, number, before.of_pictures(each))
        for number, (each, stream) in enumerate(pictures)
    }
    scales = _scales(robot.action_spec.units, matching)
    statistics["action"] = after.of(action, scales, is_output=True)
    names = [stream.spec.name for stream in streams]
    return LeRobotPolicy(
        fields=fields,
        unet=_unet_of(weights, folder),
        encoders=encoders,
        features=dict(zip(names, (each.name for each in seen), strict=True)),
        statistics=statistics,
        provenance={
            "robot": robot.name,
            "imported": {"from": "lerobot", WEIGHTS: _digest(folder / WEIGHTS)},
            SOURCES: sources_of(streams, {}),
        },
    )


def _stream_of(feature: Feature, robot: Robot, matching: Matching) -> RobotStream:
    names = stream_features(robot) | dict(matching.features)
    known = {each.spec.name: each for each in robot.streams}
    if unknown := sorted(set(matching.features) - set(known)):
        raise LeRobotError(f"no stream is called {unknown}: streams are {sorted(names)}")
    found = [known[name] for name, each in names.items() if each == feature.name]
    kind = "image" if feature.kind == "VISUAL" else "vector"
    found = [each for each in found if each.spec.kind == kind]
    if len(found) != 1:
        raise LeRobotError(
            f"the policy sees {feature.name!r} of shape {list(feature.shape)}, which streams "
            f"{[each.spec.name for each in found]} of the robot are: name one, as "
            f"--feature STREAM={feature.name}"
        )
    spec = found[0].spec
    if kind == "image":
        _refuse_other_pictures(feature, spec)
        return found[0]
    if len(spec.names) != feature.size:
        raise LeRobotError(
            f"{feature.name!r} has {feature.size} numbers, stream {spec.name!r} has "
            f"{len(spec.names)}, {list(spec.names)}: write those of the training into the robot "
            "file, in its order"
        )
    if spec.wraps:
        raise LeRobotError(
            f"stream {spec.name!r} counts turns of {list(spec.wraps)}, which LeRobot does not: "
            "leave wraps out of the robot file"
        )
    return found[0]


def _refuse_other_pictures(feature: Feature, spec: StreamSpec) -> None:
    _, height, width = feature.shape
    if (height, width) != spec.shape[:2] or spec.depth_range_m is not None:
        raise LeRobotError(
            f"the policy sees {feature.name!r} of {height}x{width} in colour, stream "
            f"{spec.name!r} has {spec.shape[0]}x{spec.shape[1]}"
            f"{' of depth' if spec.depth_range_m is not None else ''}: set resize in the robot "
            "file"
        )


def _refuse_other_action(action: Feature, robot: Robot) -> None:
    spec = robot.action_spec
    if action.size != len(spec.joint_names):
        raise LeRobotError(
            f"the policy commands {action.size} numbers, the robot file "
            f"{len(spec.joint_names)}, {list(spec.joint_names)}: write those of the training "
            "into the robot file, in its order"
        )
    if set(spec.relative_to) != {"none"}:
        raise LeRobotError(
            f"the policy's actions are absolute, the robot file has relative_to "
            f"{list(spec.relative_to)}: leave it out"
        )


def _scales(units: tuple[str, ...], matching: Matching) -> np.ndarray:
    """Return what the numbers of the policy are multiplied by to be in the robot's units."""
    return np.array([UNITS[each.replace("rad", matching.angles)].scale for each in units])


def _unet_of(weights: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    found = {
        name.removeprefix(_UNET).removeprefix(_COMPILED): each
        for name, each in weights.items()
        if name.startswith(_UNET)
    }
    known = (_UNET, ENCODER)
    others = [each for each in weights if not each.startswith(known) and not is_statistic(each)]
    if others or not found:
        raise LeRobotError(
            f"{folder / WEIGHTS}: {len(found)} weights are of a U-Net and {len(others)} of "
            f"something else, {sorted(others)[:2]}, which is not imported"
        )
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(file_content(path)).hexdigest()
