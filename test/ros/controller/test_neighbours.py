"""Others on the graph of a controller: who else commands, measures and is subscribed."""

import signal
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus, GoalStatusArray
from controller_driver import (
    BEGIN,
    LATCHED,
    PATIENCE_S,
    STEADY,
    FakeRobot,
    begun,
    client,
    process_of,
)
from ddpm_msgs.msg import CommandClaim, ControllerStatus
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import qos_profile_action_status_default
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.robot import joint_limits
from ddpm_controller.simulation.arm.arm import JOINT_NAMES, PUBLISHED_JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE
RATE_HZ = 50.0
COMMANDS = (State.RUNNING, State.HOLDING)
WAYS = pytest.mark.parametrize(
    "process", [True, pytest.param(False, marks=pytest.mark.long)], ids=["process", "thread"]
)


@contextmanager
def other_node(name, **parameters):
    """Another node of this process, without services that would need spinning."""
    overrides = [rclpy.parameter.Parameter(key, value=each) for key, each in parameters.items()]
    node = rclpy.create_node(
        name,
        parameter_overrides=overrides,
        automatically_declare_parameters_from_overrides=True,
    )
    try:
        yield node
    finally:
        node.destroy_node()


class Named:
    """A controller of the same arm, by its services and its status."""

    def __init__(self, node, name):
        self.node, self.name = node, name
        self.statuses = []
        node.create_subscription(ControllerStatus, f"{name}/status", self.statuses.append, LATCHED)
        self._change = node.create_client(ChangeState, f"{name}/change_state")

    @property
    def status(self):
        return self.statuses[-1] if self.statuses else ControllerStatus()

    @property
    def has_commanded(self):
        return any(each.state in COMMANDS for each in self.statuses)

    def change_soon(self, transition):
        self.node.until(self._change.service_is_ready)
        request = ChangeState.Request(transition=Transition(id=transition))
        return self._change.call_async(request)

    def change(self, transition):
        future = self.change_soon(transition)
        return self.node.until(lambda: future.done() and future).result().success


@contextmanager
def controller_named(name):
    """A controller process whose node has another name."""
    words = ["-r", f"__node:={name}", "-p", "command.standby:=false"]
    process = begun("controller", ["--ros-args", *words])
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def neighbours_entry(node):
    """Return a function that gives the newest diagnostics about other nodes, as one text."""
    arrays = []
    node.create_subscription(DiagnosticArray, "/diagnostics", arrays.append, 10)

    def text():
        found = [e for a in arrays[-1:] for e in a.status if e.name.endswith(": neighbours")]
        return found[0].message if found else ""

    return text


def command(positions):
    """A command of somebody else."""
    point = JointTrajectoryPoint(positions=[float(each) for each in positions])
    return JointTrajectory(joint_names=list(JOINT_NAMES), points=[point])


def test_of_two_that_are_activated_together_exactly_one_commands():
    """Without a checkpoint each would hold the arm where it is, which is commanding too."""
    with client() as node, process_of("controller"), controller_named("rival"):
        numbers, claims = [], []
        node.create_subscription(
            JointTrajectory,
            "joint_trajectory",
            lambda message, info: numbers.append(info["publication_sequence_number"]),
            2000,
        )
        node.create_subscription(CommandClaim, "joint_trajectory/claim", claims.append, LATCHED)
        FakeRobot(node)
        both = [Named(node, "controller"), Named(node, "rival")]
        for each in both:
            assert each.change(CONFIGURE)
        node.until(lambda: {each.node for each in claims} == {"/controller", "/rival"})
        answers = [each.change_soon(ACTIVATE) for each in both]
        node.until(lambda: all(each.done() for each in answers))
        node.until(lambda: any(each.has_commanded for each in both), "one commands")
        winner, loser = sorted(both, key=lambda each: not each.has_commanded)
        # By its claim, or, where its commands come first, by their publisher.
        named = (f"/{winner.name} (process", f"/{winner.name}_commands")
        node.until(lambda: any(each in loser.status.text for each in named), "the loser names it")
        node.until(lambda: len(numbers) > 100, "commands")
        assert not loser.has_commanded
        assert winner.status.state in COMMANDS
        # Each publisher counts its messages: two of them would give numbers twice.
        assert len(set(numbers)) == len(numbers)
        if loser.status.state == State.WAITING:
            assert loser.change(DEACTIVATE)
        assert not loser.change(ACTIVATE)
        remedies = (f"ros2 lifecycle set /{winner.name} deactivate", "stop the one that commands")
        node.until(lambda: any(each in loser.status.text for each in remedies), "a remedy")
        assert loser.status.reason == Reason.OTHER_COMMANDER
        assert winner.change(DEACTIVATE)
        assert loser.change(ACTIVATE)
        node.until(lambda: loser.has_commanded, "the other one takes over at once")


