"""Fields, frames and calibrations of cameras, as real drivers publish them, reach the streams."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped, WrenchStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from small_bags import ROBOT, small_robot
from std_msgs.msg import Float64
from tf2_msgs.msg import TFMessage

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.messages.camera_view import view_from
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.ros.controller.inputs import ControllerInputs
from ddpm_controller.ros.qos_events import QosEvents
from ddpm_controller.ros.stamps import time_from

PATIENCE_S = 30.0
STREAMS = """
  wrench: {topic: ft, type: geometry_msgs/msg/WrenchStamped, fields: [wrench.force],
           rate_hz: 50.0, max_age_s: 0.3}
  weight: {topic: weight, type: std_msgs/msg/Float64, units: [N], rate_hz: 20.0, max_age_s: 0.3}
  tool: {tf: {parent: base_link, child: tool0}, topic: tf, fields: [translation],
         rate_hz: 50.0, max_age_s: 0.3}
action:"""


class Session:
    """A loop that takes everything at once, in the thread of the subscriptions."""

    def __init__(self, robot):
        limits = JointLimits(np.full(2, -9.0), np.full(2, 9.0), np.full(2, 9.0))
        self.loop = ControlLoop(loop_settings(robot, PolicyTerms(2), Deployment(), limits=limits))

    def post(self, order):
        order()

    def collect_with(self, collect):
        self.collect = collect


class Graph:
    """A node with the inputs of a controller, and the drivers beside it."""

    def __init__(self, robot, lockstep):
        self.node, self.session = Node("listener"), Session(robot)
        self.sensor_qos = 10 if lockstep else qos_profile_sensor_data  # nothing is lost there
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        # Published once, before there is a controller: two nodes with a frame each.
        self.latched = [self.static("flange", "tool0", 0.1), self.static("world", "flange_cam", 5)]
        self.inputs = ControllerInputs(self.node, robot, lockstep, QosEvents(print))
        self.inputs.connect(self.session, lambda now_s: None)

    def static(self, parent, child, x):
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = self.node.create_publisher(TFMessage, "tf_static", latched)
        publisher.publish(TFMessage(transforms=[link(0.0, parent, child, x)]))
        return publisher

    def publisher(self, kind, topic, qos=None):
        publisher = self.node.create_publisher(kind, topic, qos or self.sensor_qos)
        self.until(publisher.get_subscription_count)
        return publisher

    def until(self, happened):
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline_s
            self.executor.spin_once(timeout_sec=0.02)
            self.session.collect()

    def newest(self, name):
        return self.session.loop.watch.buffer.newest(name, 1e12)

    def text(self, name, now_s=6.0):
        return self.session.loop.watch.healths(now_s)[name].text


def link(stamp_s, parent, child, x):
    found = TransformStamped(child_frame_id=child)
    found.header.frame_id, found.header.stamp = parent, time_from(stamp_s)
    found.transform.translation.x = float(x)
    return found


@pytest.fixture
def robot(tmp_path):
    return small_robot(tmp_path, ROBOT.replace("\naction:", STREAMS))


@pytest.fixture(params=["lockstep", "real_time"])
def graph(robot, request) -> Iterator[Graph]:
    rclpy.init()
    graph = Graph(robot, request.param == "lockstep")
    yield graph
    graph.executor.shutdown()
    graph.inputs.destroy()
    graph.node.destroy_node()
    rclpy.shutdown()


def test_a_wrench_of_a_sensor_and_a_number_without_a_stamp_are_streams(graph):
    message = WrenchStamped()
    message.header.stamp, message.wrench.force.z = time_from(5.0), 9.81
    graph.publisher(WrenchStamped, "ft").publish(message)
    before_s = seconds(graph.node.get_clock().now().to_msg())
    graph.publisher(Float64, "weight").publish(Float64(data=3.0))
    graph.until(lambda: graph.newest("wrench") is not None and graph.newest("weight") is not None)
    assert graph.newest("wrench").tolist() == [0.0, 0.0, 9.81]
    assert graph.newest("weight").tolist() == [3.0]
    stamps_s, _ = graph.session.loop.watch.buffer.newest_stamped("weight", 1e12)
    assert before_s <= stamps_s[0] <= seconds(graph.node.get_clock().now().to_msg())


def test_frames_are_joined_from_latched_and_moving_links_of_several_nodes(graph):
    moving = [graph.publisher(TFMessage, "tf", 10) for _ in range(2)]
    moving[0].publish(TFMessage(transforms=[link(5.0, "base_link", "wrist", 1.0)]))
    graph.until(lambda: "wrist" in graph.session.loop.watch.healths(6.0)["tool"].text)
    assert (
        "nothing yet from tool; its topic has"
        in graph.session.loop.watch.healths(6.0)["tool"].text
    )
    moving[1].publish(TFMessage(transforms=[link(4.9, "wrist", "flange", 2.0)]))
    moving[1].publish(TFMessage(transforms=[link(5.1, "wrist", "flange", 4.0)]))
    graph.until(lambda: graph.newest("tool") is not None)
    np.testing.assert_allclose(graph.newest("tool"), [1.0 + 3.0 + 0.1, 0.0, 0.0])
    ages_s = graph.session.loop.watch.buffer.element_ages("tool", 5.2)
    np.testing.assert_allclose(ages_s, 0.2)  # of the link that is behind
    # A new session knows the links from before.
    graph.inputs.connect(graph.session, lambda now_s: None)
    moving[0].publish(TFMessage(transforms=[link(5.1, "base_link", "wrist", 2.0)]))
    graph.until(lambda: graph.newest("tool")[0] > 5.0)
    np.testing.assert_allclose(graph.newest("tool"), [2.0 + 4.0 + 0.1, 0.0, 0.0])


def info(focal):
    k = [focal, 0.0, 3.0, 0.0, focal, 2.0, 0.0, 0.0, 1.0]
    return CameraInfo(height=4, width=6, k=k)


@pytest.mark.parametrize("graph", ["real_time"], indirect=True)
def test_pictures_of_another_field_of_view_than_in_training_are_refused_until_it_is_right(graph):
    trained = {"camera": view_from(info(5.0), (4, 6), (0, 0, 4, 6))}
    calibrations = graph.publisher(CameraInfo, "camera/camera_info")
    pictures = graph.publisher(Image, "camera/image_raw")
    picture = Image(height=4, width=6, encoding="rgb8", step=18, data=bytes(72))

    def published(stamp_s):
        picture.header.stamp = time_from(stamp_s)
        pictures.publish(picture)
        return graph.text("camera", stamp_s)

    calibrations.publish(info(7.0))
    graph.until(lambda: graph.inputs.views.compare(trained) or graph.inputs.views.problems)
    graph.until(lambda: "field of view" in published(5.0))
    text = published(5.0)
    assert "camera: the field of view is 46.4 x 31.9 degrees" in text
    assert "in training it was 61.9 x 43.6 degrees" in text
    calibrations.publish(info(5.0))
    graph.until(lambda: graph.inputs.views.compare(trained) or not graph.inputs.views.problems)
    graph.until(lambda: not published(6.0))
    graph.inputs.views.compare({})  # a checkpoint from before: nothing to compare with
    assert not graph.inputs.views.problems
