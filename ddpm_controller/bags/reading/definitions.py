"""What the bytes of a message mean, from the definitions that a bag has of its types."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from rosbags.interfaces.typing import Typesdict
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from ddpm_controller.bags.reading.joint_messages import JointMessages, is_usual

MAX_SURPLUS_BYTES = 128
_IDL_SECTION = "=" * 80 + "\n"


class Definition(NamedTuple):
    """The definition of a message type.

    Attributes:
        type: Full name, ``sensor_msgs/msg/JointState``.
        text: With the types that it contains; empty where the bag has none.
        language: ``ros2msg`` or ``ros2idl``.
        release: Release of ROS 2 that has the types that are not in the text; empty: none has.
    """

    type: str
    text: str = ""
    language: str = "ros2msg"
    release: str = ""


class UnknownTypeError(ValueError):
    """A type that neither the bag nor a release of ROS 2 nor a file has a definition of."""


class OtherVersionError(ValueError):
    """Messages of a type that do not fit its definition, which is not that of the bag."""


Deserialize = Callable[[bytes], Any]


@functools.lru_cache(maxsize=512)  # most bags have the same types, and each takes 5 ms to compile
def deserializer(definition: Definition) -> Deserialize:
    """Return what makes a message of its CDR bytes.

    Raises:
        UnknownTypeError: There is no definition.
        ValueError: It cannot be understood. What is returned raises OtherVersionError where it
            is of a file beside the bag, and a message does not fit it.
    """
    store = _store(definition)
    if definition.text:
        types = _types(definition)
        store.register({name: each for name, each in types.items() if name not in store.fielddefs})
    if definition.type not in store.fielddefs:
        raise UnknownTypeError(definition.type)

    def deserialize(raw: bytes) -> Any:
        # rclpy's serialize_message leaves up to 12 bytes behind each trajectory point or joint
        # state, and bags written with it are common; rosbags takes them for damage.
        view = memoryview(raw)
        for surplus in range(0, MAX_SURPLUS_BYTES, 4):
            try:
                return store.deserialize_cdr(view[: len(raw) - surplus], definition.type)
            except SerdeError as error:
                if "size mismatch" not in str(error):
                    if definition.text and definition.release:
                        raise OtherVersionError(definition.type) from None
                    raise
        raise ValueError(f"a {definition.type} of {len(raw)} bytes is longer than its fields")

    if is_usual(store, definition.type):
        return JointMessages(store, definition.type, deserialize)
    return deserialize


def is_of_release(definition: Definition) -> bool:
    """Whether a release of ROS 2 has a type."""
    return definition.type in _names(_release(definition))


def _store(definition: Definition) -> Typestore:
    """Return the types that a definition does not bring along."""
    return get_typestore(_release(definition) if definition.release else Stores.EMPTY)


def _release(definition: Definition) -> Stores:
    """Return the release that a bag is of; of a type that only a later one has, the latest."""
    named = f"ros2_{definition.release}"
    found = Stores(named) if named in {each.value for each in Stores} else Stores.ROS2_HUMBLE
    is_later = definition.type in _names(Stores.LATEST) - _names(found)
    return Stores.LATEST if is_later else found


@functools.cache
def _names(release: Stores) -> frozenset[str]:
    return frozenset(get_typestore(release).fielddefs)


def _types(definition: Definition) -> Typesdict:
    if definition.language == "ros2msg":
        return get_types_from_msg(definition.text, definition.type)
    if not definition.text.startswith(f"{_IDL_SECTION}IDL: "):
        return get_types_from_idl(definition.text)
    types: Typesdict = {}
    for section in definition.text.split(_IDL_SECTION)[1:]:
        types.update(get_types_from_idl(section.partition("\n")[2]))
    return types
