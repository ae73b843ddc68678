"""The message types that are written into bags, without rclpy."""

import array
import functools
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from ddpm_controller.bags.files import BagError

OWN_PACKAGE = "ddpm_msgs"
TRANSFORMS = "tf2_msgs/msg/TFMessage"


@functools.cache
def message_types() -> Typestore:
    """Return the message types of ROS 2 Jazzy and of ddpm_msgs.

    Raises:
        BagError: ddpm_msgs is not installed and its sources are not beside this package.
    """
    typestore = get_typestore(Stores.ROS2_JAZZY)
    for file in sorted(_own_definitions().glob("*.msg")):
        name = f"{OWN_PACKAGE}/msg/{file.stem}"
        typestore.register(get_types_from_msg(file.read_text("utf8"), name))
    return typestore


def plain(message: Any) -> Any:
    """Return an rclpy message as the rosbags message with the same fields."""
    fields = message.get_fields_and_field_types()
    values = {name: _plain_value(getattr(message, name)) for name in fields}
    package, folder, _ = type(message).__module__.split(".")
    return message_types().types[f"{package}/{folder}/{type(message).__name__}"](**values)


def _plain_value(value: Any) -> Any:
    if isinstance(value, array.array):
        return np.array(value)
    if isinstance(value, list):
        return [_plain_value(element) for element in value]
    return plain(value) if hasattr(value, "get_fields_and_field_types") else value


def blank(message_type: str) -> Any:
    """Return a rosbags message in which every number is 0 and every text and list is empty."""
    fields = message_types().fielddefs[message_type][1]
    values = {name: _blank_value(*each) for name, each in fields}
    return message_types().types[message_type](**values)


def _blank_value(kind: Nodetype, inside: Any) -> Any:
    if kind == Nodetype.NAME:
        return blank(inside)
    if kind == Nodetype.BASE:
        return {"string": "", "wstring": "", "bool": False}.get(inside[0], _zero(inside[0]))
    (element, name), length = inside
    count = length if kind == Nodetype.ARRAY else 0  # of a sequence it is the bound
    if element == Nodetype.BASE and "string" not in name[0]:
        return np.zeros(count, {"byte": "uint8", "char": "uint8"}.get(name[0], name[0]))
    return [_blank_value(element, name) for _ in range(count)]


def _zero(name: str) -> float | int:
    return 0.0 if name.startswith("float") else 0


@functools.cache
def definition(message_type: str) -> tuple[str, str]:
    """Return the text of a message type, with all that it contains, and its RIHS01 hash."""
    typestore = message_types()
    text, _ = typestore.generate_msgdef(message_type, ros_version=2)
    return text, typestore.hash_rihs01(message_type)


def _own_definitions() -> Path:
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p]
    places = [prefix / "share" / OWN_PACKAGE / "msg" for prefix in [*prefixes, Path(sys.prefix)]]
    places.append(Path(__file__).parents[2] / OWN_PACKAGE / "msg")  # a source checkout
    for place in places:
        if (place / "EpisodeMark.msg").exists():
            return place
    raise BagError(
        f"the message definitions of {OWN_PACKAGE} are in none of {[str(p) for p in places]}; "
        f"build {OWN_PACKAGE} and source its workspace"
    )
