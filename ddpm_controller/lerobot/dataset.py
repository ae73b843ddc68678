"""A data set of LeRobot, read episode by episode: versions 2.0, 2.1 and 3.0 of its format."""

import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ddpm_controller.given_files import file_text, is_lfs_pointer, one_line, parsed_json
from ddpm_controller.lerobot.features import image_size
from ddpm_controller.lerobot.libraries import LeRobotError, library
from ddpm_controller.lerobot.videos import read_frames

VERSIONS = ("v2.0", "v2.1", "v3.0")
_MOST_BYTES = 64 << 20
_WIDE = re.compile(r":[^}]*\d{3}")
"""A number of a hundred digits or more in a file name: it could fill the memory."""
_OFF_S = 0.5
"""A frame whose timestamp is off by more than this share of a period is at another moment."""
_SLOWER = 2.0
"""A rate that is off by more than this factor is another one."""


@dataclass(frozen=True)
class StoredEpisode:
    """Where an episode is.

    Attributes:
        number: Its index.
        length: Number of frames.
        table: File with its numbers.
        videos: Feature -> file and where the episode begins in it, s.
        tasks: What is done in it.
    """

    number: int
    length: int
    table: Path
    videos: Mapping[str, tuple[Path, float]]
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Frames:
    """What was read of an episode.

    Attributes:
        values: Feature -> (N, D), or pictures (N, H, W, 3) uint8.
        tasks: What is done at each frame, (N,).
        moments_s: When each was, from the begin of the episode on, (N,).
    """

    values: Mapping[str, np.ndarray]
    tasks: Sequence[str]
    moments_s: np.ndarray


