"""A real controller process under a simulated time that jumps and stands still."""

import re
import time
from collections.abc import Iterator

import numpy as np
import pytest
from controller_driver import (
    STEADY,
    FakeRobot,
    client,
    process_of,
)
from random_checkpoint import save_random_checkpoint
from rosgraph_msgs.msg import Clock

from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.robot import joint_limits
from ddpm_controller.ros.controller.topics import time_from
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

LIMITS = joint_limits(robot_description(), JOINT_NAMES)
PERIOD_S = 0.02
JUMP_S = 3 * PERIOD_S
"""In which a jump of the time is noticed: ticks of /clock, of the controller, of the robot."""


class SimTime:
    """Publishes /clock and stamps the messages of a robot.

    Attributes:
        offset_s: Is added to the time since the beginning.
        stands: The time does not go on.
    """

    def __init__(self, node, robot) -> None:
        self._publisher = node.create_publisher(Clock, "/clock", 10)
        node.clock_s = lambda: self.now_s
        self._began_s = time.monotonic()
        self.offset_s, self.stands = 1000.0, False
        self.now_s = self.offset_s
        node.create_timer(0.01, self._tell, clock=STEADY)
        for name in ("joint_state", "camera_fixed", "camera_wrist"):
            robot.messages[name] = self._stamped

    def _tell(self) -> None:
        if not self.stands:
            self.now_s = self.offset_s + time.monotonic() - self._began_s
        self._publisher.publish(Clock(clock=time_from(self.now_s)))

    def _stamped(self, message):
        message.header.stamp = time_from(self.now_s)
        return message


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> Iterator[tuple]:
    folder = tmp_path_factory.mktemp("checkpoint") / "random"
    save_random_checkpoint(folder)
    with client() as node, process_of("controller", checkpoint=folder, use_sim_time=True):
        sim_time = SimTime(node, FakeRobot(node))
        node.bring_up()
        node.until_running()
        yield node, sim_time


@pytest.mark.parametrize(
    ("by_s", "text"), [(-300.0, "the time went back by"), (60.0, "the time leapt forward by")]
)
def test_after_a_jump_of_time_it_stops_and_goes_on_from_where_it_is(graph, by_s, text):
    node, sim_time = graph
    node.until_running(num_chunks=1)
    first = len(node.led.points)
    sim_time.offset_s += by_s
    status = node.until_state(State.HOLDING, Reason.CLOCK_JUMP)
    assert text in status.text
    node.until_running(num_chunks=2)
    moments_s, positions = node.commands()
    assert node.led.refusals == []
    velocities, accelerations = (
        node.led.column(name)[first:] for name in ("velocity", "acceleration")
    )
    # The governor keeps velocities at its ticks; between two of them they may pass the limit.
    assert (np.abs(velocities) <= 1.05 * LIMITS.velocity).all()
    assert (np.abs(accelerations) <= 1.1 * LIMITS.acceleration).all()
    # A controller whose time has gone back holds its set point until the next message.
    step_s = np.diff(moments_s[first:])
    step_s[(step_s < 0) | (step_s > PERIOD_S)] = JUMP_S
    reach = 1.05 * LIMITS.velocity * step_s[:, None]
    assert (np.abs(np.diff(positions[first:], axis=0)) <= reach).all()


def test_while_the_time_stands_still_it_says_so_and_then_goes_on(graph):
    node, sim_time = graph
    sim_time.stands = True
    status = node.until_state(State.WAITING, Reason.CLOCK_JUMP)
    assert "the time stands still at" in status.text
    node.until(lambda: re.search(r"for [1-9]\d* s", node.status.text))  # the last ones have come
    sent = len(node.heard["joint_trajectory"])
    node.until(lambda: re.search(r"for ([3-9]|\d\d+) s", node.status.text))
    assert len(node.heard["joint_trajectory"]) == sent
    sim_time.offset_s -= time.monotonic() - sim_time._began_s + sim_time.offset_s - sim_time.now_s
    sim_time.stands = False
    node.until_running(num_chunks=1)
