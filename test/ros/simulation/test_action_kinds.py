"""Demonstrations whose commands are velocities, twists or poses, recorded and read again."""

import numpy as np
import pytest

from ddpm_controller.bags.episodes import read_bag
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.simulation.demonstrations import record_in_process
from ddpm_controller.share import share_path
from ddpm_controller.simulation.session import Session
from ddpm_controller.simulation.worlds import WORLDS, make_driver

FILE = "config/robots/kinds/sim_arm_{}.yaml"
SEED = 3


@pytest.mark.parametrize("kind", ["velocity", "twist", "pose"])
def test_a_recorded_demonstration_gives_the_rows_that_the_driver_was_sent(tmp_path, kind):
    robot, world = load_robot(share_path(FILE.format(kind))), WORLDS["reach"].world()
    try:
        assert record_in_process(world, SEED, tmp_path / "bag", outputs=robot.outputs)
        (episode,) = read_bag(tmp_path / "bag", robot)
        session = Session(
            world, 25.0, True, pictures=False, driver=make_driver(world, robot.action_spec)
        )
        tick, rows = session.reset(SEED), []
        while (row := session.expert_command()) is not None and not tick.ends:
            rows.append((tick.stamp_ns * 1e-9, row))
            tick = session.step(row)
    finally:
        world.close()
    assert episode.success
    stamps_s = np.array([stamp_s for stamp_s, _ in rows])
    sent = np.array([row for _, row in rows])
    for stamp_s, action in zip(episode.stamps_s, episode.actions, strict=True):
        in_force = sent[np.searchsorted(stamps_s, stamp_s + 1e-9, side="right") - 1]
        # An orientation goes through a quaternion and back.
        np.testing.assert_allclose(action, in_force, atol=1e-12)
