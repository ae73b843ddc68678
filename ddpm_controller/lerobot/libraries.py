"""The extra `lerobot`: the libraries that read and write tables and videos."""

import importlib
from typing import Any


class LeRobotError(ValueError):
    """A data set that cannot be read or written; the text names the file and the remedy."""


def library(name: str) -> Any:
    """Return a module of the extra, as ``pyarrow.parquet`` or ``av``.

    Raises:
        LeRobotError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LeRobotError(
            f'{name.split(".")[0]} is needed ({error}): pip install "ddpm_controller[lerobot]"'
        ) from None
