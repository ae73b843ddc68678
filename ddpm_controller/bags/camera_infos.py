"""Fields of view of the cameras in bags, for checkpoints that are trained with their pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddpm_controller.bags.files import BagError, OpenBag, resolve_topic
from ddpm_controller.messages.camera_view import CameraError, CameraView, view_from
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import RobotStream

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


def camera_info_topics(robot: Robot) -> list[str]:
    """Return the topics of the calibrations, where the robot has cameras."""
    return [each.camera_info for each in robot.streams if each.camera_info]


def agreed_views(found: Mapping[Path, Mapping[str, CameraView]]) -> dict[str, CameraView]:
    """Return stream of images -> its field of view, of the ``views_in`` of several bags.

    Raises:
        BagError: Two bags have another view of one stream.
    """
    views: dict[str, CameraView] = {}
    places: dict[str, Path] = {}
    for bag, own in found.items():
        for name, view in own.items():
            if name in views and view.differs_from(views[name]):
                raise BagError(
                    f"the field of view of {name} is {views[name]} in bag {places[name]} and "
                    f"{view} in bag {bag}: train with pictures of one lens, zoom and crop"
                )
            views.setdefault(name, view)
            places.setdefault(name, bag)
    return views


def views_in(bag: Path, robot: Robot) -> dict[str, CameraView]:
    """Return stream of images -> its first field of view, where a bag has the calibration.

    Raises:
        BagError: The bag is cut or damaged.
    """
    found: dict[str, CameraView] = {}
    if not camera_info_topics(robot):
        return found
    with OpenBag(bag) as source:
        recorded = [topic for topic, kind in source.topics.items() if kind == CAMERA_INFO]
        streams: dict[str, list[RobotStream]] = {}
        for stream in robot.streams:
            topic = resolve_topic(stream.camera_info, recorded) if stream.camera_info else None
            if topic is not None:
                streams.setdefault(topic, []).append(stream)
        waiting = {stream.spec.name for several in streams.values() for stream in several}
        for message in source.messages(streams):
            for stream in streams[message.topic]:
                view = _view(message.message, stream)
                if view is not None:
                    found.setdefault(stream.spec.name, view)
            if waiting <= set(found):
                break
    return found


def _view(info: Any, stream: RobotStream) -> CameraView | None:
    try:
        return view_from(info, stream.message_size, stream.seen_part)
    except CameraError:  # of another stage of the pictures: nothing is known then
        return None
