"""Files that are there whole or not at all, whatever happens to the process or the machine."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes, beside: Path | None = None) -> None:
    """Write ``content`` beside ``path``, force it to the disk, and give it the name.

    Args:
        path: The file; what has the name is replaced.
        content: All of it.
        beside: Name until it is complete; other processes that write the same file need others.

    Raises:
        OSError: It cannot be written; what had the name is as it was.
    """
    beside = beside or path.with_name(path.name + ".partial")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a power cut may lose the new name
    finally:
        os.close(folder)
