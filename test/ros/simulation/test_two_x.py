"""A robot whose arm and gripper have controllers of their own, as real processes."""

import subprocess

import pytest
from controller_driver import LATCHED, client, process_of
from rclpy.qos import QoSProfile
from robot_files import SIM_ARM_GRIPPER, array_robot, gripper_robot
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.bags.conversions import vector_from
from ddpm_controller.control.states import Reason, State
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.simulation.messages import nanoseconds, time_from
from ddpm_controller.simulation.arm.arm import JOINT_NAMES

DEEP = QoSProfile(depth=1000)
TICK_NS = 20_000_000


def test_lockstep_waits_for_every_topic(tmp_path):
    state = {"type": "sensor_msgs/msg/JointState", "topic": "gripper/target"}
    file = gripper_robot(tmp_path, **state, rate_hz=None, dead_band=0.0)
    with client() as node, process_of("simulation", world="reach", mode="lockstep", robot=file):
        clocks, states = [], []
        node.create_subscription(Clock, "/clock", clocks.append, DEEP)
        node.create_subscription(JointState, "joint_states", states.append, DEEP)
        arm = node.create_publisher(JointTrajectory, "arm_controller/joint_trajectory", 10)
        gripper = node.create_publisher(JointState, "gripper/target", 10)
        node.until(lambda: arm.get_subscription_count() and gripper.get_subscription_count())
        node.until(lambda: clocks and states)
        now_ns, row = nanoseconds(clocks[-1].clock), vector_from(states[-1], JOINT_NAMES)
        point = JointTrajectoryPoint(positions=row[:6].tolist())
        message = JointTrajectory(joint_names=list(JOINT_NAMES[:6]), points=[point])
        message.header.stamp = time_from(now_ns)
        arm.publish(message)
        count = len(clocks)
        node.until(lambda: len(clocks) > count + 1)  # told again, waiting
        assert nanoseconds(clocks[-1].clock) == now_ns
        target = JointState(name=["gripper"], position=[float(row[6])])
        target.header.stamp = time_from(now_ns)
        gripper.publish(target)
        node.until(lambda: nanoseconds(clocks[-1].clock) == now_ns + TICK_NS)


def test_an_array_is_taken_where_the_robot_file_says_so_and_one_of_another_size_is_not(tmp_path):
    file = array_robot(tmp_path)
    with client() as node, process_of("simulation", world="reach", mode="lockstep", robot=file):
        clocks, states = [], []
        node.create_subscription(Clock, "/clock", clocks.append, DEEP)
        node.create_subscription(JointState, "joint_states", states.append, DEEP)
        arrays = node.create_publisher(Float64MultiArray, "commands", 10)
        node.until(lambda: arrays.get_subscription_count() and clocks and states)
        now_ns, row = nanoseconds(clocks[-1].clock), vector_from(states[-1], JOINT_NAMES)
        arrays.publish(Float64MultiArray(data=[0.1, 0.2]))
        count = len(clocks)
        node.until(lambda: len(clocks) > count + 1)
        assert nanoseconds(clocks[-1].clock) == now_ns
        arrays.publish(Float64MultiArray(data=row.tolist()))
        node.until(lambda: nanoseconds(clocks[-1].clock) == now_ns + TICK_NS)


@pytest.mark.parametrize("command_process", [True, pytest.param(False, marks=pytest.mark.long)])
def test_an_arm_and_a_gripper_by_action_run_are_recorded_and_replayed(
    tmp_path, checkpoint, command_process
):
    parameters = {
        "robot": SIM_ARM_GRIPPER,
        "checkpoint": checkpoint,
        "command.process": command_process,
        "start.distance": "any",
    }
    bag = tmp_path / "bag"
    words = ["--robot", str(SIM_ARM_GRIPPER), "--output", str(bag)]
    with (
        client() as node,
        process_of("simulation", world="reach", robot=SIM_ARM_GRIPPER, camera_hz=10.0),
        process_of("controller", **parameters),
    ):
        shown, whole = [], []
        node.create_subscription(
            JointState, "gripper_controller/gripper_cmd/command", shown.append, LATCHED
        )
        recorder = subprocess.Popen([*python_command("record"), *words])
        try:
            node.create_subscription(JointTrajectory, "controller/command", whole.append, DEEP)
            node.bring_up()
            node.until(lambda: len(node.heard["controller/action_chunk"]) > 4 and shown)
            node.until(lambda: len(whole) > 150)
            node.until(lambda: node.status.state == State.RUNNING)
        finally:
            recorder.terminate()
            recorder.wait()
    import shutil

    shutil.rmtree("/tmp/w/bagx", ignore_errors=True)
    shutil.copytree(bag, "/tmp/w/bagx")
    run = read_run(bag, load_robot(SIM_ARM_GRIPPER))
    found = compare_commands(run)
    assert found.first is None
    assert found.num_equal == found.count > 0
    assert all(each.num_equal == each.count > 0 for each in found.outputs.values())
    assert set(found.outputs) == {"arm", "gripper"}


def test_a_gripper_that_nothing_serves_keeps_a_run_from_beginning(tmp_path, checkpoint):
    """The arm's controller is there, the gripper's is not."""
    number = {"topic": "hand/go", "type": "std_msgs/msg/Float64", "rate_hz": None}
    file = gripper_robot(tmp_path, **number)
    with (
        client() as node,
        process_of("simulation", world="reach", robot=file, camera_hz=10.0),
        process_of("controller", robot=SIM_ARM_GRIPPER, checkpoint=checkpoint),
    ):
        node.bring_up()
        status = node.until_state(State.WAITING, Reason.NO_LISTENER)
        assert "nothing serves the action /gripper_controller/gripper_cmd" in status.text
