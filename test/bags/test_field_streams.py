"""Streams of fields and of frames: the same vector from a bag and live."""

import numpy as np
import pytest
from field_messages import KINDS, STREAMS, link, links, recorded
from small_bags import MS, ROBOT, START_NS, TOPICS, T, run_messages, small_robot, write_bag

from ddpm_controller.bags.episodes import read_bag, read_demonstrations
from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.stream_reader import StreamReader
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.robots.loop_settings import loop_settings


@pytest.fixture
def robot(tmp_path):
    return small_robot(tmp_path, ROBOT.replace("\naction:", STREAMS))


@pytest.fixture
def bag(tmp_path):
    return write_bag(tmp_path / "bag", recorded(), topics=TOPICS | KINDS)


def test_bag_and_controller_see_the_same_of_fields_and_frames(robot, bag):
    (episode,) = read_bag(bag, robot)
    limits = JointLimits(np.full(2, -9.0), np.full(2, 9.0), np.full(2, 9.0))
    deployment = Deployment(replan_period_s=0.1, lockstep=True, stream="single_point")
    sources = robot.sources_of_topics
    assert len(episode) > 8
    for row in range(2, len(episode)):
        now_s = float(episode.stamps_s[row])
        loop = ControlLoop(loop_settings(robot, PolicyTerms(2), deployment, limits=limits))
        loop.start({})
        reader = StreamReader(robot.streams)
        for topic, log_ns, message in recorded():
            for source in sources.get(topic, ()) or sources.get(topic.lstrip("/"), ()):
                found = reader.read(source, message, log_ns * 1e-9)
                if found is not None and found.stamp_s <= now_s:
                    name = source.stream.spec.name
                    assert not loop.observe(name, found.stamp_s, found.value, found.present)
        request = loop.plan_request(now_s)
        for step, observation in enumerate(request.window, start=row - 1):
            for name, value in observation.values.items():
                np.testing.assert_array_equal(value, episode.values[name][step])


def test_frames_are_put_together_at_the_latest_moment_of_all_links(robot, bag):
    (episode,) = read_bag(bag, robot)
    moments = episode.stamps_s - START_NS * 1e-9
    # The slower link is 5 ms behind; the other one turns by 1 rad/s and moves by 0.1 m/s.
    known = np.floor((moments + 0.005 + 1e-6) / 0.02) * 0.02 - 0.005
    seen = episode.values["tool"]
    np.testing.assert_allclose(seen[:, 1], np.cos(known), atol=1e-6)
    np.testing.assert_allclose(seen[:, 0], 0.1 * known + 0.1 * np.cos(known), atol=1e-6)


def test_numbers_are_in_si_and_signs_of_quaternions_are_no_motion(robot, bag):
    (episode,) = read_bag(bag, robot)
    poses, weights = episode.values["pose"], episode.values["weight"]
    assert np.abs(np.diff(poses, axis=0)).max() < 0.15
    np.testing.assert_allclose(poses[:, 5], 10.0 * poses[:, 0], atol=1e-9)  # mm as m, 0.01 rad
    assert weights.max() < 0.2  # mNm as Nm


def test_what_has_no_stamp_counts_from_its_recording(robot, bag):
    (episode,) = read_bag(bag, robot)
    moments = np.round(episode.stamps_s - START_NS * 1e-9, 6)
    newest = np.floor((moments - 0.001 + 1e-6) / 0.05) * 5
    np.testing.assert_allclose(episode.values["weight"][:, 0], newest * 1e-3)


def test_a_checkpoint_is_given_where_its_streams_come_from(robot, bag):
    sources = read_demonstrations([bag], robot).provenance["sources"]
    assert sources["joint_state"] == {"type": "sensor_msgs/msg/JointState", "field": "position"}
    assert sources["tool"]["frames"] == ["base_link", "tool0"]
    assert sources["wrench"]["fields"][0] == "wrench.force.x"
    assert sources["camera"] == {"message_size": [4, 6], "crop": [0, 0, 4, 6], "aspect": 1.5}


def test_messages_without_a_stamp_beside_a_simulated_clock_are_refused(robot, tmp_path):
    def logged_later(messages):
        return [(topic, ns + 10**6 * 1000 * MS, message) for topic, ns, message in messages]

    with pytest.raises(BagError, match=r"'weight'\] have no stamps.* 1000000 s later.*use-sim-t"):
        read_bag(changed(tmp_path, logged_later), robot)