class Dataset:
    """A data set in a folder.

    Args:
        folder: The one with meta/ in it.

    Attributes:
        folder: As given.
        version: Version of its format.
        fps: Frames per second.
        features: Feature -> type, shape and names.

    Raises:
        LeRobotError: A file is missing or damaged, or the version is another one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = self._json("meta/info.json")
        try:
            self.version, self.fps = str(facts["codebase_version"]), float(facts["fps"])
            self.features: dict[str, Any] = dict(facts["features"])
            self._count, self._chunk = int(facts["total_episodes"]), int(facts["chunks_size"])
            self._table, self._video = str(facts["data_path"]), facts.get("video_path")
            for feature in self.features.values():
                _ = feature["dtype"], [int(each) for each in feature["shape"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._wrong("meta/info.json", error) from None
        if self.version not in VERSIONS or not 0 < self.fps < 1e4:
            raise LeRobotError(
                f"{folder}: version {self.version!r} at {self.fps} frames a second; versions "
                f"{', '.join(VERSIONS)} are read: convert it with LeRobot"
            )
        self._is_v3 = self.version == "v3.0"

    def episodes(self) -> Iterator[StoredEpisode]:
        """Yield where each episode is, in order.

        Raises:
            LeRobotError: The list is missing or damaged.
        """
        try:
            yield from self._stored() if self._is_v3 else self._stored_singly()
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            if isinstance(error, LeRobotError):
                raise
            raise self._wrong("the list of episodes in meta", error) from None

    def read(self, episode: StoredEpisode, names: Sequence[str]) -> Frames:
        """Return some features of an episode.

        Raises:
            LeRobotError: A file is missing, damaged, or has not what the lists promise.
        """
        videos = [n for n in names if self.features[n]["dtype"] == "video"]
        columns = [n for n in names if n not in videos]
        # Some leave out which task a frame is of, where there is one.
        has_task = len(episode.tasks) != 1 or "task_index" in self._columns(episode.table)
        counters = ["frame_index", "timestamp", *(["task_index"] if has_task else [])]
        rows = self._rows(episode, [*columns, *counters])
        frame_index = np.asarray(rows["frame_index"].to_numpy(), dtype=np.int64)
        if not np.array_equal(frame_index, np.arange(episode.length)):
            raise self._wrong(episode.table, f"episode {episode.number} is not whole")
        times_s = self._moments(episode, np.asarray(rows["timestamp"].to_numpy(), np.float64))
        values = {name: self._values(rows[name], name, episode) for name in columns}
        for name in videos:
            path, begin_s = episode.videos[name]
            moments_s = begin_s + frame_index / self.fps
            values[name] = read_frames(path, image_size(self.features[name]), moments_s, self.fps)
        if not has_task:
            return Frames(values, [str(episode.tasks[0])] * episode.length, times_s)
        tasks = self._tasks()
        indices = rows["task_index"].to_pylist()
        try:
            return Frames(values, [tasks[index] for index in indices], times_s)
        except KeyError as error:
            raise self._wrong("meta/tasks", f"there is no task {error}") from None

    def _stored(self) -> Iterator[StoredEpisode]:
        videos = [name for name, each in self.features.items() if each["dtype"] == "video"]
        keys = ("chunk_index", "file_index", "from_timestamp")
        columns = ["episode_index", "length", "tasks", *(f"data/{key}" for key in keys[:2])]
        columns += [f"videos/{name}/{key}" for name in videos for key in keys]
        for path in sorted((self.folder / "meta" / "episodes").glob("*/*.parquet")):
            for row in self._read(path, columns).to_pylist():
                number, length = int(row["episode_index"]), int(row["length"])
                places = {key: row[f"data/{key}"] for key in keys[:2]} | {"episode_index": number}
                found = {}
                for name in videos:
                    chunk, file, begin_s = (row[f"videos/{name}/{key}"] for key in keys)
                    at = {"video_key": name, "chunk_index": chunk, "file_index": file}
                    at = {**places, **at}
                    found[name] = (self._path(self._video, at), float(begin_s))
                table = self._path(self._table, places)
                yield StoredEpisode(number, length, table, found, tuple(row["tasks"]))

    def _stored_singly(self) -> Iterator[StoredEpisode]:
        """Yield the episodes of version 2, each in files of its own."""
        videos = [name for name, each in self.features.items() if each["dtype"] == "video"]
        for row in self._lines("meta/episodes.jsonl"):
            number = int(row["episode_index"])
            chunk = number // self._chunk  # which some patterns name as those of version 3 do
            places = {"episode_chunk": chunk, "chunk_index": chunk, "episode_index": number}
            found = {
                name: (self._path(self._video, {**places, "video_key": name}), 0.0)
                for name in videos
            }
            table = self._path(self._table, places)
            yield StoredEpisode(number, int(row["length"]), table, found, tuple(row["tasks"]))

    def _path(self, pattern: Any, places: Mapping[str, Any]) -> Path:
        """Return a file by the pattern of info.json; it must be inside the folder."""
        if _WIDE.search(str(pattern)):
            raise self._wrong("meta/info.json", f"{pattern!r} has numbers of too many digits")
        path = self.folder / str(pattern).format(**places)
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise self._wrong("meta/info.json", f"{pattern!r} leads out of the data set")
        return path

    def _rows(self, episode: StoredEpisode, columns: Sequence[str]) -> Any:
        filters = [("episode_index", "=", episode.number)]
        rows = self._read(episode.table, list(columns), filters)
        if len(rows) != episode.length:
            text = f"episode {episode.number} has {len(rows)} frames of {episode.length}"
            raise self._wrong(episode.table, text)
        return rows

    def _columns(self, path: Path) -> list[str]:
        arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
        try:
            return list(parquet.read_schema(path).names)
        except (arrow.ArrowException, OSError) as error:
            raise self._wrong(path, error) from None

    def _read(self, path: Path, columns: list[str] | None = None, filters: Any = None) -> Any:
        arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
        try:
            return parquet.read_table(
                path, columns=columns, filters=filters, partitioning=None, use_threads=False
            )
        except (arrow.ArrowException, OSError, KeyError) as error:
            raise self._wrong(path, error) from None

    def _values(self, column: Any, name: str, episode: StoredEpisode) -> np.ndarray:
        feature = self.features[name]
        if feature["dtype"] == "image":
            return np.stack([self._picture(each, name, episode) for each in column.to_pylist()])
        try:
            rows = np.array(column.to_pylist(), dtype=np.float64).reshape(episode.length, -1)
        except (TypeError, ValueError) as error:
            raise self._wrong(episode.table, f"{name}: {error}") from None
        if rows.shape[1] != int(np.prod(feature["shape"])) or not np.isfinite(rows).all():
            text = f"{name}: rows of {rows.shape[1]} numbers for {feature['shape']}, or not finite"
            raise self._wrong(episode.table, text)
        return rows

    def _picture(self, stored: Any, name: str, episode: StoredEpisode) -> np.ndarray:
        content = stored.get("bytes") if isinstance(stored, dict) else None
        if not content:
            raise self._wrong(episode.table, f"{name} has no picture in the table")
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if image is None or image.shape[:2] != image_size(self.features[name]):
            raise self._wrong(episode.table, f"{name} has a picture that cannot be read")
        return np.ascontiguousarray(image[..., ::-1])

    def _moments(self, episode: StoredEpisode, stamps_s: np.ndarray) -> np.ndarray:
        """Return when each frame was: at the frame rate, or as a clock has measured it."""
        regular_s = np.arange(len(stamps_s)) / self.fps
        if not len(stamps_s) or np.abs(stamps_s - regular_s).max() < _OFF_S / self.fps:
            return regular_s
        steps = np.diff(stamps_s) * self.fps  # in periods
        usual = float(np.median(steps))
        if not (np.isfinite(steps).all() and steps.min() > 0 and 1 / _SLOWER < usual < _SLOWER):
            text = f"timestamps of episode {episode.number} are not {self.fps:g} a second"
            raise self._wrong(episode.table, text)
        warnings.warn(
            f"data set {self.folder}: frames are every {usual / self.fps:.4g} s and not "
            f"{self.fps:g} a second, as its info.json has it: they are taken when they were",
            stacklevel=2,
        )
        return np.asarray(stamps_s - stamps_s[0])

    def _tasks(self) -> dict[int, str]:
        if not self._is_v3:
            rows = self._lines("meta/tasks.jsonl")
            return {int(row["task_index"]): str(row["task"]) for row in rows}
        path = self.folder / "meta" / "tasks.parquet"
        table = self._read(path)
        sentences = [name for name in table.column_names if name != "task_index"]
        if len(sentences) != 1 or "task_index" not in table.column_names:
            raise self._wrong(path, f"it has the columns {table.column_names}")
        texts = table[sentences[0]].to_pylist()
        return dict(zip(table["task_index"].to_pylist(), map(str, texts), strict=True))

    def _json(self, name: str) -> Any:
        try:
            return parsed_json(file_text(self.folder / name))
        except (OSError, ValueError) as error:
            raise self._wrong(name, error) from None

    def _lines(self, name: str) -> list[Any]:
        try:
            text = file_text(self.folder / name, _MOST_BYTES)
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except (OSError, ValueError, RecursionError) as error:
            raise self._wrong(name, error) from None

    def _wrong(self, file: object, reason: object) -> LeRobotError:
        where = f"data set {self.folder}: {file}"
        if is_lfs_pointer(self.folder / str(file)):
            return LeRobotError(f"{where} is only a pointer of Git LFS: `git lfs pull` brings it")
        if isinstance(file, Path) and not file.exists():
            return LeRobotError(f"{where} is missing: copy the data set again")
        return LeRobotError(
            f"{where}: {one_line(reason) or type(reason).__name__}; give the folder with "
            "meta/info.json, or copy the data set again"
        )
