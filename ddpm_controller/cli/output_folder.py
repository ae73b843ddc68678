"""Where a command writes, tried before its work."""

import tempfile
from pathlib import Path


def refuse_unwritable(folder: Path) -> None:
    """Make a folder and write into it, so that hours of work have a place.

    Raises:
        ValueError: Nothing can be written there; with the reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"output {folder}: nothing can be written there ({error.strerror}): choose another "
            "folder"
        ) from None