@WAYS
def test_an_idle_publisher_is_named_and_one_that_sends_stops_the_arm(checkpoint, process):
    parameters = {"checkpoint": checkpoint, "command.process": process}
    with client() as node, process_of("controller", **parameters), other_node("teleop") as other:
        text = neighbours_entry(node)
        publisher = other.create_publisher(JointTrajectory, "joint_trajectory", 10)
        FakeRobot(node)
        node.bring_up()
        node.until_running()
        node.until(lambda: "/teleop may publish on /joint_trajectory" in text())
        node.until_running(num_chunks=1)  # which is no harm
        foreign = np.array(BEGIN) + 0.01
        timer = node.create_timer(0.05, lambda: publisher.publish(command(foreign)), clock=STEADY)
        status = node.until_state(State.HOLDING, Reason.OTHER_COMMANDER)
        assert "publishers there are /teleop" in status.text
        node.until_state(State.WAITING, Reason.OTHER_COMMANDER)
        heard = node.heard["joint_trajectory"]

        def ours(begin: int) -> list[JointTrajectory]:
            """Those heard from ``begin`` on; the last ones may be later than the status."""
            return [m for m in heard[begin:] if tuple(m.points[0].positions) != tuple(foreign)]

        node.until(lambda: not ours(len(heard) - 20), "silence")
        begin = len(heard)
        node.until(lambda: len(heard) > begin + 20)
        assert not ours(begin)
        assert node.change(DEACTIVATE)
        assert not node.change(ACTIVATE)
        node.until(lambda: "/teleop" in node.status.text and "not ours" in node.status.text)
        node.destroy_timer(timer)
        node.until(lambda: node.change(ACTIVATE), "an activation once it is silent")
        node.until_running(num_chunks=1)


@pytest.mark.long
def test_zeros_of_a_second_publisher_never_move_the_arm(checkpoint):
    """Nothing is sent at the beginning; the arm comes to rest when they come while it moves."""
    parameters = {"checkpoint": checkpoint, "control_rate_hz": RATE_HZ}
    with (
        client() as node,
        process_of("controller", **parameters),
        other_node("joint_state_publisher") as other,
    ):
        publisher = other.create_publisher(JointState, "joint_states", 10)

        def publish_zeros():
            message = JointState(name=list(PUBLISHED_JOINT_NAMES))
            message.position = [0.0] * len(message.name)
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)

        robot = FakeRobot(node, description="")
        timer = node.create_timer(0.02, publish_zeros, clock=STEADY)
        node.bring_up()
        node.until_state(State.WAITING, Reason.NO_OBSERVATION, "limits")
        node.until(lambda: len(node.status.stream_names) and node.status.ticks > 150)
        robot.describe(robot_description())  # from now on only the contradiction keeps it
        status = node.until_state(State.WAITING, Reason.INVALID_OBSERVATION, "two nodes")
        assert "/client, /joint_state_publisher" in status.text
        node.until_state(State.WAITING, Reason.INVALID_OBSERVATION)
        assert not node.heard["joint_trajectory"]
        node.destroy_timer(timer)
        node.until_running()
        node.create_timer(0.02, publish_zeros, clock=STEADY)
        node.until_state(State.HOLDING, Reason.INVALID_OBSERVATION)
        heard = node.heard["joint_trajectory"]
        node.until(lambda: not any(any(p.velocities) for p in heard[-1].points), "rest")
        _, positions = node.commands()
        np.testing.assert_allclose(positions[0], BEGIN, atol=0.02)
        assert node.led.refusals == []
        limits = joint_limits(robot_description(), JOINT_NAMES).velocity
        assert (np.abs(node.led.column("velocity")) / limits).max() <= 1.0 + 1e-6


