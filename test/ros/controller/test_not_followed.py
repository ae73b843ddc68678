"""A robot that does not go where it is led, over ROS."""

import numpy as np
from controller_driver import BEGIN, FakeRobot, client, process_of

from ddpm_controller.control.states import Reason, State
from ddpm_controller.simulation.arm.arm import JOINT_NAMES

PARAMETERS = {"stop.max_age_s": 5.0, "stop.silence_s": 5.0, "monitor.follow_repeats": 1000}


def stuck(message):
    """Where it began, whatever it is sent."""
    message.position = [BEGIN[JOINT_NAMES.index(name)] for name in message.name]
    return message


def test_a_robot_that_stands_still_is_held_where_it_is_and_led_on_once_it_moves(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint, **PARAMETERS):
        robot = FakeRobot(node)
        robot.messages["joint_state"] = stuck
        node.bring_up()
        status = node.until_state(State.HOLDING, Reason.NOT_FOLLOWED)
        assert "from anywhere that it was led" in status.text
        node.until_state(State.HOLDING, Reason.NO_PLAN, "begins again where the robot stands")
        status = node.until_state(State.HOLDING, Reason.NOT_FOLLOWED)
        sent = node.heard["joint_trajectory"]
        # All but the gripper, which need not follow.
        node.until(
            lambda: np.abs(np.subtract(sent[-1].points[-1].positions, BEGIN)[:6]).max() < 1e-6
        )
        robot.messages.clear()
        node.until_running()
