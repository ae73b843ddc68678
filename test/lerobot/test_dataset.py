"""Data sets of all versions that are read, and what becomes of damaged ones."""

import json
import shutil

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
from small_bags import run_messages, small_robot, write_bag

from ddpm_controller.bags.files import OpenBag, find_bags
from ddpm_controller.cli.lerobot.import_lerobot import main as import_lerobot
from ddpm_controller.lerobot.dataset import Dataset
from ddpm_controller.lerobot.export import ExportSettings, export_bags
from ddpm_controller.lerobot.features import Matching
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.lerobot.to_bags import import_dataset

STATE, CAMERA = "observation.state", "observation.images.camera"
NAMES = [STATE, CAMERA, "action"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two episodes with a camera as videos."""
    folder = tmp_path_factory.mktemp("made")
    robot = small_robot(folder)
    bags = [write_bag(folder / name, run_messages(ms)) for name, ms in (("a", 600), ("b", 400))]
    export_bags(bags, robot, folder / "data", ExportSettings(task="lift"))
    return folder / "data"


@pytest.fixture
def data(made, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(made, tmp_path / "data")


def info(data, **changes):
    path = data / "meta" / "info.json"
    facts = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(facts))
    return facts


def as_version_2(data):
    """Write the same episodes in files of their own, the pictures in the tables."""
    dataset, folder = Dataset(data), data.parent / "version_2"
    table = pyarrow.parquet.read_table(data / "data/chunk-000/file-000.parquet")
    (folder / "meta").mkdir(parents=True)
    (folder / "data/chunk-000").mkdir(parents=True)
    lines = []
    for episode in dataset.episodes():
        rows = table.filter(pyarrow.compute.equal(table["episode_index"], episode.number))
        pyarrow.parquet.write_table(
            rows, folder / f"data/chunk-000/episode_{episode.number:06d}.parquet"
        )
        found = {"episode_index": episode.number, "tasks": ["lift"], "length": episode.length}
        lines.append(json.dumps(found))
    (folder / "meta/episodes.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "meta/tasks.jsonl").write_text('{"task_index": 0, "task": "lift"}\n')
    shutil.copy(data / "meta/info.json", folder / "meta/info.json")
    facts = json.loads((folder / "meta/info.json").read_text())
    del facts["features"][CAMERA]
    info(
        folder,
        codebase_version="v2.1",
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        features=facts["features"],
    )
    return folder


def test_what_was_exported_has_the_parts_that_lerobot_looks_for(made):
    facts = json.loads((made / "meta/info.json").read_text())
    assert facts["codebase_version"] == "v3.0"
    assert (facts["fps"], facts["total_frames"], facts["splits"]) == (10, 12, {"train": "0:2"})
    assert facts["features"][STATE]["names"] == ["lift", "grip"]
    assert facts["features"][CAMERA]["info"]["video.codec"] == "h264"
    episodes = pyarrow.parquet.read_table(made / "meta/episodes/chunk-000/file-000.parquet")
    assert episodes["dataset_from_index"].to_pylist() == [0, 7]
    begins_s = episodes[f"videos/{CAMERA}/from_timestamp"].to_pylist()
    np.testing.assert_allclose(begins_s, [0.0, 0.7])
    statistics = json.loads((made / "meta/stats.json").read_text())
    assert statistics[STATE]["count"] == [12]
    assert np.shape(statistics[CAMERA]["q99"]) == (3, 1, 1)


def test_version_2_gives_what_version_3_gives(data):
    new, old = Dataset(data), Dataset(as_version_2(data))
    for one, other in zip(new.episodes(), old.episodes(), strict=True):
        first, second = new.read(one, NAMES), old.read(other, [STATE, "action"])
        np.testing.assert_array_equal(first.values[STATE], second.values[STATE])
        np.testing.assert_array_equal(first.values["action"], second.values["action"])
        assert first.tasks == second.tasks


def test_what_other_tools_write_as_version_2_is_read(data):
    """A pattern with the names of version 3, and no task of each frame where there is one."""
    expected = Dataset(as_version_2(data))
    folder = expected.folder
    for path in (folder / "data/chunk-000").iterdir():
        table = pyarrow.parquet.read_table(path)
        pyarrow.parquet.write_table(table.drop_columns(["task_index"]), path)
    pattern = "data/chunk-{chunk_index:03d}/episode_{episode_index:06d}.parquet"
    info(folder, data_path=pattern)
    found = Dataset(folder)
    for episode in found.episodes():
        frames = found.read(episode, ["action"])
        assert frames.tasks == ["lift"] * episode.length
    lines = (folder / "meta/episodes.jsonl").read_text().replace('["lift"]', '["lift", "put"]')
    (folder / "meta/episodes.jsonl").write_text(lines)
    with pytest.raises(LeRobotError, match="task_index"):
        found.read(next(found.episodes()), ["action"])


def test_frames_that_a_clock_has_timed_are_taken_when_they_were(data, tmp_path):
    """At 9 a second where 10 are meant, and not evenly: nothing is gained by refusing them."""
    change_column(data, "timestamp", lambda i, stamp_s: stamp_s / 0.9 + 0.002 * (i % 2))
    dataset = Dataset(data)
    with pytest.warns(UserWarning, match=r"frames are every 0\.11\d* s and not 10 a second"):
        frames = dataset.read(next(dataset.episodes()), ["action"])
    expected = np.arange(7) / 9 + 0.002 * (np.arange(7) % 2)
    np.testing.assert_allclose(frames.moments_s, expected, atol=1e-6)
    robot = small_robot(tmp_path)
    with pytest.warns(UserWarning, match="taken when they were"):
        import_dataset(data, robot, tmp_path / "bags", Matching({}))
    with OpenBag(find_bags([tmp_path / "bags"])[0]) as bag:
        stamps_ns = [each.header_ns for each in bag.messages(["/joint_states"])]
    np.testing.assert_allclose(np.diff(stamps_ns) * 1e-9, np.diff(expected), atol=1e-6)


def pointer(data):
    path = data / "data/chunk-000/file-000.parquet"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n")


def read_all(data):
    dataset = Dataset(data)
    return [dataset.read(episode, NAMES) for episode in dataset.episodes()]


def damage_table(data):
    path = data / "data/chunk-000/file-000.parquet"
    path.write_bytes(path.read_bytes()[:500])


def damage_video(data):
    path = next((data / "videos").rglob("*.mp4"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def another_size(data):
    features = info(data)["features"]
    features[CAMERA]["shape"] = [40000, 60000, 3]
    info(data, features=features)


def change_column(data, name, change):
    path = data / "data/chunk-000/file-000.parquet"
    table = pyarrow.parquet.read_table(path)
    column = pyarrow.array([change(i, each) for i, each in enumerate(table[name].to_pylist())])
    place = table.column_names.index(name)
    pyarrow.parquet.write_table(table.set_column(place, name, column), path)


CASES = {
    "no info": (lambda data: (data / "meta/info.json").unlink(), "meta/info.json"),
    "no JSON": (lambda data: (data / "meta/info.json").write_text("{"), "meta/info.json"),
    "deep": (lambda data: (data / "meta/info.json").write_text("[" * 999), "nested"),
    "version": (lambda data: info(data, codebase_version="v1.6"), "versions v2.0"),
    "no fps": (lambda data: info(data, fps=0), "frames a second"),
    "no features": (lambda data: info(data, features=7), "meta/info.json"),
    "out of it": (lambda data: info(data, data_path="../../x.parquet"), "out of the data set"),
    "wide path": (
        lambda data: info(data, data_path="{file_index:0999999999d}"),
        "too many digits",
    ),
    "odd path": (lambda data: info(data, data_path="{nothing}"), "list of episodes"),
    "no tasks": (lambda data: (data / "meta/tasks.parquet").unlink(), "tasks.parquet"),
    "cut table": (damage_table, "file-000.parquet"),
    "no table": (lambda data: shutil.rmtree(data / "data"), "file-000.parquet is missing"),
    "not fetched": (pointer, "only a pointer of Git LFS"),
    "cut video": (damage_video, "file-000.mp4"),
    "no video": (lambda data: shutil.rmtree(data / "videos"), "file-000.mp4"),
    "huge pictures": (another_size, "meta/info.json has 40000 x 60000"),
    "no number": (
        lambda data: change_column(data, "action", lambda i, row: [float("nan")] * 2),
        "not finite",
    ),
    "too few numbers": (
        lambda data: change_column(data, "action", lambda i, row: row[:1]),
        "action",
    ),
    "other times": (
        lambda data: change_column(data, "timestamp", lambda i, stamp_s: 3 * stamp_s),
        "timestamps",
    ),
    "a lost frame": (
        lambda data: change_column(data, "frame_index", lambda i, frame: frame + (i > 3)),
        "not whole",
    ),
    "no such task": (
        lambda data: change_column(data, "task_index", lambda i, task: 5),
        "no task 5",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_data_set_is_refused_with_the_file(data, case):
    damage, text = CASES[case]
    damage(data)
    with pytest.raises(LeRobotError, match=text):
        read_all(data)


def test_the_command_names_what_is_wrong_and_ends_with_1(data, tmp_path, capsys):
    small_robot(tmp_path)
    damage_table(data)
    out = tmp_path / "bags"
    words = [str(data), "--robot", str(tmp_path / "robot.yaml"), "--output", str(out)]
    assert import_lerobot(words) == 1
    assert "copy the data set again" in " ".join(capsys.readouterr().out.split())
    assert not list(out.iterdir())
