"""Kept findings: equal to those of a first look, made again when what they depend on changes."""

from dataclasses import replace

import pytest
from small_bags import MS, START_NS, run_messages, small_robot, write_bag

from ddpm_controller.bags import episode_cache
from ddpm_controller.bags.episode_cache import OF_SETS, EpisodeCache
from ddpm_controller.lint.demonstrations import chosen_demonstrations, doubts
from ddpm_controller.lint.leave_out import LeaveOut


@pytest.fixture
def robot(tmp_path):
    """Two joints and one tiny camera."""
    return small_robot(tmp_path)


@pytest.fixture
def bags(tmp_path):
    """Two bags, whose commands are not followed."""
    for number in range(2):
        write_bag(tmp_path / "bags" / f"bag_{number}", run_messages(1200))
    return tmp_path / "bags"


def looked_at(bags, robot, folder):
    """Return what is doubted at one start, with the cache in a folder; None: without one."""
    cache = None if folder is None else EpisodeCache(robot, folder)
    found = chosen_demonstrations([bags], robot, LeaveOut(), cache=cache)
    return doubts([bags], robot, LeaveOut(), found, cache=cache)


def kept(folder):
    return list(folder.glob(f"*{OF_SETS}"))


def test_the_second_start_finds_the_same_and_opens_no_bag(tmp_path, bags, robot, monkeypatch):
    expected = looked_at(bags, robot, None)
    assert len(expected) > 1
    assert any(each.part_ns is not None for each in expected)
    assert looked_at(bags, robot, tmp_path / "kept") == expected
    monkeypatch.setattr("ddpm_controller.lint.demonstrations.read_recording", None)
    monkeypatch.setattr("ddpm_controller.bags.episodes.OpenBag", None)
    assert looked_at(bags, robot, tmp_path / "kept") == expected


def test_a_set_with_another_bag_or_a_changed_one_is_looked_at_again(tmp_path, bags, robot):
    looked_at(bags, robot, tmp_path / "kept")
    write_bag(bags / "bag_2", run_messages(1200))
    assert looked_at(bags, robot, tmp_path / "kept") == looked_at(bags, robot, None)
    before = looked_at(bags, robot, tmp_path / "kept")
    for file in (bags / "bag_2").iterdir():
        file.unlink()
    (bags / "bag_2").rmdir()
    write_bag(bags / "bag_2", run_messages(400, START_NS + 5 * MS))
    after = looked_at(bags, robot, tmp_path / "kept")
    assert after == looked_at(bags, robot, None)
    assert after != before


def test_another_robot_or_other_code_looks_again(tmp_path, bags, robot, monkeypatch):
    looked_at(bags, robot, tmp_path / "kept")
    looked_at(bags, replace(robot, end_effector="hand"), tmp_path / "kept")
    assert len(kept(tmp_path / "kept")) == 2
    monkeypatch.setattr(episode_cache, "VERSION", episode_cache.VERSION + 1)
    looked_at(bags, robot, tmp_path / "kept")
    assert len(kept(tmp_path / "kept")) == 3


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_torn_or_changed_file_is_never_believed(tmp_path, bags, robot, share):
    expected = looked_at(bags, robot, tmp_path / "kept")
    (file,) = kept(tmp_path / "kept")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert looked_at(bags, robot, tmp_path / "kept") == expected
    assert file.read_bytes() == whole
    file.write_bytes(whole.replace(b"doubtful", b"harmless"))
    assert looked_at(bags, robot, tmp_path / "kept") == expected


def test_a_bag_that_may_still_grow_is_looked_at_every_time(tmp_path, bags, robot):
    (bags / "bag_1" / "metadata.yaml").unlink()
    with pytest.warns(UserWarning, match="not finished"):
        looked_at(bags, robot, tmp_path / "kept")
    assert kept(tmp_path / "kept") == []


def test_the_oldest_of_very_many_sets_go(tmp_path, bags, robot, monkeypatch):
    monkeypatch.setattr(episode_cache, "MOST_OF_SETS", 2)
    for name in ("one", "two", "three", "four"):
        looked_at(bags, replace(robot, end_effector=name), tmp_path / "kept")
    looked_at(bags, robot, tmp_path / "kept")
    assert len(kept(tmp_path / "kept")) == 3  # two, and the one of the start that made room
