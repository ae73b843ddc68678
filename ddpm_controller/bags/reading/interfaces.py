"""Definitions of types that a bag has none of: .msg files beside it, or of installed packages."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

FOLDER = "interfaces"
"""Folder of packages with .msg files, in a bag or beside it."""
_MOST_BYTES = 1 << 20


def folders_for(bag: Path) -> list[Path]:
    """Return the folders with packages that belong to a bag."""
    return [place / FOLDER for place in (bag, bag.parent) if (place / FOLDER).is_dir()]


def definition_from(message_type: str, folders: Sequence[Path]) -> str:
    """Return the text of a type with all that it contains; empty where no file has it.

    Files in ``folders`` count before those of installed packages. What neither has and a release
    of ROS 2 has is left out of the text.

    Args:
        message_type: As ``custom_msgs/msg/Grip``.
        folders: Each with packages somewhere in it: ``.../custom_msgs/msg/Grip.msg``.

    Raises:
        ValueError: A file cannot be understood.
    """
    texts: dict[str, str] = {}
    waiting = [message_type]
    while waiting:
        name = waiting.pop()
        if name in texts or (text := _text_of(name, folders)) is None:
            continue
        texts[name] = text
        waiting += _inside(name, text)
    if message_type not in texts:
        return ""
    others = [each for each in texts if each != message_type]
    bar = "=" * 80
    parts = [f"{bar}\nMSG: {each.replace('/msg/', '/')}\n{texts[each]}" for each in others]
    return "\n".join([texts[message_type], *parts])


def _text_of(name: str, folders: Sequence[Path]) -> str | None:
    package, kind, type_ = (*name.split("/"), "", "")[:3]
    if kind != "msg" or not (package.isidentifier() and type_.isidentifier()):
        return None
    path = Path(package) / "msg" / f"{type_}.msg"
    found = next(_matching(path, folders), None)
    if found is None:
        return None
    if found.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{found} has {found.stat().st_size} bytes: it is no message definition")
    return found.read_text("utf8", errors="replace")


def _matching(path: Path, folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.rglob(str(path)))
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix and (installed := Path(prefix) / "share" / path).is_file():
            yield installed


def _inside(name: str, text: str) -> Iterator[str]:
    """Yield the types of a type's fields that no release of ROS 2 has."""
    known = get_typestore(Stores.LATEST).fielddefs
    for _, field in get_types_from_msg(text, name)[name][1]:
        if field[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            field = field[1][0]
        if field[0] == Nodetype.NAME and str(field[1]) not in known:
            yield str(field[1])
