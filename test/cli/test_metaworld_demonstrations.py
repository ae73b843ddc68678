"""Demonstrations of MetaWorld's tasks, as they are recorded for a training."""

import numpy as np
import pytest

pytest.importorskip("metaworld", reason="needs the extra metaworld")

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.robots.robot import joint_limits, load_robot
from ddpm_controller.ros.simulation.demonstrations import record_in_process
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS


@pytest.mark.parametrize("name", ["drawer_open", "button_press", "hammer"])
def test_a_demonstration_has_what_the_robot_file_names(name, tmp_path):
    world, robot = WORLDS[name].world(), load_robot(share_path(WORLDS[name].robot))
    assert record_in_process(world, 1, tmp_path / name)
    (episode,) = read_episodes([tmp_path], robot)
    assert episode.success
    assert 25 < len(episode) < 96  # rows of 0.1 s; what the comparison of memories can take
    lag = episode.actions[:-1, :3] - episode.values["joint_state"][1:, :3]
    assert np.median(np.abs(lag)) < 0.03
    assert np.abs(episode.values["joint_velocity"][:, :3]).max() > 0.1
    assert np.ptp(episode.values["object"], axis=0).max() > 0.05
    limits = joint_limits(world.robot_description(), world.joint_names)
    assert (episode.actions >= limits.lower).all()
    assert (episode.actions <= limits.upper).all()
