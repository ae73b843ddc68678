"""Recorded from a robot that does what its driver does, trained on that, and run on it."""

import math
import subprocess
import threading
import time

import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.executors import SingleThreadedExecutor
from robot_driver import driver_of
from robot_process import robot_process
from shipped_robots import PATIENCE_S, Watcher, controller_process, robot_file

from ddpm_controller.bags.episodes import read_bag
from ddpm_controller.control.states import State
from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.commanding.gripper_goals import GripperGoals
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.output_messages import recorded_messages, recorded_types

pytestmark = pytest.mark.long
EPISODE_S = 6.0
RATE_HZ = 20.0
APPROACH = {"start.approach_slowly": "true"}
RECIPE = """
policy: {horizon: 16, n_action_steps: 8, channels: [16, 32], timestep_embedding_dim: 16,
         num_inference_steps: 4}
streams: [joint_state]
num_steps: 150
batch_size: 16
warmup_steps: 5
validation_fraction: 0.34
validation_every: 50
nll_windows: 0
checkpoint_every: 50
log_every: 10
"""


class Demonstrator:
    """Commands every output as a person with a teleoperation program does: slowly to and fro."""

    def __init__(self, robot, driver) -> None:
        rclpy.init()
        self._node = rclpy.create_node("teleoperation", namespace=f"/{driver.namespace}")
        self._outputs, self._names = robot.outputs, robot.action_spec.joint_names
        self._begin = np.array([driver.joint(name).begin for name in self._names])
        velocity = robot.limits(driver.urdf).velocity
        self._reach = np.minimum(0.2 * velocity, 0.1 * np.abs(self._begin) + 0.01)
        self._goals = GripperGoals(self._node, robot.outputs)
        self._publishers = {
            topic: self._node.create_publisher(message_class(kind), topic, 10)
            for topic, kind in recorded_types(robot.outputs).items()
            if topic not in {each.mirror_topic for each in robot.outputs if each.is_action}
        }
        self._node.create_timer(1 / RATE_HZ, self._command)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def _command(self) -> None:
        now_s = time.time()
        place = self._begin + self._reach * math.sin(now_s)
        sent = recorded_messages(self._outputs, place, self._names, now_s, 1 / RATE_HZ)
        for topic, message in sent:
            if topic in self._publishers:
                self._publishers[topic].publish(message)
        self._goals.note(now_s, place)

    def spin(self, is_over) -> None:
        while not is_over():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._goals.close()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown()


def record(folder, file, driver, count):
    """Record a few bags of what is demonstrated."""
    demonstrator = Demonstrator(load_robot(file), driver)
    over = threading.Event()
    spinning = threading.Thread(target=demonstrator.spin, args=(over.is_set,))
    spinning.start()
    words = ["--robot", str(file), "--namespace", driver.namespace]
    words += ["--duration-s", str(EPISODE_S)]
    try:
        for number in range(count):
            output = ["--output", str(folder / f"bag_{number}")]
            # A busy machine loses messages, which it reports; the rest is a recording too.
            subprocess.run([*python_command("record"), *output, *words], timeout=PATIENCE_S)
    finally:
        over.set()
        spinning.join()
        demonstrator.close()


@pytest.mark.parametrize("name", ["ur5e_2f85", "so101", "aloha"])
def test_what_is_recorded_from_a_shipped_robot_trains_a_policy_that_runs_on_it(name, tmp_path):
    driver, file = driver_of(name), robot_file(tmp_path, name, cameras=False, max_age_s=2.0)
    robot = load_robot(file)
    bags, config = tmp_path / "bags", tmp_path / "recipe.yaml"
    bags.mkdir()
    config.write_text(RECIPE)
    with robot_process(name, "--no-cameras"):
        record(bags, file, driver, 3)
    episodes = [each for bag in sorted(bags.iterdir()) for each in read_bag(bag, robot)]
    assert len(episodes) == 3
    moved = np.ptp(np.concatenate([each.actions for each in episodes]), axis=0)
    assert (moved > 0).all()
    words = ["--bags", str(bags), "--robot", str(file), "--config", str(config)]
    words += ["--output", str(tmp_path / "run")]
    subprocess.run([*python_command("train"), *words], check=True, timeout=4 * PATIENCE_S)
    checkpoint = next((tmp_path / "run").glob("**/manifest.json")).parent
    watcher = Watcher(name)
    try:
        with (
            robot_process(name, "--no-cameras"),
            controller_process(file, checkpoint, driver.namespace, APPROACH),
        ):
            watcher.change(Transition.TRANSITION_CONFIGURE)
            watcher.change(Transition.TRANSITION_ACTIVATE)
            topics = {output.topic for output in robot.outputs}
            watcher.until(
                lambda: (
                    watcher.statuses
                    and watcher.statuses[-1].state == State.RUNNING
                    and topics <= set(watcher.taken)
                )
            )
            watcher.change(Transition.TRANSITION_DEACTIVATE)
        assert watcher.refused == []
    finally:
        watcher.close()
