"""What becomes of the state that a policy carries from plan to plan, in a real controller."""

import numpy as np
import pytest
from controller_driver import FakeRobot, client, process_of
from random_checkpoint import save_random_checkpoint
from std_srvs.srv import Trigger

from ddpm_controller.control.states import State
from ddpm_controller.ros.memory_messages import memory_from


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "random"
    save_random_checkpoint(folder)
    return folder


LIMIT = 200.0
"""Chunks of this checkpoint are at most 100 units from one another: 2 % of half their range."""


def pushed(message):
    """Half a radian or metre away, thousands of units of the gripper."""
    message.position = [each + 0.5 for each in message.position]
    return message


def test_a_push_and_the_service_let_the_state_begin_anew_while_the_policy_stays(checkpoint):
    parameters = {"seam": "warm_replace", "reset_state_above": LIMIT, "replan_period_s": 0.2}
    with client() as node, process_of("controller", checkpoint=checkpoint, **parameters):
        robot = FakeRobot(node)
        node.bring_up()
        node.until_running(3)
        memories, chunks = node.heard["controller/memory"], node.heard["controller/action_chunk"]
        node.until(lambda: len(memories) >= 3)
        for memory, chunk in zip(memories[:3], chunks[:3], strict=True):
            assert (memory.header.stamp, memory.plan_number) == (
                chunk.header.stamp,
                chunk.plan_number,
            )
            assert np.isnan(chunk.transition_scale)
        assert ["previous_rows" in memory.names for memory in memories[:3]] == [False, True, True]
        rows = memory_from(memories[1])["previous_rows"]
        sent = np.reshape(chunks[0].rows, (chunks[0].num_rows, -1))
        np.testing.assert_array_equal(rows[1 : 1 + len(sent)], sent)
        status = node.status
        assert (status.state_resets, status.departure_limit) == (0, LIMIT)
        assert np.isnan(status.state_age_s)

        known = len(node.heard["controller/status"])
        robot.messages["joint_state"] = pushed
        status = node.until(lambda: node.status.state_resets and node.status)
        robot.messages.clear()
        assert "usual departures, limit 200.0" in status.state_reset_text
        begin = len(memories)
        node.until(
            lambda: any("previous_rows" not in each.names for each in memories[begin - 1 :])
        )
        states = {each.state for each in node.heard["controller/status"][known:]}
        assert states == {State.RUNNING}

        assert node.call(Trigger).success
        begin = len(memories)
        first = node.until(lambda: [each for each in memories[begin:] if each.plan_number == 0])[0]
        assert "previous_rows" not in first.names
        text = "asked for by the service reset"
        node.until(lambda: node.status.state_reset_text == text)
        assert node.status.checkpoint_hash == chunks[0].checkpoint_hash
