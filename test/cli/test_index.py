"""The command index: bags are kept, those that cannot be used are named."""

import pytest
from small_bags import run_messages, small_robot, write_bag

from ddpm_controller.bags.episode_cache import EpisodeCache
from ddpm_controller.bags.episodes import read_demonstrations
from ddpm_controller.cli.index import IndexOptions, main


def test_bags_are_kept_once_and_the_others_named(tmp_path, capsys):
    robot = small_robot(tmp_path)
    for name, length in (("a", 400), ("b", 600)):
        write_bag(tmp_path / "bags" / name, run_messages(length))
    words = [str(tmp_path / "bags"), "--robot", str(tmp_path / "robot.yaml")]
    words += ["--cache", "beside", "--jobs", "1"]
    assert main(words) == 0
    assert "2 of 2 bags are kept" in capsys.readouterr().out
    cache = EpisodeCache(robot, None)
    assert read_demonstrations([tmp_path / "bags"], robot, cache=cache).num_kept == 2
    bad = write_bag(tmp_path / "bags" / "c", run_messages(400))
    (bad / "c.mcap").write_bytes(b"")
    assert main(words) == 1
    shown = capsys.readouterr().out
    assert "2 of 3 bags are kept" in shown
    assert "bags/c is cut or damaged" in " ".join(shown.split())


def test_a_cluster_needs_a_place_that_all_have():
    with pytest.raises(ValueError, match="give --cache beside"):
        IndexOptions((), "robot.yaml", ray="auto")
    with pytest.raises(ValueError, match="jobs must be 1 or above"):
        IndexOptions((), "robot.yaml", jobs=0)
