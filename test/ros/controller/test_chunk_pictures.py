"""Chunks as trajectories and paths, on a real ROS graph in this process."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker, MarkerArray

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.ros.controller.chunk_pictures import (
    FAN_SIZE,
    ChunkPath,
    ChunkPictures,
    fan_message,
    trajectory_message,
)
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.types import ActionChunk

PATIENCE_S = 90.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def chunk_at(start_s: float, rows: int = 5, columns: int = 7) -> ActionChunk:
    actions = np.linspace(0.0, 0.4, rows)[:, None] * np.ones(columns)
    return ActionChunk(start_s, 0.1, JOINT_NAMES[:columns], actions)


def points_of(marker: Marker) -> np.ndarray:
    return np.array([[point.x, point.y, point.z] for point in marker.points])


class Viewer:
    """A node with pictures, and one that looks at them, spun by the test."""

    def __init__(self, end_effector: str) -> None:
        self.node = rclpy.create_node("controller")
        self.pictures = ChunkPictures(self.node, JOINT_NAMES, end_effector)
        self.viewer = rclpy.create_node("viewer")
        self.paths, self.trajectories = [], []
        self.errors = []
        logger = self.node.get_logger()
        logger.error = lambda text, once=False: self.errors.append((text, once))
        self.node.get_logger = lambda: logger
        self.describe = self.viewer.create_publisher(String, "robot_description", LATCHED)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.viewer)

    def look(self) -> None:
        for topic, kind, heard in (
            ("controller/predicted_path", MarkerArray, self.paths),
            ("controller/predicted_trajectory", JointTrajectory, self.trajectories),
        ):
            self.viewer.create_subscription(kind, topic, heard.append, 10)
        self.until(lambda: self.node.count_subscribers("controller/predicted_path"))

    def until(self, happened) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline_s
            self.executor.spin_once(timeout_sec=0.05)

    def see(self, chunk: ActionChunk) -> MarkerArray:
        """Show a chunk and return the path that comes of it."""
        seen = len(self.paths)
        self.pictures.show(chunk)
        self.until(lambda: len(self.paths) > seen)
        return self.paths[-1]


@pytest.fixture
def viewer(request):
    rclpy.init()
    each = Viewer(getattr(request, "param", "tip"))
    try:
        yield each
    finally:
        each.executor.shutdown()
        each.pictures.close()
        each.node.destroy_node()
        each.viewer.destroy_node()
        rclpy.shutdown()


def described(viewer: Viewer) -> None:
    viewer.describe.publish(String(data=robot_description()))
    viewer.until(lambda: viewer.pictures._chain is not None)
    viewer.look()
    viewer.until(lambda: viewer.pictures._paths.get_subscription_count())
    viewer.until(lambda: viewer.pictures._trajectories.get_subscription_count())


def test_the_newest_path_is_bright_and_those_before_it_fade(viewer):
    described(viewer)
    for number in range(FAN_SIZE + 2):
        array = viewer.see(chunk_at(100.0 + 0.8 * number, rows=2 + number))
    assert [marker.id for marker in array.markers] == list(range(FAN_SIZE))
    assert {marker.header.frame_id for marker in array.markers} == {"base_link"}
    assert {marker.type for marker in array.markers} == {Marker.LINE_STRIP}
    alphas = [marker.color.a for marker in array.markers]
    assert alphas[0] == 1.0
    assert all(0 < later < sooner for sooner, later in pairwise(alphas))
    assert [len(marker.points) for marker in array.markers] == [9, 8, 7, 6, 5, 4]
    expected = LinkChain(robot_description(), JOINT_NAMES, "tip").positions(
        chunk_at(0.0, rows=FAN_SIZE + 3).actions
    )
    np.testing.assert_allclose(points_of(array.markers[0]), expected, atol=1e-12)


def test_a_trajectory_has_the_moment_of_every_row(viewer):
    described(viewer)
    viewer.see(chunk_at(100.25))
    viewer.until(lambda: viewer.trajectories)
    (message,) = viewer.trajectories
    start_s = seconds(message.header.stamp)
    after_s = [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in message.points]
    assert start_s == 100.25
    np.testing.assert_allclose(after_s, [0.0, 0.1, 0.2, 0.3, 0.4], atol=1e-9)
    assert message.joint_names == list(JOINT_NAMES)
    np.testing.assert_array_equal(message.points[4].positions, [0.4] * 7)


@pytest.mark.parametrize("back_s", [-50.0, 1000.0])
def test_a_run_that_begins_elsewhere_in_time_takes_the_old_fan_away(viewer, back_s):
    described(viewer)
    viewer.see(chunk_at(100.0))
    assert len(viewer.see(chunk_at(100.8)).markers) == 2
    first, only = viewer.see(chunk_at(100.8 + back_s)).markers
    assert first.action == Marker.DELETEALL
    assert (only.id, only.action) == (0, Marker.ADD)


def test_showing_a_chunk_waits_for_nothing(viewer):
    """The control thread calls it."""
    described(viewer)
    begun, go_on = threading.Event(), threading.Event()

    def slow_positions(rows: np.ndarray) -> np.ndarray:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return np.zeros((len(rows), 3))

    viewer.pictures._chain.positions = slow_positions
    viewer.pictures.show(chunk_at(100.0))
    assert begun.wait(PATIENCE_S)
    for number in range(1, 50):
        viewer.pictures.show(chunk_at(100.0 + 0.01 * number))
    assert not go_on.is_set()
    assert not viewer.paths
    go_on.set()
    # The one that was being drawn, and the newest: those between are left out.
    viewer.until(lambda: len(viewer.paths) == 2)


def test_an_error_is_told_once_and_the_next_chunk_is_drawn(viewer):
    described(viewer)
    viewer.pictures.show(chunk_at(100.0, columns=3))
    viewer.until(lambda: viewer.errors)
    assert len(viewer.see(chunk_at(101.0)).markers) == 1
    (text, once), *more = viewer.errors
    assert "ValueError" in text
    assert once
    assert not more


@pytest.mark.parametrize("viewer", ["hand"], indirect=True)
def test_without_the_link_no_path_is_drawn_and_the_log_says_which_there_are(viewer):
    viewer.describe.publish(String(data=robot_description()))
    viewer.until(lambda: viewer.errors)
    assert "no link 'hand'" in viewer.errors[0][0]
    assert "wrist_roll_link" in viewer.errors[0][0]
    viewer.look()
    viewer.until(lambda: viewer.pictures._trajectories.get_subscription_count())
    viewer.pictures.show(chunk_at(100.0))
    viewer.until(lambda: viewer.trajectories)
    assert not viewer.paths


def test_a_chunk_of_one_row_is_a_line_too():
    array = fan_message([ChunkPath(0.0, np.ones((1, 3)))], "base", begin=False)
    assert len(array.markers[0].points) == 2
    assert len(trajectory_message(chunk_at(0.0, rows=1)).points) == 1
