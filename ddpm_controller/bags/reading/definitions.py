"""What the bytes of a message mean, from the definitions that a bag has of its types."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from rosbags.interfaces.typing import Typesdict
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from ddpm_controller.bags.reading.joint_messages import JointMessages, is_usual

MAX_SURPLUS_BYTES = 128
_IDL_SECTION = "=" * 80 + "\n"


class Definition(NamedTuple):
    """The definition of a message type.

    Attributes:
        type: Full name, ``sensor_msgs/msg/JointState``.
        text: With the types that it contains; empty where the bag has none.
        language: ``ros2msg`` or ``ros2idl``.
    """

    type: str
    text: str = ""
    language: str = "ros2msg"


Deserialize = Callable[[bytes], Any]


@functools.lru_cache(maxsize=512)  # most bags have the same types, and each takes 5 ms to compile
def deserializer(definition: Definition) -> Deserialize:
    """Return what makes a message of its CDR bytes.

    Raises:
        ValueError: The definition cannot be understood, or there is none and ROS 2 has none.
    """
    if definition.text:
        store = get_typestore(Stores.EMPTY)
        store.register(_types(definition))
    else:  # recorders up to Humble write none into sqlite3
        store = get_typestore(Stores.ROS2_HUMBLE)
    if definition.type not in store.fielddefs:
        raise ValueError(f"the type {definition.type} has no definition in the bag")

    def deserialize(raw: bytes) -> Any:
        # rclpy's serialize_message leaves up to 12 bytes behind each trajectory point or joint
        # state, and bags written with it are common; rosbags takes them for damage.
        view = memoryview(raw)
        for surplus in range(0, MAX_SURPLUS_BYTES, 4):
            try:
                return store.deserialize_cdr(view[: len(raw) - surplus], definition.type)
            except SerdeError as error:
                if "size mismatch" not in str(error):
                    raise
        raise ValueError(f"a {definition.type} of {len(raw)} bytes is longer than its fields")

    if is_usual(store, definition.type):
        return JointMessages(store, definition.type, deserialize)
    return deserialize


def _types(definition: Definition) -> Typesdict:
    if definition.language == "ros2msg":
        return get_types_from_msg(definition.text, definition.type)
    if not definition.text.startswith(f"{_IDL_SECTION}IDL: "):
        return get_types_from_idl(definition.text)
    types: Typesdict = {}
    for section in definition.text.split(_IDL_SECTION)[1:]:
        types.update(get_types_from_idl(section.partition("\n")[2]))
    return types
