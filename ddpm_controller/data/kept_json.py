"""A JSON value in a file with its digest: it is whole, or it counts as not there."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ddpm_controller.data.atomic_files import write_atomically

_MOST_BYTES = 1 << 26


def save_json(path: Path, value: Any) -> None:
    """Write a value; numbers of numpy become whole ones.

    Raises:
        OSError: It cannot be written; what had the name is as it was.
    """
    content = json.dumps(value, default=int).encode()
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    write_atomically(path, _digest(content) + b"\n" + content, beside)


def load_json(path: Path) -> Any:
    """Return the value of a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is torn or damaged.
    """
    with path.open("rb") as file:
        digest, _, content = file.read(_MOST_BYTES).partition(b"\n")
    if digest != _digest(content):
        raise ValueError(f"{path} is damaged")
    return json.loads(content)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
