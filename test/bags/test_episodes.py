"""Bags read without ROS: episodes on the policy's clock, the same as on the robot."""

import numpy as np
import pytest
from small_bags import (
    MS,
    ROBOT,
    START_NS,
    TOPICS,
    T,
    image,
    joint_state,
    mark,
    run_messages,
    small_robot,
    trajectory,
    write_bag,
)

from ddpm_controller.bags.conversions import observation_from
from ddpm_controller.bags.episodes import read_bag, read_episodes
from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer import BagWriter
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.robots.loop_settings import loop_settings


@pytest.fixture
def robot(tmp_path):
    """Two joints listed by the driver in the other order, and one tiny camera."""
    return small_robot(tmp_path)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_episode_is_sampled_on_the_policys_clock(tmp_path, robot, storage):
    """Joints by name, the newest image at each moment, and the command in force then."""
    bag = write_bag(tmp_path / "bag", run_messages(), storage)
    (episode,) = read_episodes([bag], robot)
    moments_s = 5 + np.arange(11) / 10
    np.testing.assert_allclose(episode.stamps_s, moments_s)
    np.testing.assert_allclose(episode.values["joint_state"][:, 0], moments_s - 5)  # lift
    np.testing.assert_allclose(episode.values["joint_state"][:, 1], 5 - moments_s)  # grip
    np.testing.assert_allclose(episode.actions[:, 0], moments_s - 4)
    newest_image = [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25]  # 100 ms falls between 80 and 120
    assert list(episode.values["camera"][:, 0, 0, 0]) == newest_image
    assert episode.success is None


def test_marks_cut_a_bag_into_episodes(tmp_path, robot):
    """Only what lies between BEGIN and END is an episode, with the success of its END."""
    second_ns = START_NS + 1000 * MS
    messages = [
        *run_messages(2000),
        ("/episode", START_NS + 200 * MS, mark(START_NS + 200 * MS, 0)),
        ("/episode", START_NS + 700 * MS, mark(START_NS + 700 * MS, 1, success=True)),
        ("/episode", second_ns, mark(second_ns, 0)),
        ("/episode", second_ns + 300 * MS, mark(second_ns + 300 * MS, 1)),
    ]
    episodes = read_episodes([write_bag(tmp_path / "bag", messages)], robot)
    np.testing.assert_allclose(episodes[0].stamps_s, 5.2 + np.arange(6) / 10)
    np.testing.assert_allclose(episodes[1].stamps_s, 6.0 + np.arange(4) / 10)
    assert [episode.success for episode in episodes] == [True, False]


def test_an_episode_that_was_never_ended_goes_to_the_end_of_the_bag(tmp_path, robot):
    """A recording that was stopped keeps what it has."""
    messages = [("/episode", START_NS, mark(START_NS, 0)), *run_messages(500)]
    (episode,) = read_episodes([write_bag(tmp_path / "bag", messages)], robot)
    assert len(episode) == 6
    assert episode.success is None


def test_a_command_without_stamp_counts_from_when_it_was_recorded(tmp_path, robot):
    """Float64MultiArray has no header."""
    text = ROBOT.replace(
        "joint_trajectory, type: trajectory_msgs/msg/JointTrajectory",
        "commands, type: std_msgs/msg/Float64MultiArray",
    )
    layout = T["std_msgs/msg/MultiArrayLayout"]([], 0)
    kind = T["std_msgs/msg/Float64MultiArray"]
    commands = [
        ("/commands", START_NS + ms * MS, kind(layout, np.array([ms / 1000, 0.5])))
        for ms in (0, 150, 390)
    ]
    bag = write_bag(tmp_path / "bag", [*run_messages(400), *commands])
    (episode,) = read_episodes([bag], small_robot(tmp_path, text))
    np.testing.assert_allclose(episode.actions[:, 0], [0, 0, 0.15, 0.15, 0.39])


