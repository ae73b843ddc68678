"""Trajectories that end at rest, from real processes into the driver of the simulation."""

import os
import signal
import time

import numpy as np
import pytest
from controller_driver import Client, client, process_of
from rclpy.qos import QoSProfile
from trajectory_msgs.msg import JointTrajectory

from benchmarks.live_processes import command_processes
from ddpm_controller.bags.conversions import seconds
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.robot_description import robot_description

LIMITS = load_robot(share_path("config/robots/sim_arm.yaml")).limits(robot_description())
DRIVEN = {"world": "reach", "mode": "real_time", "driver": "controllers"}


class Record:
    """Set points of the driver, at its own rate."""

    def __init__(self, node: Client) -> None:
        self.messages: list[JointTrajectory] = []
        node.create_subscription(
            JointTrajectory, "simulation/set_points", self.messages.append, QoSProfile(depth=2000)
        )

    def column(self, name: str) -> np.ndarray:
        """Positions, velocities or accelerations, (N, 7)."""
        return np.array([getattr(p, name) for m in self.messages for p in m.points])

    @property
    def newest_s(self) -> float:
        return seconds(self.messages[-1].header.stamp) if self.messages else 0.0


@pytest.fixture
def streaming(checkpoint):
    """Parameters of a controller that streams."""
    return {
        "checkpoint": checkpoint,
        "command.stream": "rest_ended",
        "run_on_activate": True,
        "start.distance": "any",
    }


def refusals(captured: str) -> list[str]:
    return [line for line in captured.splitlines() if "refused:" in line]


@pytest.mark.parametrize("command_process", [True, pytest.param(False, marks=pytest.mark.long)])
def test_every_message_is_taken_and_the_robot_moves_within_its_limits(
    streaming, capfd, command_process
):
    with (
        client() as node,
        process_of("simulation", **DRIVEN),
        process_of("controller", **{**streaming, "command.process": command_process}),
    ):
        record = Record(node)
        node.bring_up()
        node.until_running(4)
    assert refusals(capfd.readouterr().err) == []
    sent = node.heard["joint_trajectory"]
    assert len(sent) > 20
    assert all(not any(message.points[-1].velocities) for message in sent)
    assert np.ptp(record.column("positions"), axis=0).max() > 0.05
    # On a busy machine messages may be later than the lead allows, never a jump.
    assert (np.abs(record.column("accelerations")) <= 1.1 * LIMITS.acceleration).all()


ONE_DIES = pytest.param(("commands",), marks=pytest.mark.long)


@pytest.mark.parametrize("victims", [ONE_DIES, ("controller", "commands")])
def test_a_robot_whose_sender_was_killed_stops_smoothly_by_what_it_has(streaming, victims):
    with (
        client() as node,
        process_of("simulation", **DRIVEN),
        process_of("controller", **streaming) as controller,
    ):
        record = Record(node)
        node.bring_up()
        node.until_running()
        node.until(lambda: record.messages and np.abs(record.column("velocities")[-1]).max() > 0.1)
        pids = {"controller": [controller.pid], "commands": command_processes(controller.pid)}
        for pid in [pid for victim in victims for pid in pids[victim]]:
            os.kill(pid, signal.SIGKILL)
        killed_s = time.time()
        # A controller whose command process has died begins another one, which is not there yet.
        node.until(
            lambda: record.newest_s > killed_s and not record.column("velocities")[-1].any()
        )
    moments_s = np.array([seconds(m.header.stamp) for m in record.messages for _ in m.points])
    behind = record.column("velocities")[moments_s > killed_s]
    assert np.abs(behind[0]).max() > 0.0
    assert (np.abs(record.column("accelerations")) <= 1.1 * LIMITS.acceleration).all()
    assert moments_s[-1] - killed_s < 2.0


def test_a_process_that_stands_by_continues_without_a_jump(streaming, capfd):
    with (
        client() as node,
        process_of("simulation", **DRIVEN),
        process_of("controller", **{**streaming, "command.standby": True}) as controller,
    ):
        record = Record(node)
        node.bring_up()
        node.until_running()
        node.until(lambda: len(command_processes(controller.pid)) > 1)
        node.until(lambda: np.abs(record.column("velocities")[-1]).max() > 0.1)
        os.kill(command_processes(controller.pid)[0], signal.SIGKILL)
        node.until_running(3)
    assert refusals(capfd.readouterr().err) == []
    assert (np.abs(record.column("accelerations")) <= 1.1 * LIMITS.acceleration).all()


@pytest.mark.long
def test_single_points_are_refused_with_the_reason_while_the_robot_would_move(streaming, capfd):
    with (
        client() as node,
        process_of("simulation", **DRIVEN),
        process_of("controller", **{**streaming, "command.stream": "single_point"}),
    ):
        node.bring_up()
        node.until_running(2)
    said = refusals(capfd.readouterr().err)
    assert said
    assert "the last point has a velocity" in said[0]


def test_a_lead_that_is_longer_than_a_chunk_is_refused_when_it_is_configured(streaming, capfd):
    with (
        client() as node,
        process_of("controller", **{**streaming, "command.stream_lead_s": 1.9}),
    ):
        assert not node.change(1)
        assert node.state() == "unconfigured"
    assert "lead_s 1.9 s is not shorter than a chunk" in capfd.readouterr().err
