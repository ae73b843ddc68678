"""The command on the real simulation with added delays, and on robots that are ill."""

import shutil
import signal
import subprocess
import time
from collections import deque
from contextlib import contextmanager

import numpy as np
import pytest
from controller_driver import BEGIN, DEEP, PATIENCE_S, STEADY, FakeRobot, client
from random_checkpoint import SIM_ARM
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.bags.conversions import byte_array, seconds
from ddpm_controller.robots.robot import joint_limits, load_robot
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.stamps import time_from
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

LIMITS = joint_limits(robot_description(), JOINT_NAMES, load_robot(SIM_ARM).given_limits)


class Relay:
    """Sends every command on, later and for a later moment, as a robot that is late in all."""

    def __init__(self, node):
        self.delay_s = 0.0
        self._waiting = deque()
        self._publisher = node.create_publisher(JointTrajectory, "delayed", DEEP)
        node.create_subscription(JointTrajectory, "joint_trajectory", self._on_command, DEEP)
        node.create_timer(0.002, self._send, clock=STEADY)

    def _on_command(self, message):
        self._waiting.append((time.monotonic(), message))

    def _send(self):
        while self._waiting and self._waiting[0][0] + self.delay_s <= time.monotonic():
            _, message = self._waiting.popleft()
            message.header.stamp = time_from(seconds(message.header.stamp) + self.delay_s)
            self._publisher.publish(message)


@pytest.fixture
def robot_file(tmp_path):
    shutil.copytree(SIM_ARM.parent / "limits", tmp_path / "limits")
    return shutil.copy(SIM_ARM, tmp_path / "robot.yaml")


