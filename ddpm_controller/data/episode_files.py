"""Episodes in one file: numbers are read from it, images stay there and are mapped into memory.

The file is of safetensors' format, so that other programs can read it too.
"""

import json
import os
import resource
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from ddpm_controller.data.atomic_files import write_atomically
from ddpm_controller.data.statistics import array_digests
from ddpm_controller.types import Episode

_TYPES: Mapping[str, Any] = {"F64": np.dtype("<f8"), "U8": np.dtype("u1")}
_MOST_HEADER_BYTES = 1 << 26
_MOST_OPEN_FILES = 1 << 16


def save_episodes(path: Path, episodes: Sequence[Episode], facts: Mapping[str, Any]) -> None:
    """Write episodes and JSON values that belong to them; the file is whole or not there.

    Raises:
        OSError: It cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    described = []
    for number, episode in enumerate(episodes):
        # safetensors would store a strided array as other numbers.
        own = {name: np.ascontiguousarray(block) for name, block in _blocks(episode).items()}
        arrays |= {f"{number}/{name}": block for name, block in own.items()}
        described.append(
            {
                "source": episode.source,
                "success": episode.success,
                "leads_s": dict(episode.leads_s),
                "digests": array_digests(episode),
                "checksums": {k: _checksum(v) for k, v in own.items() if v.dtype != np.uint8},
            }
        )
    content = json.dumps({"facts": dict(facts), "episodes": described})
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    write_atomically(path, save(arrays, metadata={"content": content}), beside)


def load_episodes(path: Path) -> tuple[list[Episode], dict[str, Any]]:
    """Return the episodes of a file and what belongs to them.

    Images are read when they are looked at, and stay readable when the file is removed.

    Raises:
        OSError: It cannot be read.
        ValueError: It is torn or damaged.
    """
    try:
        header, begin = _header(path)
        content = json.loads(header.pop("__metadata__")["content"])
        has_images = any(each["dtype"] == "U8" for each in header.values())
        stored = _mapped(path) if has_images else np.fromfile(path, np.uint8)
        blocks = {name: _block(stored, each, begin) for name, each in header.items()}
        episodes = [_episode(blocks, *each) for each in enumerate(content["episodes"])]
        return episodes, content["facts"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error


def _blocks(episode: Episode) -> dict[str, np.ndarray]:
    values = {f"values/{name}": block for name, block in episode.values.items()}
    return {"stamps_s": episode.stamps_s, "actions": episode.actions, **values}


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Return what the file begins with, and where its arrays begin."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size, _MOST_HEADER_BYTES):
            raise ValueError(f"{path} is damaged: it has no header")
        header = json.loads(file.read(length))
    ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise ValueError(f"{path} is torn: it has {size} bytes")
    return header, 8 + length


def _mapped(path: Path) -> np.ndarray:
    """Return the bytes of a file; each file that is mapped is one that the process has open."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < _MOST_OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_MOST_OPEN_FILES, most), most))
    return np.asarray(np.memmap(path, np.uint8, "r"))


def _checksum(block: np.ndarray) -> int:
    return zlib.crc32(block.data)


def _block(stored: np.ndarray, described: Mapping[str, Any], begin: int) -> np.ndarray:
    kind, (first, last) = _TYPES[described["dtype"]], described["data_offsets"]
    found = stored[begin + first : begin + last]
    if kind != np.uint8:
        found = np.frombuffer(found.tobytes(), kind)  # wherever it lies in the file
    return found.reshape(described["shape"])


def _episode(
    blocks: Mapping[str, np.ndarray], number: int, described: Mapping[str, Any]
) -> Episode:
    own = {
        name.removeprefix(f"{number}/"): block
        for name, block in blocks.items()
        if name.startswith(f"{number}/")
    }
    for name, checksum in described["checksums"].items():
        if _checksum(own[name]) != checksum:
            raise ValueError(f"{name} of {described['source']} is damaged")
    values = {k.removeprefix("values/"): v for k, v in own.items() if k.startswith("values/")}
    return Episode(
        stamps_s=own["stamps_s"],
        values=values,
        actions=own["actions"],
        source=described["source"],
        success=described["success"],
        digests=described["digests"],
        leads_s=described["leads_s"],
    )
