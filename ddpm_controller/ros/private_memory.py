"""Shared memory of Fast DDS, through which images go, for this user alone."""

import os
import stat
from pathlib import Path

_FOLDER = "/dev/shm/"
_OWNER_ONLY = 0o600


def keep_private(maps: Path = Path("/proc/self/maps")) -> list[Path]:
    """Take the shared memory that this process has open from other users; return what was.

    Fast DDS makes its segments readable and writable for everybody, whatever the umask is. After a
    node has been made its segment is there. What another user owns stays as it is.

    Args:
        maps: Memory map of the process.
    """
    changed = []
    try:
        lines = maps.read_text().splitlines()
    except OSError:  # no such file on this system, and no such memory
        return []
    for name in sorted({line[line.index(_FOLDER) :] for line in lines if _FOLDER in line}):
        path = Path(name)
        try:
            found = path.stat()
            if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
                path.chmod(_OWNER_ONLY)
                changed.append(path)
        except OSError:  # it ended meanwhile
            continue
    return changed
