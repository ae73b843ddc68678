"""Files in the folder of a policy of LeRobot, bounded and with errors of one line."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from ddpm_controller.given_files import (
    file_content,
    file_text,
    is_lfs_pointer,
    one_line,
    parsed_json,
)
from ddpm_controller.lerobot.libraries import LeRobotError

_FLOATS = (np.float16, np.float32, np.float64)


def json_of(path: Path) -> dict[str, Any]:
    """Return what a file of JSON holds, a table.

    Raises:
        LeRobotError: It is missing or something else.
    """
    try:
        found = parsed_json(file_text(path))
    except (OSError, ValueError) as error:
        raise LeRobotError(
            f"{path}: cannot be read ({one_line(error)}): give the folder pretrained_model, whole"
        ) from error
    if not isinstance(found, dict):
        raise LeRobotError(f"{path}: is no table but {type(found).__name__}: copy it again")
    return found


def tensors_of(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file of safetensors by name, float32.

    Raises:
        LeRobotError: It is missing, cut, something else, or has numbers of another type.
    """
    if is_lfs_pointer(path):
        raise LeRobotError(f"{path}: is only a pointer of Git LFS: fetch it, as by git lfs pull")
    try:
        found = load(file_content(path))
    except (OSError, ValueError, SafetensorError, KeyError, TypeError) as error:
        raise LeRobotError(
            f"{path}: cannot be read ({one_line(error)}): copy it again, whole and with weights "
            "of float32"
        ) from error
    counters = {name for name, each in found.items() if each.dtype not in _FLOATS}
    return {name: each.astype(np.float32) for name, each in found.items() if name not in counters}
