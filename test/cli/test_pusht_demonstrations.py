"""The human demonstrations of PushT as bags."""

import sys

import numpy as np
import pytest
from pusht_checkpoint import DATA, PUSHT

from ddpm_controller.bags.episodes import read_bag
from ddpm_controller.bags.files import BagError, OpenBag
from ddpm_controller.cli.demonstrate import DemonstrateOptions
from ddpm_controller.cli.pusht_demonstrations import PushTDemonstrations, convert, main
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.simulation.pusht.pusht_block import CORNERS

zarr = pytest.importorskip("zarr", reason="needs the extra pusht")


def recording(path, ends=(3, 7)):
    """Write a small one with the names and shapes of the published data."""
    random = np.random.default_rng(0)
    states = random.uniform(50.0, 450.0, (ends[-1], 5)).astype(np.float32)
    states[:, 4] = random.uniform(0.0, 6.2, ends[-1])
    root = zarr.open(str(path), mode="w")
    root["data/state"] = states
    root["data/action"] = random.uniform(50.0, 450.0, (ends[-1], 2)).astype(np.float32)
    root["meta/episode_ends"] = np.array(ends)
    return path


def check_episode(bag, states, actions):
    """A bag gives the numbers of the data, and each command with the state it answers."""
    (episode,) = read_bag(bag, load_robot(PUSHT))
    assert len(episode) == len(states)
    assert episode.success
    np.testing.assert_allclose(np.diff(episode.stamps_s), 0.1)
    # Exact: a product with the same 1e-3, through 64-bit messages.
    np.testing.assert_array_equal(episode.values["joint_state"], states[:, :2] * 1e-3)
    np.testing.assert_array_equal(episode.actions, actions * 1e-3)
    corners = episode.values["block_corners"].reshape(-1, 8, 2)
    # The first corner is 60 pixels to the left of the frame, along the T's own x axis.
    along = np.stack([np.cos(states[:, 4]), np.sin(states[:, 4])], axis=1)
    np.testing.assert_allclose(corners[:, 0], (states[:, 2:4] - 60.0 * along) * 1e-3, atol=1e-12)
    sides = np.linalg.norm(np.diff(corners, axis=1), axis=2)
    expected = np.linalg.norm(np.diff(CORNERS, axis=0), axis=1)
    np.testing.assert_allclose(sides, np.tile(expected, (len(states), 1)), atol=1e-12)


def test_every_episode_becomes_a_bag_with_exact_numbers(tmp_path):
    data = recording(tmp_path / "small.zarr")
    told = []
    count = convert(
        PushTDemonstrations(data, tmp_path / "bags"), lambda *progress: told.append(progress)
    )
    assert count == 2
    assert told == [(1, 2), (2, 2)]
    root = zarr.open(str(data), mode="r")
    states, actions = (root[f"data/{name}"][:].astype(float) for name in ("state", "action"))
    check_episode(tmp_path / "bags" / "pusht_000", states[:3], actions[:3])
    check_episode(tmp_path / "bags" / "pusht_001", states[3:], actions[3:])
    with OpenBag(tmp_path / "bags" / "pusht_001") as bag:
        assert bag.provenance["source"] == "small.zarr"
        assert bag.provenance["episode"] == "1"


def test_bags_that_are_there_are_kept_and_the_number_can_be_limited(tmp_path):
    data = recording(tmp_path / "small.zarr")
    bags = tmp_path / "bags"
    assert convert(PushTDemonstrations(data, bags, episodes=1)) == 1
    assert [path.name for path in bags.iterdir()] == ["pusht_000"]
    kept = (bags / "pusht_000" / "metadata.yaml").stat().st_mtime_ns
    assert convert(PushTDemonstrations(data, bags)) == 2
    assert (bags / "pusht_000" / "metadata.yaml").stat().st_mtime_ns == kept


@pytest.mark.skipif(not DATA.exists(), reason=f"the human demonstrations are not at {DATA}")
def test_the_first_published_episode_keeps_its_numbers(tmp_path):
    assert convert(PushTDemonstrations(DATA, tmp_path, episodes=1)) == 1
    root = zarr.open(str(DATA), mode="r")
    assert len(root["meta/episode_ends"]) == 206
    states, actions = (root[f"data/{name}"][:161].astype(float) for name in ("state", "action"))
    assert root["meta/episode_ends"][0] == 161
    check_episode(tmp_path / "pusht_000", states, actions)


def test_a_wrong_path_ends_the_command_with_what_is_wanted(tmp_path, monkeypatch, capsys):
    words = ["--data", str(tmp_path / "nowhere.zarr"), "--output", str(tmp_path / "bags")]
    monkeypatch.setattr(sys, "argv", ["pusht_demonstrations", *words])
    assert main() == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "nowhere.zarr: not the demonstrations of PushT" in text
    assert "pusht_cchi_v7_replay.zarr" in text
    assert not (tmp_path / "bags").exists()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("data/state", np.zeros((7, 4)), "state \\(7, 4\\) and action \\(7, 2\\) do not fit"),
        ("data/action", np.zeros((6, 2)), "state \\(7, 5\\) and action \\(6, 2\\) do not fit"),
        ("data/action", np.full((7, 2), np.nan), "not finite; copy the data again"),
        ("meta/episode_ends", np.array([3, 9]), "episode_ends .* 7 moments"),
        ("meta/episode_ends", np.array([3, 3, 7]), "episode_ends .* 7 moments"),
    ],
)
def test_damaged_data_is_refused_before_anything_is_written(tmp_path, name, value, text):
    data = recording(tmp_path / "small.zarr")
    root = zarr.open(str(data), mode="r+")
    del root[name]
    root[name] = value
    with pytest.raises(BagError, match=text):
        convert(PushTDemonstrations(data, tmp_path / "bags"))
    assert not (tmp_path / "bags").exists()


def test_a_number_of_episodes_below_zero_is_refused(tmp_path):
    with pytest.raises(ValueError, match="episodes must be at least 0, got -1"):
        PushTDemonstrations(tmp_path, tmp_path, episodes=-1)


def test_demonstrate_says_where_the_demonstrations_are(tmp_path):
    with pytest.raises(ValueError, match="no expert for world 'pusht'.*ddpm pusht-demonstrations"):
        DemonstrateOptions(tmp_path, "pusht")
