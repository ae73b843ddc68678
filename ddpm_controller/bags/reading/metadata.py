"""metadata.yaml of a bag, and the storage files that it names."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import yaml

METADATA = "metadata.yaml"
NEWEST_VERSION = 9
"""Version of metadata.yaml that Jazzy's and Kilted's rosbag2 write."""
STORAGE_SUFFIXES = (".mcap", ".db3")
COMPRESSED = ".zstd"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # fifty times as fast
_RELEASES = {4: "galactic", 5: "humble", 6: "iron", 7: "iron", 8: "iron", 9: "jazzy"}
"""Version of metadata.yaml -> release that wrote it, where it does not name its release."""


def is_storage(file: Path) -> bool:
    """Whether a file is one that a recorder has written, by its name."""
    name = file.with_suffix("") if file.suffix == COMPRESSED else file
    return name.suffix in STORAGE_SUFFIXES


def storage_files_in(folder: Path) -> list[Path]:
    """Return the storage files in a folder, in the order in which they were recorded."""
    return sorted(filter(is_storage, folder.iterdir()), key=_in_order)


def metadata_of(folder: Path) -> dict[str, Any]:
    """Return what the metadata.yaml of a bag holds.

    Raises:
        ValueError: It is none, or of a version that is not known.
        OSError: It cannot be read.
    """
    try:
        content = yaml.load((folder / METADATA).read_text("utf8"), Loader=_LOADER)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{METADATA} is no YAML: {error}") from None
    found = content.get("rosbag2_bagfile_information") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("relative_file_paths"), list):
        raise ValueError(f"{METADATA} has no rosbag2_bagfile_information with its files")
    version = found.get("version", 0)
    if not isinstance(version, int) or version > NEWEST_VERSION:
        raise ValueError(f"{METADATA} is of version {version}, the newest known: {NEWEST_VERSION}")
    promised_in(found)
    return found


def files_of(folder: Path, metadata: Mapping[str, Any]) -> list[Path]:
    """Return the storage files that metadata.yaml names; files with other names in their places.

    Raises:
        FileNotFoundError: One is missing.
    """
    files = [folder / PurePath(str(name)).name for name in metadata["relative_file_paths"]]
    missing = [file for file in files if not file.exists()]
    others = [file for file in storage_files_in(folder) if file not in files]
    if len(missing) != len(others) and missing:
        names = [file.name for file in missing]
        raise FileNotFoundError(f"files are missing: {names}")
    renamed = dict(zip(missing, others, strict=False))
    return [renamed.get(file, file) for file in files]


def promised_in(metadata: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Return topic -> type and number of messages; empty where it lists no topics.

    Raises:
        ValueError: The list has another form.
    """
    found: dict[str, tuple[str, int]] = {}
    try:
        for each in metadata.get("topics_with_message_count") or []:
            topic = each["topic_metadata"]
            name, count = str(topic["name"]), int(each["message_count"])
            found[name] = (str(topic["type"]), found.get(name, ("", 0))[1] + count)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"topics of {METADATA} have another form: {error!r}") from None
    return found


def release_of(metadata: Mapping[str, Any]) -> str:
    """Return the release of ROS 2 that recorded a bag, as far as it shows."""
    named = str(metadata.get("ros_distro") or "")
    return named or _RELEASES.get(metadata.get("version", 5), "foxy")


def _in_order(file: Path) -> list[tuple[bool, int, str]]:
    """Return a key by which bag_10 is behind bag_2."""
    parts = [each for each in re.split(r"([0-9]+)", file.name) if each]
    return [(not e.isdigit(), int(e) if e.isdigit() else 0, e) for e in parts]
