"""A data set in version 3.0 of LeRobot's format, written episode by episode.

Tables of all episodes are few files, and so are the videos: one after the other is appended until
a file is large enough. What is there is whole: until the end it grows in a hidden folder beside.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from ddpm_controller.lerobot.features import COUNTERS
from ddpm_controller.lerobot.libraries import LeRobotError, library
from ddpm_controller.lerobot.statistics import ImageStatistics, vector_statistics
from ddpm_controller.lerobot.videos import VideoWriter

VERSION = "v3.0"
TABLE = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_CHUNK = 1000
_TABLE_MB, _VIDEO_MB = 100, 200


class _Part:
    """The file of a kind that is written, and its number."""

    def __init__(self, pattern: str, most_bytes: float) -> None:
        self.pattern, self.most_bytes, self.number = pattern, most_bytes, 0
        self.writer: Any = None
        self.path = Path()

    @property
    def places(self) -> dict[str, int]:
        return {"chunk_index": self.number // _CHUNK, "file_index": self.number % _CHUNK}

    def begin(self, root: Path) -> Path:
        self.path = root / self.pattern.format(**self.places)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path

    def end_if_full(self) -> None:
        """Finish a file that is large enough; the next episode begins another one."""
        # An encoder that looks ahead has written nothing at first.
        if self.path.exists() and self.path.stat().st_size >= self.most_bytes:
            self.close()
            self.number += 1

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


class DatasetWriter:
    """Writes a data set; an error leaves nothing behind.

    Args:
        folder: The data set; must not exist.
        robot_type: Name of the robot.
        fps: Frames per second.
        features: Feature -> shape, type and names; those that every data set has are added.
        codec: Codec of the videos, see ``videos.CODECS``.

    Raises:
        LeRobotError: The folder exists, or a library is missing.
    """

    def __init__(
        self,
        folder: Path,
        robot_type: str,
        fps: int,
        features: Mapping[str, Mapping[str, Any]],
        codec: str = "h264",
    ) -> None:
        if folder.exists():
            raise LeRobotError(f"{folder} exists and is left as it is: choose another place")
        self._arrow, self._parquet = library("pyarrow"), library("pyarrow.parquet")
        self._folder, self._fps, self._codec = folder, fps, codec
        self._robot_type = robot_type
        self._place = folder.parent / f".{folder.name}.partial"
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)
        self._features = {name: dict(each) for name, each in features.items()}
        for name, dtype in COUNTERS.items():
            self._features[name] = {"dtype": dtype, "shape": [1], "names": None}
        self._table = _Part(TABLE, _TABLE_MB * 1e6)
        self._videos = {
            name: _Part(VIDEO.replace("{video_key}", name), _VIDEO_MB * 1e6)
            for name, each in self._features.items()
            if each["dtype"] == "video"
        }
        self._tasks: dict[str, int] = {}
        self._episodes: list[dict[str, Any]] = []
        self._rows: dict[str, list[np.ndarray]] = {}
        self._seen = {name: ImageStatistics() for name in self._pictures}
        self._num_frames = 0

    def add(self, values: Mapping[str, np.ndarray], tasks: Sequence[str]) -> None:
        """Append an episode.

        Args:
            values: Feature -> (N, D) or (N, H, W, 3) uint8, of all that were declared.
            tasks: What is done, (N,), a sentence for each frame.
        """
        count, number = len(tasks), len(self._episodes)
        values = {**values, **self._counters(number, tasks)}
        begins_s = {name: self._write_video(name, values[name]) for name in self._videos}
        table = self._as_table(values)
        if self._table.writer is None:
            path = self._table.begin(self._place)
            self._table.writer = self._parquet.ParquetWriter(path, table.schema)
        self._table.writer.write_table(table)
        episode = {
            "episode_index": number,
            "tasks": list(dict.fromkeys(tasks)),
            "length": count,
            **_named("data", self._table.places),
            "dataset_from_index": self._num_frames,
            "dataset_to_index": self._num_frames + count,
        }
        for name, begin_s in begins_s.items():
            part = self._videos[name]
            times = {"from_timestamp": begin_s, "to_timestamp": begin_s + count / self._fps}
            episode |= _named(f"videos/{name}", {**part.places, **times})
            part.end_if_full()
        episode |= _named("meta/episodes", {"chunk_index": 0, "file_index": 0})
        for name, found in self._statistics(values).items():
            episode |= _named(f"stats/{name}", found)
        self._episodes.append(episode)
        self._num_frames += count
        self._table.end_if_full()

    def close(self) -> None:
        """Write what is known at the end, and put the data set in its place."""
        self._end_files()
        if not self._episodes:
            raise LeRobotError("a data set needs an episode: give bags with one")
        statistics = {name: vector_statistics(np.concatenate(r)) for name, r in self._rows.items()}
        statistics |= {name: each.found() for name, each in self._seen.items()}
        meta = self._place / "meta"
        path = self._place / EPISODES.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        self._parquet.write_table(self._arrow.Table.from_pylist(self._episodes), path)
        self._write_tasks(meta / "tasks.parquet")
        (meta / "stats.json").write_text(json.dumps(statistics, indent=1) + "\n")
        (meta / "info.json").write_text(json.dumps(self._facts(), indent=1) + "\n")
        self._place.rename(self._folder)

    def abort(self) -> None:
        """Remove what was written."""
        self._end_files()
        shutil.rmtree(self._place, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the open data set."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the data set, or remove it after an error."""
        if error is not None:
            self.abort()
            return
        try:
            self.close()
        except BaseException:
            self.abort()
            raise

    @property
    def _pictures(self) -> list[str]:
        return [n for n, each in self._features.items() if each["dtype"] in ("video", "image")]

    def _end_files(self) -> None:
        for part in (self._table, *self._videos.values()):
            part.close()

    def _counters(self, number: int, tasks: Sequence[str]) -> dict[str, np.ndarray]:
        frames = np.arange(len(tasks))
        for task in tasks:
            self._tasks.setdefault(task, len(self._tasks))
        counters = {
            "timestamp": frames / self._fps,
            "frame_index": frames,
            "episode_index": np.full(len(tasks), number),
            "index": frames + self._num_frames,
            "task_index": np.array([self._tasks[task] for task in tasks]),
        }
        return {name: counters[name].astype(COUNTERS[name])[:, None] for name in counters}

    def _write_video(self, name: str, images: np.ndarray) -> float:
        """Append the pictures of an episode; return where they begin, s."""
        part, feature = self._videos[name], self._features[name]
        if part.writer is None:
            size = (int(feature["shape"][0]), int(feature["shape"][1]))
            part.writer = VideoWriter(part.begin(self._place), size, self._fps, self._codec)
            feature["info"] = part.writer.facts
        begin_s = part.writer.num_frames / self._fps
        for image in images:
            part.writer.write(image)
        return float(begin_s)

    def _as_table(self, values: Mapping[str, np.ndarray]) -> Any:
        columns = {
            name: self._column(feature, values[name])
            for name, feature in self._features.items()
            if feature["dtype"] != "video"
        }
        return self._arrow.table(columns)

    def _column(self, feature: Mapping[str, Any], rows: np.ndarray) -> Any:
        """Return a column as LeRobot has it: a single number is no list, a picture is a PNG."""
        arrow, shape = self._arrow, list(feature["shape"])
        if feature["dtype"] == "image":
            kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
            return arrow.array([{"bytes": png_of(row), "path": None} for row in rows], kind)
        flat = arrow.array(np.ascontiguousarray(rows, dtype=feature["dtype"]).ravel())
        return flat if shape == [1] else arrow.FixedSizeListArray.from_arrays(flat, shape[0])

    def _statistics(self, values: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
        """Return the statistics of an episode, and add them to those of all."""
        found = {}
        for name in self._features:
            if name in self._seen:
                counted = ImageStatistics()
                for image in values[name]:
                    counted.take(image)
                self._seen[name].add(counted)
                found[name] = counted.found()
            else:
                rows = values[name].astype(self._features[name]["dtype"])
                self._rows.setdefault(name, []).append(rows)
                found[name] = vector_statistics(rows)
        return found

    def _write_tasks(self, path: Path) -> None:
        """Write the sentences so that pandas takes them for the index, as LeRobot reads them."""
        arrow = self._arrow
        table = arrow.table(
            {
                "task_index": arrow.array(list(self._tasks.values()), arrow.int64()),
                "task": arrow.array(list(self._tasks), arrow.string()),
            }
        )
        columns = [
            {"name": "task_index", "field_name": "task_index", "metadata": None}
            | {"pandas_type": "int64", "numpy_type": "int64"},
            {"name": "task", "field_name": "task", "metadata": None}
            | {"pandas_type": "unicode", "numpy_type": "object"},
        ]
        facts = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
        facts["pandas_version"] = "2.0.0"
        table = table.replace_schema_metadata({"pandas": json.dumps(facts)})
        self._parquet.write_table(table, path)

    def _facts(self) -> dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": self._robot_type,
            "total_episodes": len(self._episodes),
            "total_frames": self._num_frames,
            "total_tasks": len(self._tasks),
            "chunks_size": _CHUNK,
            "data_files_size_in_mb": _TABLE_MB,
            "video_files_size_in_mb": _VIDEO_MB,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": TABLE,
            "video_path": VIDEO if self._videos else None,
            "features": self._features,
        }


def png_of(image: np.ndarray) -> bytes:
    """Return a picture (H, W, 3) uint8, RGB, as PNG."""
    _, content = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    return content.tobytes()


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}/{name}": value for name, value in values.items()}