def test_where_nothing_is_subscribed_it_waits_and_names_topics_that_are_meant(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint):
        for each in list(node.subscriptions):
            if each.topic_name == "/joint_trajectory":
                node.destroy_subscription(each)
        heard = node.heard["joint_trajectory"]
        node.create_subscription(JointTrajectory, "arm_controller/joint_trajectory", print, 10)
        text = neighbours_entry(node)
        FakeRobot(node)
        node.bring_up()
        status = node.until_state(State.WAITING, Reason.NO_LISTENER)
        assert "nothing is subscribed to /joint_trajectory" in status.text
        assert "/arm_controller/joint_trajectory" in status.text
        node.until(lambda: "nothing is subscribed" in text())
        assert not node.heard["controller/action_chunk"]
        node.create_subscription(JointTrajectory, "joint_trajectory", heard.append, 2000)
        node.until_running(num_chunks=1)


def test_a_volatile_description_is_named_and_taken_when_it_is_published_again():
    with client() as node, process_of("controller"), other_node("old_publisher") as other:
        publisher = other.create_publisher(String, "robot_description", 10)
        robot = FakeRobot(node, description="")
        node.destroy_publisher(robot._description)
        node.bring_up()
        status = node.until_state(State.WAITING, Reason.NO_OBSERVATION, "as volatile")
        assert "/old_publisher publishes robot_description" in status.text
        publisher.publish(String(data=robot_description()))
        node.until_state(State.HOLDING, Reason.NO_CHECKPOINT)


def test_a_controller_of_other_joints_is_refused_with_both_lists(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint):
        FakeRobot(node)
        others = ["left_wheel", "right_wheel"]
        with other_node("base", joints=others, allow_partial_joints_goal=True) as base:
            base.create_subscription(JointTrajectory, "joint_trajectory", print, 10)
            node.spinner.add_node(base)
            assert node.change(CONFIGURE)
            if node.change(ACTIVATE):  # before its joints are known
                node.until_state(State.WAITING, Reason.NO_LISTENER)
                assert node.change(DEACTIVATE)
            assert not node.change(ACTIVATE)
            for part in ("/base does not take", str(others), str(list(JOINT_NAMES))):
                node.until(lambda part=part: part in node.status.text, part)
            node.until(lambda: "/base does not take" in node.status.text)
            node.spinner.remove_node(base)
        node.until(lambda: node.change(ACTIVATE), "an activation once it has left")
        node.until_running(num_chunks=1)


def test_a_goal_that_another_node_sends_to_the_robots_controller_stops_the_arm(checkpoint):
    """As MoveIt moves an arm: by an action, so that nothing comes on the command topic."""
    with client() as node, process_of("controller", checkpoint=checkpoint):
        FakeRobot(node)
        with other_node("arm_controller") as arm:
            arm.create_subscription(JointTrajectory, "joint_trajectory", print, 10)
            statuses = arm.create_publisher(
                GoalStatusArray,
                "arm_controller/follow_joint_trajectory/_action/status",
                qos_profile_action_status_default,
            )
            statuses.publish(GoalStatusArray())
            node.bring_up()
            node.until_running()
            goal = GoalStatus(status=GoalStatus.STATUS_EXECUTING)
            statuses.publish(GoalStatusArray(status_list=[goal]))
            status = node.until_state(State.HOLDING, Reason.OTHER_COMMANDER)
            assert "a goal of /arm_controller/follow_joint_trajectory" in status.text
            node.until_state(State.WAITING, Reason.OTHER_COMMANDER)
            goal.status = GoalStatus.STATUS_SUCCEEDED
            statuses.publish(GoalStatusArray(status_list=[goal]))

            def resumes():
                node.call(Trigger)
                heard = node.heard["controller/status"]
                begin = len(heard)
                node.until(lambda: len(heard) > begin + 30)
                return any(each.state == State.RUNNING for each in heard[begin:])

            node.until(resumes, "a new beginning, by a reset")
