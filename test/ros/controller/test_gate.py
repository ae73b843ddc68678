"""The start gate and the figures of a status, over ROS."""

import numpy as np
from controller_driver import BEGIN, FakeRobot, client, process_of

from ddpm_controller.control.states import LimitCounts, Reason, State

NEAR = {"start.distance": 0.01}


def test_a_far_first_action_is_refused_and_the_robot_stays(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint, **NEAR):
        FakeRobot(node)
        node.bring_up()
        status = node.until_state(State.HOLDING, Reason.START_REFUSED)
        assert "the first action is far" in status.text
        assert "start.approach_slowly" in status.text
        assert not node.heard["controller/action_chunk"]
        node.until_commanded()
        _, positions = node.commands()
        np.testing.assert_allclose(positions, np.tile(BEGIN, (len(positions), 1)))


def test_a_slow_approach_is_published_as_a_chunk_of_no_checkpoint_and_limits_are_counted(
    checkpoint,
):
    parameters = {**NEAR, "start.approach_slowly": True, "start.approach_share": 0.5}
    with client() as node, process_of("controller", checkpoint=checkpoint, **parameters):
        FakeRobot(node)
        node.bring_up()
        status = node.until_state(State.RUNNING, Reason.START_REFUSED)
        assert "approaching slowly" in status.text
        chunk = node.until(lambda: node.heard["controller/action_chunk"])[0]
        assert chunk.checkpoint_hash == ""
        np.testing.assert_allclose(np.reshape(chunk.rows, (chunk.num_rows, -1))[0], BEGIN)
        counts = LimitCounts()
        assert list(status.limit_names) == counts.names
        assert len(status.limit_counts) == len(counts.names)
        assert np.isnan(status.out_of_distribution)  # this checkpoint has no such measure
