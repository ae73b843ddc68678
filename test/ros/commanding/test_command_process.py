"""The process that commands, as a real process with a real listener."""

import os
import re
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import rclpy
from controller_driver import client, periods_between, process_of
from ddpm_msgs.msg import ControllerStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from trajectory_msgs.msg import JointTrajectory

from benchmarks.live_processes import command_processes, cut_link
from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.moving.boxed_arm import BoxedArm, CartesianBox
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order, Sent
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, RobotOutput
from ddpm_controller.ros.commanding.command_link import CommandLink
from ddpm_controller.ros.commanding.command_messages import (
    CommandSettings,
    Told,
    limits_from,
    limits_packet,
    opened,
    order_from,
    order_packet,
    settings_from,
    settings_packet,
    told_from,
    told_packet,
)
from ddpm_controller.types import ActionChunk

JOINTS = ("shoulder", "elbow")
LIMITS = JointLimits(np.array([-1.0, -2.0]), np.array([1.0, 2.0]), np.array([1.5, 3.0]))
RUNNING = Verdict(State.RUNNING)
PERIOD_S = 0.01
SETTINGS = CommandSettings(
    node_name="arm_commands",
    namespace="/",
    outputs=(RobotOutput("arm", "/joint_trajectory", JOINT_TRAJECTORY, JOINTS, ("rad", "rad")),),
    status_topic="/arm/status",
    period_s=PERIOD_S,
    fade_s=0.2,
    stop_s=0.2,
    silence_s=0.4,
    priority=0,
)
BEGIN = np.array([0.1, -0.2])
MOVING = Motion(BEGIN, np.array([1e-17, 3.0]), np.array([0.1, 0.2]))


