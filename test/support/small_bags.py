"""A small robot and what is recorded of it, for tests of bags."""

import numpy as np

from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer import BagWriter
from ddpm_controller.robots.robot import load_robot

MS = 1_000_000
START_NS = 5_000 * MS
JOINTS = ("lift", "grip")
ROBOT = """
robot: small
streams:
  joint_state: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [lift, grip],
                units: [rad, m], rate_hz: 50.0, max_age_s: 0.3}
  camera: {topic: camera/image_raw, type: sensor_msgs/msg/Image, height: 4, width: 6,
           rate_hz: 25.0, max_age_s: 0.5}
action: {topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [lift, grip],
         units: [rad, m], period_s: 0.1}
"""
TOPICS = {
    "/joint_states": "sensor_msgs/msg/JointState",
    "/camera/image_raw": "sensor_msgs/msg/Image",
    "/joint_trajectory": "trajectory_msgs/msg/JointTrajectory",
    "/commands": "std_msgs/msg/Float64MultiArray",
    "/episode": "ddpm_msgs/msg/EpisodeMark",
}
T = message_types().types


def small_robot(folder, text=ROBOT):
    path = folder / "robot.yaml"
    path.write_text(text)
    return load_robot(path)


def header(stamp_ns):
    return T["std_msgs/msg/Header"](T["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9)), "")


def joint_state(stamp_ns, lift, grip, names=("grip", "lift")):
    position = np.array([{"lift": lift, "grip": grip}.get(name, 0.0) for name in names])
    empty = np.zeros(0)
    kind = T["sensor_msgs/msg/JointState"]
    return kind(header(stamp_ns), list(names), position, empty, empty)


def image(stamp_ns, level, height=4, width=6):
    pixels = np.full(height * width * 3, level, np.uint8)
    kind = T["sensor_msgs/msg/Image"]
    return kind(header(stamp_ns), height, width, "rgb8", 0, 3 * width, pixels)


def trajectory(stamp_ns, lift, grip, names=("grip", "lift")):
    positions = np.array([{"lift": lift, "grip": grip}[name] for name in names])
    none, zero = np.zeros(0), T["builtin_interfaces/msg/Duration"](0, 20 * MS)
    point = T["trajectory_msgs/msg/JointTrajectoryPoint"](positions, none, none, none, zero)
    return T["trajectory_msgs/msg/JointTrajectory"](header(stamp_ns), list(names), [point])


def mark(stamp_ns, kind, success=False):
    return T["ddpm_msgs/msg/EpisodeMark"](header(stamp_ns), kind, 0, "small", 3, success, "")


def run_messages(duration_ms=1000, begin_ns=START_NS):
    """One run: joints at 50 Hz, camera at 25 Hz, commands at 50 Hz; value = time in ms."""
    for ms in range(0, duration_ms + 1, 20):
        stamp_ns = begin_ns + ms * MS
        yield "/joint_states", stamp_ns, joint_state(stamp_ns, ms / 1000, -ms / 1000)
        if ms % 40 == 0:
            yield "/camera/image_raw", stamp_ns, image(stamp_ns, ms // 40)
        yield "/joint_trajectory", stamp_ns, trajectory(stamp_ns, 1 + ms / 1000, -1 - ms / 1000)


def serialized(topic, message):
    return bytes(message_types().serialize_cdr(message, TOPICS[topic]))


def write_bag(folder, messages, storage="mcap", topics=TOPICS, provenance=None):
    with BagWriter(
        folder, [BagTopic(n, k) for n, k in topics.items()], provenance or {}, storage
    ) as bag:
        for topic, log_ns, message in messages:
            if topic in topics:
                kind = topics[topic]
                bag.write(topic, log_ns, bytes(message_types().serialize_cdr(message, kind)))
    return folder