def changed(tmp_path, change):
    return write_bag(tmp_path / "changed", change(recorded()), topics=TOPICS | KINDS)


def test_frames_that_are_not_connected_are_named_with_those_that_there_are(robot, tmp_path):
    def without_flange(messages):
        return [m for m in messages if m[0] != "/tf_static"]

    with pytest.raises(BagError, match=r"tool .*on \['/tf'\]: these have \['base_link', 'flange'"):
        read_bag(changed(tmp_path, without_flange), robot)


def test_frames_that_form_a_loop_are_refused(robot, tmp_path):
    def with_loop(messages):
        ns = START_NS + 500 * MS
        circle = links(link(ns, "tool0", "wrist", 0.0))
        return sorted([*messages, ("/tf", ns, circle)], key=lambda each: each[1])

    with pytest.raises(BagError, match="tool: frames form a loop, each in the next: tool0 -> "):
        read_bag(changed(tmp_path, with_loop), robot)


def test_a_frame_of_another_part_that_is_not_filled_in_does_no_harm(robot, tmp_path):
    def with_wheel(messages):
        for topic, log_ns, message in messages:
            wheel = link(log_ns, "base_link", "wheel", 0.0, (0, 0, 0, 0))
            yield topic, log_ns, links(*message.transforms, wheel) if topic == "/tf" else message

    assert len(read_bag(changed(tmp_path, with_wheel), robot)) == 1


def test_a_link_on_the_way_that_is_not_filled_in_is_refused(robot, tmp_path):
    def broken(messages):
        for topic, log_ns, message in messages:
            bad = links(link(log_ns, "wrist", "flange", 0.0, (0, 0, 0, 0)))
            late = topic == "/tf" and message.transforms[0].child_frame_id == "flange"
            yield topic, log_ns, bad if late else message

    with pytest.raises(BagError, match=r"wrist to flange: quaternion \[0, 0, 0, 0\], which was"):
        read_bag(changed(tmp_path, broken), robot)


def test_states_and_commands_of_two_namespaces_are_refused(tmp_path):
    robot = small_robot(tmp_path)
    renamed = {
        "/joint_states": "/left/joint_states",
        "/joint_trajectory": "/right/joint_trajectory",
    }
    topics = {renamed.get(name, name): kind for name, kind in TOPICS.items()}
    messages = [(renamed.get(topic, topic), *rest) for topic, *rest in run_messages()]
    bag = write_bag(tmp_path / "bag", messages, topics=topics)
    with pytest.raises(BagError, match=r"several namespaces: .*'/left'.*'/right'.*full names"):
        read_bag(bag, robot)


def test_two_arms_with_the_same_joint_names_are_one_vector(tmp_path):
    text = ROBOT.replace("topic: joint_states", "topics: {left/joint_states: l_, right/js: r_}")
    text = text.replace(
        "names: [lift, grip],\n                units",
        "names: [l_lift, r_lift, l_grip],\n                units",
    )
    text = text.replace("units: [rad, m], rate_hz", "units: [rad, rad, m], rate_hz")
    text = text.replace(
        "names: [lift, grip],\n         units", "names: [l_lift, l_grip],\n         units"
    )
    robot = small_robot(tmp_path, text)
    topics = TOPICS | {"/left/joint_states": "sensor_msgs/msg/JointState"}
    topics |= {"/right/js": "sensor_msgs/msg/JointState"}

    def both():
        for topic, ns, message in run_messages():
            if topic == "/joint_trajectory":
                message.joint_names = ["l_" + name for name in message.joint_names]
            if topic != "/joint_states":
                yield topic, ns, message
                continue
            yield "/left/joint_states", ns, message
            mirrored = T["sensor_msgs/msg/JointState"](
                message.header, message.name, -message.position, message.velocity, message.effort
            )
            yield "/right/js", ns, mirrored

    (episode,) = read_bag(write_bag(tmp_path / "bag", both(), topics=topics), robot)
    state = episode.values["joint_state"]
    np.testing.assert_array_equal(state[:, 1], -state[:, 0])
    np.testing.assert_array_equal(state[:, 2], -state[:, 0])