@contextmanager
def calibration(robot_file, *words):
    """The command as a process that has begun."""
    command = [*python_command("calibrate_latency"), str(robot_file), "--duration-s", "1"]
    command += ["--picture", str(robot_file.with_suffix(".png")), *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def result(node, process):
    """Spin until the command ends; return its exit code and what it has said."""
    node.until(lambda: process.poll() is not None, "the end of the command")
    return process.returncode, " ".join(process.stdout.read().split())


@pytest.mark.long  # two measurements on a robot that is simulated in real time
def test_a_delay_that_a_relay_adds_is_found_on_the_real_simulation(robot_file):
    words = ["--ros-args", "-p", "world:=reach", "-r", "joint_trajectory:=delayed"]
    simulation = subprocess.Popen([*python_command("simulation"), *words])
    latencies_s = []
    try:
        with client() as node:
            relay = Relay(node)
            node.until(lambda: node.count_publishers("camera_fixed/image_raw"))
            for relay.delay_s in (0.0, 0.3):
                with calibration(robot_file, "--yes-move", "--joints", "gripper") as process:
                    code, said = result(node, process)
                assert code == 0, said
                robot = load_robot(robot_file)
                latencies_s.append(robot.latency_s)
                # What it is depends on the machine; on none it is exactly 0.
                assert all(0 < stream.latency_s < 0.5 for stream in robot.streams)
    finally:
        simulation.send_signal(signal.SIGINT)
        simulation.wait(PATIENCE_S)
    # The lag of the servo; with the lead of 80 ms, which is no latency, it would be more.
    assert 0 < latencies_s[0] < 0.12
    assert latencies_s[1] - latencies_s[0] == pytest.approx(0.3, abs=0.02)
    assert robot_file.with_suffix(".png").stat().st_size > 10_000
    assert robot_file.read_text().count("latency_s") == 4


@pytest.mark.long
def test_a_robot_that_is_late_by_a_known_time_is_found_without_the_lead_of_its_commands(
    robot_file,
):
    late_s, joint = 0.15, 0
    told = [(0.0, BEGIN[joint])]

    def late(message):
        place = list(message.name).index(JOINT_NAMES[joint])
        now_s = seconds(message.header.stamp)
        told.append((now_s, message.position[place]))
        message.position[place] = float(np.interp(now_s - late_s, *np.transpose(told)))
        return message

    with client() as node:
        FakeRobot(node).messages["joint_state"] = late
        words = ("--yes-move", "--joints", JOINT_NAMES[joint])
        with calibration(robot_file, *words) as process:
            code, said = result(node, process)
        node.until_rest()
    assert code == 0, said
    assert load_robot(robot_file).latency_s == pytest.approx(late_s, abs=0.03)
    keeps_limits(node.led)


def test_it_moves_nothing_unless_it_may(robot_file):
    with client() as node:
        FakeRobot(node)
        with calibration(robot_file) as process:
            code, said = result(node, process)
        assert code == 0, said
        assert "the robot was not moved: with --yes-move" in said
        assert node.heard["joint_trajectory"] == []
    assert load_robot(robot_file).latency_s == 0.0
    assert robot_file.read_text().count("latency_s") == 3


@pytest.mark.long
def test_a_camera_whose_stamps_hide_its_latency_is_found_by_the_motion_that_it_shows(robot_file):
    """However late the robot hears of its commands: the picture shows what its states tell."""
    hidden_s, joint = 0.2, 0
    told = [(0.0, BEGIN[joint])]

    def note(message):
        place = message.position[list(message.name).index(JOINT_NAMES[joint])]
        told.append((seconds(message.header.stamp), place))
        return message

    def late(message):
        then_s = seconds(message.header.stamp) - hidden_s
        turned = np.interp(then_s, *np.transpose(told)) - BEGIN[joint]
        bar = np.exp(-np.square((np.arange(96) - 48 - 500 * turned) / 8.0))
        picture = np.tile((200 * bar)[None, :, None], (96, 1, 3)).astype(np.uint8)
        message.data = byte_array(picture)
        return message

    with client() as node:
        FakeRobot(node).messages.update(joint_state=note, camera_fixed=late)
        words = ("--yes-move", "--joints", JOINT_NAMES[joint])
        with calibration(robot_file, *words) as process:
            code, said = result(node, process)
    assert code == 0, said
    assert "camera_wrist │ not seen" in said  # it only flickers
    latencies_s = {each.spec.name: each.latency_s for each in load_robot(robot_file).streams}
    more_s = latencies_s["camera_fixed"] - latencies_s["camera_wrist"]
    assert more_s == pytest.approx(hidden_s, abs=0.05)


def test_ctrl_c_stops_the_robot_smoothly_and_leaves_the_file(robot_file):
    before = robot_file.read_text()
    with client() as node:
        FakeRobot(node)
        with calibration(robot_file, "--yes-move") as process:
            node.until(lambda: len(node.heard["joint_trajectory"]) > 30)
            process.send_signal(signal.SIGINT)
            code, said = result(node, process)
        node.until_rest()
    assert code == 130, said
    assert robot_file.read_text() == before
    assert 31 <= len(node.arrived) < 200
    assert np.ptp(node.led.column("position")[:, 0]) > 0.001
    keeps_limits(node.led)


def keeps_limits(led):
    """What a controller makes of all that was sent; at last it rests."""
    assert led.refusals == []
    assert (np.abs(led.column("velocity")) <= LIMITS.velocity).all()
    assert (np.abs(led.column("acceleration")) <= 1.1 * LIMITS.acceleration).all()
    assert not led.points[-1].velocity.any()


def test_a_robot_that_somebody_else_commands_is_not_touched(robot_file):
    with client() as node:
        FakeRobot(node)
        publisher = node.create_publisher(JointTrajectory, "joint_trajectory", DEEP)
        node.create_timer(0.02, lambda: publisher.publish(_command()), clock=STEADY)
        with calibration(robot_file, "--yes-move") as process:
            code, said = result(node, process)
    assert code == 1
    assert "another node commands the robot" in said
    assert "deactivate the controller first" in said


def _command():
    message = JointTrajectory(joint_names=list(JOINT_NAMES))
    message.points = [JointTrajectoryPoint(positions=BEGIN)]
    return message


def test_a_clock_that_is_ahead_is_said_and_nothing_is_written(robot_file):
    before = robot_file.read_text()

    def ahead(message):
        message.header.stamp.sec += 3
        return message

    with client() as node:
        FakeRobot(node).messages["camera_wrist"] = ahead
        with calibration(robot_file) as process:
            code, said = result(node, process)
    assert code == 1
    assert "camera_wrist: messages came up to" in said
    assert "synchronize them" in said
    assert robot_file.read_text() == before


def test_states_that_end_during_the_motion_stop_it(robot_file):
    with client() as node:
        robot = FakeRobot(node)

        def while_it_rests(message):
            return message if len(node.heard["joint_trajectory"]) < 40 else None

        robot.messages["joint_state"] = while_it_rests
        with calibration(robot_file, "--yes-move") as process:
            code, said = result(node, process)
        node.until_rest()
    assert code == 1
    assert "joint_state is" in said
    assert "the robot was stopped" in said
    keeps_limits(node.led)


def test_a_joint_that_does_not_exist_is_named(robot_file):
    with client() as node, calibration(robot_file, "--joints", "elbows") as process:
        code, said = result(node, process)
    assert code == 1
    assert "joints ['elbows'] are not among those of the action: ['shoulder_pan'" in said