def test_a_value_that_the_robot_refuses_is_refused_in_a_bag_too(tmp_path, robot):
    """NaN in joint states and a message from the past leave the last good value in force."""
    messages = list(run_messages(400))
    late_ns, nan_ns = START_NS + 101 * MS, START_NS + 199 * MS
    messages.append(("/joint_states", START_NS + 130 * MS, joint_state(late_ns, 9.0, 9.0)))
    messages.append(("/joint_states", nan_ns, joint_state(nan_ns, np.nan, 0.0)))
    messages = [
        m for m in messages if not (m[0] == "/joint_states" and m[1] == START_NS + 200 * MS)
    ]
    messages.sort(key=lambda message: message[1])
    (episode,) = read_episodes([write_bag(tmp_path / "bag", messages)], robot)
    np.testing.assert_allclose(episode.values["joint_state"][:, 0], [0, 0.1, 0.18, 0.3, 0.4])


def test_a_bag_and_the_live_buffer_see_the_same(tmp_path, robot):
    """The window of a running control loop equals the episode's rows, bit for bit.

    Stamps of a real clock, joints and camera with jitter and camera messages that come late.
    """
    random = np.random.default_rng(4)
    begin_ns = 1_790_000_000 * 10**9 + 123_456_789
    messages = []
    for k in range(120):
        stamp_ns = begin_ns + k * 20 * MS + int(random.integers(0, 3 * MS))
        row = 0.05 * random.normal(size=2)
        messages.append(("/joint_states", stamp_ns, joint_state(stamp_ns, *row)))
        messages.append(("/joint_trajectory", stamp_ns, trajectory(stamp_ns, *row)))
        if k % 2 == 0:
            late_ns = int(random.integers(0, 30 * MS))
            messages.append(("/camera/image_raw", stamp_ns + late_ns, image(stamp_ns, k)))
    messages.sort(key=lambda message: message[1])
    (episode,) = read_episodes([write_bag(tmp_path / "bag", messages)], robot)
    limits = JointLimits(np.full(2, -9.0), np.full(2, 9.0), np.full(2, 9.0))
    deployment = Deployment(replan_period_s=0.1, lockstep=True, stream="single_point")
    loop = ControlLoop(loop_settings(robot, PolicyTerms(2), deployment, limits=limits))
    for row in range(2, len(episode)):
        now_s = float(episode.stamps_s[row])
        loop.start({})
        for topic, _, message in messages:
            for stream in robot.streams:
                if topic == "/" + stream.topic and _stamp_s(message) <= now_s:
                    loop.observe(stream.spec.name, *observation_from(message, stream))
        request = loop.plan_request(now_s)
        for step, observation in enumerate(request.window, start=row - 1):
            for name, value in observation.values.items():
                np.testing.assert_array_equal(value, episode.values[name][step])


def _stamp_s(message):
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def test_a_namespace_in_the_bag_is_found(tmp_path, robot):
    """A robot that was recorded as /left/... is the robot of the file."""
    topics = {f"/left{name}": kind for name, kind in TOPICS.items()}
    messages = [(f"/left{topic}", stamp_ns, m) for topic, stamp_ns, m in run_messages()]
    (episode,) = read_bag(write_bag(tmp_path / "bag", messages, topics=topics), robot)
    assert len(episode) == 11


def test_surplus_bytes_of_rclpys_serialization_are_no_damage(tmp_path, robot):
    """Bags written with rclpy's serialize_message have them."""
    bag = tmp_path / "bag"
    with BagWriter(bag, [BagTopic(n, k) for n, k in TOPICS.items()], {}) as writer:
        for topic, log_ns, message in run_messages():
            raw = bytes(message_types().serialize_cdr(message, TOPICS[topic]))
            writer.write(topic, log_ns, raw + b"\x60\xbc\xf2\x0a" * (3 if "traj" in topic else 1))
    (episode,) = read_episodes([bag], robot)
    np.testing.assert_allclose(episode.actions[:, 0], 1 + np.arange(11) / 10)
