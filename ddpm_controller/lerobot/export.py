"""Bags become a data set of LeRobot: the episodes of a training, with pictures as they came."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ddpm_controller.bags.episodes import read_bag
from ddpm_controller.bags.files import BagError, OpenBag, find_bags, resolve_topic
from ddpm_controller.data.text_features import TextError, text_features
from ddpm_controller.lerobot.dataset_writer import DatasetWriter
from ddpm_controller.lerobot.features import (
    ACTION,
    image_feature,
    refuse_depth,
    stream_features,
    vector_feature,
)
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import STRING
from ddpm_controller.types import Episode

_OFF = 1e-3
"""Share by which the policy's rate may be off a whole number of frames a second."""


@dataclass(frozen=True)
class ExportSettings:
    """How a data set is written.

    Attributes:
        task: What is done, where the robot file has no stream of sentences; empty: the robot's
            name.
        pictures: ``video``, or ``png``: in the tables, without loss and much larger.
        codec: Codec of the videos, ``h264`` or ``av1``.
    """

    task: str = ""
    pictures: Literal["video", "png"] = "video"
    codec: Literal["h264", "av1"] = "h264"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        num_episodes: Episodes.
        num_frames: Frames of all.
        left_out: Episodes that are marked as failed.
    """

    num_episodes: int
    num_frames: int
    left_out: int


def export_bags(
    paths: Sequence[Path],
    robot: Robot,
    folder: Path,
    settings: ExportSettings,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write the episodes of bags that are not marked as failed; one bag is in memory at a time.

    Raises:
        BagError: No bag can be used. When others remain, a warning names those left out.
        LeRobotError: The robot cannot be written in this format, or the folder exists.
    """
    bags, robot = find_bags(paths), with_whole_pictures(robot)
    names, refused = stream_features(robot), list[str]()
    num_episodes = num_frames = left_out = 0
    features = features_of(robot, settings)
    writer = DatasetWriter(folder, robot.name, frame_rate(robot), features, settings.codec)
    with writer:
        for number, bag in enumerate(bags, start=1):
            for episode in _read(bag, robot, refused):
                if episode.success is False:
                    left_out += 1
                    continue
                values = {feature: episode.values[name] for name, feature in names.items()}
                writer.add(
                    {**values, ACTION: episode.actions}, _tasks(episode, bag, robot, settings)
                )
                num_episodes, num_frames = num_episodes + 1, num_frames + len(episode)
            on_progress(number, len(bags))
        if not num_episodes:
            failed = f"{left_out} episodes are marked as failed"
            raise BagError("\n".join([*refused, failed, "no episode is left to export"]))
    if refused:
        heading = f"{len(refused)} of {len(bags)} bags left out:"
        warnings.warn("\n  ".join([heading, *refused]), stacklevel=2)
    return Exported(num_episodes, num_frames, left_out)


def with_whole_pictures(robot: Robot) -> Robot:
    """Return the robot with pictures as its messages have them: crop and resize come later.

    Raises:
        LeRobotError: A stream is of depth, which this format has no place for.
    """
    refuse_depth(robot)
    streams = []
    for stream in robot.streams:
        if stream.spec.kind == "image":
            spec = replace(stream.spec, shape=(*stream.message_size, 3))
            stream = replace(stream, crop=None, spec=spec)
        streams.append(stream)
    return replace(robot, streams=tuple(streams))


def frame_rate(robot: Robot) -> int:
    """Return the policy's rate, which a data set has as a whole number.

    Raises:
        LeRobotError: It is none.
    """
    rate_hz = 1.0 / robot.period_s
    fps = round(rate_hz)
    if fps < 1 or abs(rate_hz / fps - 1) > _OFF:
        raise LeRobotError(
            f"period_s {robot.period_s:g} is {rate_hz:.4g} frames a second, a data set has a "
            "whole number: set period_s in the robot file, as 0.1 or 0.05"
        )
    return fps


def features_of(robot: Robot, settings: ExportSettings) -> dict[str, dict[str, Any]]:
    """Return the features of a robot's data set."""
    names, dtype = stream_features(robot), "image" if settings.pictures == "png" else "video"
    found: dict[str, dict[str, Any]] = {}
    for spec in robot.stream_specs:
        if spec.kind == "image":
            found[names[spec.name]] = image_feature(spec.shape, dtype)
        elif spec.name in names:
            found[names[spec.name]] = vector_feature(spec.names, spec.units)
    action = robot.action_spec
    return found | {ACTION: vector_feature(action.joint_names, action.units)}


def _read(bag: Path, robot: Robot, refused: list[str]) -> list[Episode]:
    try:
        return read_bag(bag, robot)
    except BagError as error:
        refused.append(str(error))
        return []


def _tasks(episode: Episode, bag: Path, robot: Robot, settings: ExportSettings) -> list[str]:
    """Return the sentence in force at each moment, by its features, (N,)."""
    spoken = [stream for stream in robot.streams if stream.is_text]
    if not spoken:
        return [settings.task or robot.name] * len(episode)
    stream = spoken[0]
    known = _sentences(bag, stream.topic, stream.spec.shape[0])
    rows = episode.values[stream.spec.name]
    return [known[np.asarray(row, dtype=np.float64).tobytes()] for row in rows]


def _sentences(bag: Path, topic: str, num_features: int) -> Mapping[bytes, str]:
    """Return features -> sentence of all sentences of a bag."""
    found = {}
    with OpenBag(bag) as source:
        recorded = resolve_topic(topic, [t for t, kind in source.topics.items() if kind == STRING])
        for each in source.messages([recorded] if recorded else []):
            try:
                features = text_features(each.message.data, num_features)
            except TextError:
                continue
            found[np.asarray(features, dtype=np.float64).tobytes()] = str(each.message.data)
    return found
