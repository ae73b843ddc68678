"""Episodes kept by several processes: what one process reads, whoever is killed meanwhile."""

import os
import signal
import sys
import warnings
from pathlib import Path

import pytest
from small_bags import run_messages, small_robot, write_bag

from ddpm_controller.bags.episode_cache import SUFFIX, EpisodeCache
from ddpm_controller.bags.episodes import read_demonstrations
from ddpm_controller.bags.files import BagError, find_bags
from ddpm_controller.bags.kept_by_many import in_processes, is_worth_it, keep_all, on_ray
from ddpm_controller.data.statistics import episodes_digest


@pytest.fixture
def robot(tmp_path):
    return small_robot(tmp_path)


@pytest.fixture
def bags(tmp_path):
    """Three good ones and one that lacks a topic."""
    for number in range(3):
        write_bag(tmp_path / "bags" / f"bag_{number}", run_messages(400 + 200 * number))
    topics = {"/joint_states": "sensor_msgs/msg/JointState"}
    write_bag(tmp_path / "bags" / "bag_3", run_messages(400), topics=topics)
    return find_bags([tmp_path / "bags"])


def kept(folder):
    return sorted(folder.glob(f"*{SUFFIX}"))


def test_several_processes_keep_what_one_reads(tmp_path, bags, robot):
    shown = []
    cache = EpisodeCache(robot, tmp_path / "kept")
    faults = keep_all(bags, robot, cache, in_processes(2), lambda *each: shown.append(each))
    assert shown[-1] == (4, 4)
    assert list(faults) == [bags[3]]
    assert "has no topic camera" in faults[bags[3]]
    assert len(kept(tmp_path / "kept")) == 3
    found = read_demonstrations(bags[:3], robot, cache=cache)
    assert found.num_kept == 3
    expected = read_demonstrations(bags[:3], robot)
    assert episodes_digest(found.episodes) == episodes_digest(expected.episodes)
    assert found.provenance == expected.provenance
    write_bag(bags[0].parent / "bag_4", run_messages(400))
    assert cache.missing(find_bags([bags[0].parent])) == [bags[3], bags[0].parent / "bag_4"]


def _killed(bag: Path) -> str:
    """As the kernel does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_a_process_that_is_killed_leaves_the_rest_to_the_caller(bags):
    with pytest.warns(UserWarning, match="was killed, as where memory is short"):
        assert list(in_processes(1)(_killed, bags[:1])) == []


def test_few_small_bags_are_not_worth_other_processes(bags, tmp_path):
    assert not is_worth_it(bags)
    (bags[0] / "bag_9.mcap").touch()
    os.truncate(bags[0] / "bag_9.mcap", 65 << 20)  # no byte of it is on the disk
    assert is_worth_it(bags)
    assert not is_worth_it(bags[:1])
    with pytest.raises(ValueError, match="jobs must be 1 or above, got 0"):
        in_processes(0)


def test_without_ray_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BagError, match=r'pip install "ddpm_controller\[ray\]"'):
        on_ray("local")


def test_machines_of_a_cluster_keep_the_same(tmp_path, bags, robot):
    """With Ray where it is installed."""
    ray = pytest.importorskip("ray")
    cache = EpisodeCache(robot, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray itself
        run = on_ray("local")
        try:
            faults = keep_all(bags, robot, cache, run)
            assert list(faults) == [bags[3]]
            assert cache.missing(bags[:3]) == []
        finally:
            ray.shutdown()
