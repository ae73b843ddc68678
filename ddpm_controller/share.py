"""Where the package's own files lie: configuration, models and launch files."""

import os
import sys
from pathlib import Path

PACKAGE = "ddpm_controller"


def share_directory() -> Path:
    """Return the folder that holds ``config/``, ``models/`` and ``launch/`` of this package.

    That is the source tree where the package is used from one (an editable install), else
    ``share/ddpm_controller`` of the first prefix in AMENT_PREFIX_PATH, or of the Python
    environment, that has it.

    Raises:
        FileNotFoundError: When none has it, with every folder that was tried.
    """
    source = Path(__file__).resolve().parents[1]
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    tried = [source, *(Path(prefix) / "share" / PACKAGE for prefix in prefixes if prefix)]
    for folder in tried:
        if (folder / "package.xml").is_file() and (folder / "config").is_dir():
            return folder
    raise FileNotFoundError(
        f"the files of {PACKAGE} are in none of {[str(folder) for folder in tried]}: "
        "source the workspace's setup file, or install the package again"
    )


def share_path(relative: str) -> str:
    """Return the absolute path of a file or folder of the package, as text.

    Args:
        relative: Path inside the share directory, for example ``config/controller.yaml``.
    """
    return str(share_directory() / relative)


def found_path(path: str) -> str:
    """Return ``path`` as given where it exists, else the same inside the package's share."""
    given = Path(path).expanduser()
    if given.exists() or given.is_absolute():
        return str(given)
    shared = share_path(path)
    return shared if Path(shared).exists() else str(given)