class Listener:
    """Hears the commands and the last words of a process."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("listener")
        self.spinner = SingleThreadedExecutor()
        self.spinner.add_node(self.node)
        self.commands: list[JointTrajectory] = []
        self.words: list[ControllerStatus] = []
        self.told: list[Told] = []
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_subscription(
            JointTrajectory, "/joint_trajectory", self.commands.append, QoSProfile(depth=1000)
        )
        self.node.create_subscription(ControllerStatus, "/arm/status", self.words.append, latched)

    def until(self, happened, link=None, each_time=lambda: None):
        """Listen until something has happened."""
        deadline_s = time.monotonic() + 90.0
        while not happened():
            assert time.monotonic() < deadline_s, "it did not happen"
            self.spinner.spin_once(timeout_sec=0.005)
            if link is not None:
                self.told += link.heard()
            each_time()

    def positions(self) -> dict[float, np.ndarray]:
        """Return the commands that have come, by their ticks; a busy listener misses some."""
        return {
            seconds(command.header.stamp): np.array(command.points[0].positions)
            for command in self.commands
        }


@pytest.fixture
def listener():
    rclpy.init()
    listener = Listener()
    yield listener
    listener.spinner.shutdown()
    listener.node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def link(listener):
    link = CommandLink(SETTINGS)
    listener.until(lambda: link.is_ready, link)
    yield link
    link.close()


def slope(begin_s: float, speed: float = 0.6, num_rows: int = 40) -> ActionChunk:
    """A chunk that leads away from ``BEGIN`` at a steady speed."""
    rows = BEGIN + speed * 0.1 * np.arange(num_rows)[:, None] * np.array([0.3, 1.0])
    return ActionChunk(begin_s, 0.1, JOINTS, rows)


def move(link, listener, speed=0.6) -> ActionChunk:
    """Begin and get the arm into motion; return the chunk that it follows."""
    chunk = slope(time.time(), speed)
    link.send(Order(RUNNING, chunk, BEGIN), LIMITS)
    count = len(listener.commands)
    listener.until(
        lambda: len(listener.commands) > count + 30,
        link,
        lambda: link.send(Order(RUNNING), LIMITS),
    )
    return chunk


def speeds(commands) -> np.ndarray:
    """Speeds of every command, (N, 2)."""
    return np.array([command.points[0].velocities for command in commands])


def test_packets_give_every_bit_back():
    rows = np.random.default_rng(0).normal(size=(5, 2)) * np.array([1e-9, 1e3])
    order = Order(
        Verdict(State.RUNNING, Reason.LIMIT_JERK, "ä"),
        ActionChunk(1795431886.263262749, 0.1, JOINTS, rows),
        np.array([0.1 + 0.2, -0.0]),
        keep_position=True,
        measured=np.array([0.3, 1e-17]),
        sent=Sent(1795431886.25, MOVING, before=(Sent(1795431886.23, Motion.rest(BEGIN)),)),
        limits=LIMITS,
    )
    number, back = order_from(opened(order_packet(7, order))[1])
    assert (number, back.verdict, back.keep_position) == (7, order.verdict, True)
    assert (back.chunk.start_s, back.chunk.joint_names) == (order.chunk.start_s, JOINTS)
    assert back.chunk.actions.tobytes() == rows.tobytes()
    assert back.begin_at.tobytes() == order.begin_at.tobytes()
    assert back.measured.tobytes() == order.measured.tobytes()
    assert back.sent.stamp_s == order.sent.stamp_s
    (before,) = back.sent.before
    assert (before.stamp_s, before.motion.position.tolist()) == (1795431886.23, BEGIN.tolist())
    assert back.limits.acceleration.tobytes() == LIMITS.acceleration.tobytes()
    for name in ("position", "velocity", "acceleration"):
        given, found = (getattr(each.sent.motion, name) for each in (order, back))
        assert found.tobytes() == given.tobytes()
    assert order_from(opened(order_packet(1, Order(RUNNING)))[1]) == (1, Order(RUNNING))
    rows = ((0.1 + 0.2, 1e-17), (0.0, 1.0), (3.0, 4.0))
    before = ((1.4, rows),)
    told = Told(
        1.5, 9.5, State.HOLDING, Reason.PLAN_LATE, "x", ("jerk",), 3, 2, rows, 1.6, 1, before, True
    )
    assert told_from(opened(told_packet(told))[1]) == told
    assert settings_from(opened(settings_packet(SETTINGS))[1]) == SETTINGS
    limits = limits_from(opened(limits_packet(LIMITS))[1])
    assert limits.jerk.tobytes() == LIMITS.jerk.tobytes()
    arm = BoxedArm(CartesianBox((-1.0, -np.inf, 0.1), (1.0, np.inf, 0.2)), "<robot/>", JOINTS, "x")
    assert limits_from(opened(limits_packet(replace(LIMITS, arm=arm)))[1]).arm == arm
    given = LIMITS.commanding_velocities(np.ones(len(JOINTS), bool), 0.1).velocities
    found = limits_from(opened(limits_packet(replace(LIMITS, velocities=given)))[1]).velocities
    assert (found.chosen.dtype, found.late_s) == (given.chosen.dtype, 0.1)
    assert found.lower.tobytes() == given.lower.tobytes()


def test_what_it_sends_is_what_the_motion_loop_says_bit_for_bit(link, listener):
    chunk = move(link, listener)
    rest = Order(Verdict(State.HOLDING, Reason.NO_PLAN, "rest"))
    listener.until(
        lambda: sum(each.reason == Reason.NO_PLAN for each in listener.told) > 30,
        link,
        lambda: link.send(rest, LIMITS),
    )
    told = [each for each in listener.told if each.state != State.WAITING]
    assert [each.took_over for each in told if each.took_over] == [1]
    motion = MotionLoop(LIMITS, PERIOD_S)
    motion.hold_at(BEGIN, told[0].stamp_s)
    positions = listener.positions()
    assert len(positions) > 40
    for each in told:
        verdict = Verdict(each.state, each.reason, each.text)
        order = Order(verdict, chunk if each.took_over else None)
        expected = motion.follow(each.stamp_s, order).position
        if each.stamp_s in positions:
            np.testing.assert_array_equal(positions.pop(each.stamp_s), expected)
    assert len(positions) <= 1  # one may have been sent and not been told yet


def test_silence_stops_it_and_a_new_chunk_moves_it_again(link, listener):
    move(link, listener)
    listener.until(
        lambda: (
            listener.told[-1].reason == Reason.CONTROLLER_LOST
            and (speeds(listener.commands[-1:]) == 0).all()
        ),
        link,
    )
    text = next(each.text for each in listener.told if each.reason == Reason.CONTROLLER_LOST)
    silence = re.search(r"nothing came from the controller for (\d+\.\d+) s", text)
    assert float(silence[1]) >= 0.4
    # The old chunk is not taken up again where it would be by now.
    count = len(listener.told)
    listener.until(
        lambda: len(listener.told) > count + 20, link, lambda: link.send(Order(RUNNING), LIMITS)
    )
    assert listener.told[-1].reason == Reason.CONTROLLER_LOST
    assert "back" in listener.told[-1].text
    link.send(Order(RUNNING, slope(time.time())), LIMITS)
    listener.until(
        lambda: listener.told[-1].state == State.RUNNING,
        link,
        lambda: link.send(Order(RUNNING), LIMITS),
    )


def test_when_the_controller_dies_the_arm_comes_to_rest_and_the_reason_is_told(listener):
    link = CommandLink(SETTINGS)
    listener.until(lambda: link.is_ready, link)
    move(link, listener, speed=2.0)
    moving = np.abs(speeds(listener.commands[-5:])).max()
    assert moving > 0.5
    link._child.link.close()  # as the kernel does for a process that was killed
    listener.until(lambda: listener.words and link._child.has_ended)
    listener.until(lambda: (speeds(listener.commands[-1:]) == 0).all())
    assert link._child.has_ended_well
    assert listener.words[0].reason == Reason.CONTROLLER_LOST
    assert "ended without an order to stop" in listener.words[0].text
    positions = np.array([command.points[0].positions for command in listener.commands])
    stamps_s = np.array([seconds(command.header.stamp) for command in listener.commands])
    steps = np.abs(np.diff(positions, axis=0)) / PERIOD_S / periods_between(stamps_s, PERIOD_S)
    # Commands that came late count for longer than a period: never faster than the limit.
    assert (steps <= LIMITS.velocity * 1.25 + 1e-9).all()


def test_a_last_stop_that_was_interrupted_still_ends_at_rest(listener):
    """Its time is over then, but the robot is not at rest."""
    link = CommandLink(SETTINGS)
    listener.until(lambda: link.is_ready, link)
    move(link, listener, speed=2.0)
    link._child.link.close()
    listener.until(lambda: listener.words)
    os.kill(link.pid, signal.SIGSTOP)
    over_s = time.time() + 0.5  # by then the stop would have ended
    listener.until(lambda: time.time() > over_s)
    os.kill(link.pid, signal.SIGCONT)
    listener.until(lambda: link._child.has_ended)
    listener.until(lambda: (speeds(listener.commands[-1:]) == 0).all())
    assert listener.words[-1].reason == Reason.CONTROLLER_LOST


def test_an_order_to_rest_counts_though_the_controller_has_ended_since(listener):
    """The kernel tells of the end first where words were left unread, of the orders after it."""
    link = CommandLink(SETTINGS)
    listener.until(lambda: link.is_ready, link)
    move(link, listener)
    count = len(listener.commands)
    listener.until(lambda: len(listener.commands) > count + 2)  # and their words are not read
    os.kill(link.pid, signal.SIGSTOP)
    listener.until(lambda: psutil.Process(link.pid).status() == psutil.STATUS_STOPPED)
    link.send(Order(Verdict(State.WAITING)), LIMITS)
    link._child.link.close()
    os.kill(link.pid, signal.SIGCONT)
    listener.until(lambda: link._child.has_ended)
    for _ in range(20):
        listener.spinner.spin_once(timeout_sec=0.02)
    assert not listener.words


def test_it_has_neither_torch_nor_a_callback(link):
    maps = Path(f"/proc/{link.pid}/maps").read_text()
    assert "libpython" in maps or "python" in maps
    assert not re.search("torch|cv2|rosbags|mujoco|matplotlib", maps)


def test_a_process_that_was_killed_is_begun_again(link, listener):
    move(link, listener)
    dead = link.pid
    os.kill(dead, signal.SIGKILL)
    assert link.wait(time.monotonic() + 60.0)
    assert not link.wait(time.monotonic())  # reported once
    assert link.revive()
    assert link.pid != dead
    assert not link.revive()
    listener.until(lambda: link.is_ready, link)
    move(link, listener)
    assert listener.told[-1].state == State.RUNNING


def test_one_that_stands_by_goes_on_with_the_motion_of_one_that_was_killed(listener):
    link = CommandLink(SETTINGS, standby=True)
    waiting = link._standbys[0]
    listener.until(lambda: link.is_ready, link)
    listener.until(lambda: "arm_commands_2" in listener.node.get_node_names(), link)
    listener.until(lambda: listener.node.count_publishers("/joint_trajectory"), link)
    move(link, listener, speed=2.0)
    found = listener.node.get_publishers_info_by_topic("/joint_trajectory")
    assert [each.node_name for each in found] == ["arm_commands"]  # the other one has none
    os.kill(link.pid, signal.SIGKILL)
    assert link._child.wait(60)
    listener.told += link.heard()
    sent = listener.told[-1].sent
    assert np.abs(sent.motion.velocity).max() > 0.5
    assert link.revive()
    assert link.pid == waiting.pid
    listener.until(lambda: link.is_ready, link)
    rest = Order(Verdict(State.HOLDING, Reason.CONTROLLER_LOST, "rest"))
    link.send(replace(rest, sent=sent), LIMITS)
    listener.until(
        lambda: listener.told[-1].motion and not listener.told[-1].moves,
        link,
        lambda: link.send(rest, LIMITS),
    )
    first = next(each.sent for each in listener.told if each.stamp_s > sent.stamp_s and each.sent)
    reach = 1.25 * PERIOD_S  # a tick that is late goes on by no more
    step = np.abs(first.motion.position - sent.motion.position)
    assert (step > 0).any()
    assert (step <= LIMITS.velocity * reach).all()
    change = np.abs(first.motion.velocity - sent.motion.velocity)
    assert (change <= LIMITS.acceleration * reach).all()
    link.close()
    assert waiting.has_ended_well


def test_a_second_death_within_a_second_is_taken_over_as_the_first_was(listener):
    """Each time the motion continues from what was sent last, by a process that stood by."""
    link = CommandLink(SETTINGS, standby=True)
    listener.until(lambda: link.is_ready, link)
    move(link, listener, speed=2.0)
    for _ in range(2):
        stands_by(link, listener)
        waiting = link.standby_pids[0]
        listener.told += link.heard()
        listener.until(lambda: listener.told[-1].moves, link)
        os.kill(link.pid, signal.SIGKILL)
        assert link._child.wait(60)
        listener.told += link.heard()
        sent = listener.told[-1].sent
        assert link.revive()
        assert link.pid == waiting
        assert link.is_ready  # orders are taken at once
        plan = slope(time.time(), speed=2.0)  # the next one
        plan = replace(plan, actions=plan.actions - BEGIN + sent.motion.position)
        link.send(replace(Order(RUNNING, plan), sent=sent), LIMITS)
        listener.until(lambda since=sent: listener.told[-1].stamp_s > since.stamp_s, link)
        first = next(each.sent for each in listener.told if each.stamp_s > sent.stamp_s)
        reach = 1.25 * PERIOD_S  # a tick that is late goes on by no more
        step = np.abs(first.motion.position - sent.motion.position)
        assert (step <= LIMITS.velocity * reach).all()
        change = np.abs(first.motion.velocity - sent.motion.velocity)
        assert (change <= LIMITS.acceleration * reach).all()
    link.close()


def stands_by(link, listener) -> None:
    """Wait until a process stands by that others have long found."""

    def is_there() -> bool:
        assert not link.revive()
        return bool(link._standbys) and has_packet(link._standbys[0].link)

    listener.until(is_there, link, lambda: link.send(Order(RUNNING), LIMITS))


def has_packet(link) -> bool:
    try:
        return bool(link.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def test_a_process_that_stands_by_ends_with_the_controller_and_is_begun_again(listener):
    link = CommandLink(SETTINGS, standby=True)
    stands_by(link, listener)
    first, commanding = link._standbys[0], link.pid
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait(60)
    assert not link.revive()
    assert first not in link._standbys
    assert len(link._standbys) == 2
    assert link.pid == commanding
    others = list(link._standbys)
    link.close()
    assert all(each.has_ended_well for each in others)


def test_one_that_cannot_begin_is_not_begun_again_at_once(monkeypatch):
    monkeypatch.setattr("ddpm_controller.ros.commanding.command_link._AGAIN_S", np.inf)
    link = CommandLink(replace(SETTINGS, node_name="no node name"), standby=True)
    begun = [link._child, *link._standbys]
    assert all(child.wait(60) for child in begun)
    assert not link.revive()
    assert link._num_begun == len(begun)
    monkeypatch.setattr("ddpm_controller.ros.commanding.command_link._AGAIN_S", 0.0)
    assert link.revive()
    assert link._num_begun == len(begun) + 1
    link.close()


def test_a_zygote_that_was_killed_is_begun_again_when_it_is_needed(link, listener):
    """What it has forked does not depend on it."""
    os.kill(link._zygote.pid, signal.SIGKILL)
    link._zygote._process.wait(60)
    move(link, listener)
    os.kill(link.pid, signal.SIGKILL)
    assert link._child.wait(60)
    assert link.revive()
    listener.until(lambda: link.is_ready, link)
    move(link, listener)
    assert listener.told[-1].state == State.RUNNING


def test_a_zygote_has_one_thread_and_forks_what_has_a_name(link):
    assert os.listdir(f"/proc/{link._zygote.pid}/task") == [str(link._zygote.pid)]
    assert Path(f"/proc/{link._zygote.pid}/comm").read_text() == "zygote\n"
    assert Path(f"/proc/{link.pid}/comm").read_text() == "commands\n"
    assert psutil.Process(link.pid).ppid() == link._zygote.pid


@pytest.mark.parametrize(
    "how", [socket.SHUT_RDWR, pytest.param(socket.SHUT_WR, marks=pytest.mark.long)]
)
def test_a_link_that_is_cut_while_both_run_ends_at_rest_and_another_process_goes_on(listener, how):
    """A listener receives a stop within the limits, and later a beginning at rest there."""
    link = CommandLink(SETTINGS, standby=True)
    listener.until(lambda: link.is_ready, link)
    listener.until(lambda: "arm_commands_2" in listener.node.get_node_names(), link)
    move(link, listener, speed=2.0)
    assert np.abs(speeds(listener.commands[-5:])).max() > 0.5
    cut_link(link.pid, how)
    listener.until(link.revive, link)
    assert link.was_at_rest
    listener.until(lambda: (speeds(listener.commands[-1:]) == 0).all())
    count, rest = len(listener.commands), np.array(listener.commands[-1].points[0].positions)
    listener.until(lambda: link.is_ready, link)
    link.send(Order(RUNNING, slope(time.time()), rest), LIMITS)
    listener.until(
        lambda: len(listener.commands) > count + 5,
        link,
        lambda: link.send(Order(RUNNING), LIMITS),
    )
    positions = np.array([command.points[0].positions for command in listener.commands])
    stamps_s = np.array([seconds(command.header.stamp) for command in listener.commands])
    steps = np.abs(np.diff(positions, axis=0)) / PERIOD_S / periods_between(stamps_s, PERIOD_S)
    # Commands that came late count for longer than a period: never faster than the limit.
    assert (steps <= LIMITS.velocity * 1.25 + 1e-9).all()
    np.testing.assert_array_equal(positions[count], rest)
    link.close()


def test_a_controller_whose_link_is_cut_brings_the_arm_to_rest_and_goes_on(checkpoint):
    with (
        client() as node,
        process_of("simulation", world="reach", mode="real_time"),
        process_of("controller", checkpoint=checkpoint, run_on_activate=True) as controller,
    ):
        node.bring_up()
        node.until_running()
        (commands,) = command_processes(controller.pid)
        cut_link(commands)
        node.until_state(State.WAITING, Reason.CONTROLLER_LOST, "the link")
        node.until_rest()
        node.until_running()
        assert node.status.state == State.RUNNING


def test_a_controller_that_is_killed_leaves_an_arm_at_rest(checkpoint):
    with (
        client() as node,
        process_of("simulation", world="reach", mode="real_time"),
        process_of("controller", checkpoint=checkpoint, run_on_activate=True) as controller,
    ):
        node.bring_up()
        node.until_running()
        os.kill(controller.pid, signal.SIGKILL)
        node.until(lambda: node.status.reason == Reason.CONTROLLER_LOST)
        assert node.status.state == State.HOLDING
        node.until_rest()
