"""Joint states as robots send them: of an arm, of its gripper, of a base, in messages apart."""

import numpy as np
import pytest
from sensor_msgs.msg import JointState
from small_bags import MS, ROBOT, START_NS, T, header, image, small_robot, trajectory, write_bag

from ddpm_controller.bags.conversions import (
    ConversionError,
    observation_from,
    part_of_vector,
    vector_from,
)
from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import BagError
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import RobotError

NAMES = ("shoulder", "elbow", "finger")
VELOCITY = """
  joint_velocity: {topic: joint_states, type: sensor_msgs/msg/JointState, field: velocity,
                   names: [lift, grip], units: [rad/s, m/s], rate_hz: 50.0, max_age_s: 0.3}
action:"""


def states(ns, names, position, velocity=()):
    arrays = [np.array(each, dtype=np.float64) for each in (position, velocity, ())]
    return T["sensor_msgs/msg/JointState"](header(ns), list(names), *arrays)


def test_a_message_brings_the_joints_that_it_has():
    message = JointState(name=["wheel", "finger", "elbow"], position=[9.0, 3.0, 2.0])
    value, present = part_of_vector(message, NAMES)
    np.testing.assert_array_equal(value, [np.nan, 2.0, 3.0])
    assert present.tolist() == [False, True, True]
    value, present = part_of_vector(message, ("finger", "elbow"))
    assert (value.tolist(), present) == ([3.0, 2.0], None)
    assert part_of_vector(message, ("shoulder",)) is None


def test_a_field_that_is_empty_is_refused_only_where_a_joint_of_it_is_in_the_message():
    """A gripper often has no velocity; it may share the topic of an arm that has."""
    message = JointState(name=["finger", "finger_joint_2"], position=[3.0, 3.0])
    assert part_of_vector(message, ("shoulder", "elbow"), "velocity") is None
    with pytest.raises(
        ConversionError, match=r"2 joint names but 0 numbers.*\['finger'\]"
    ) as told:
        part_of_vector(message, NAMES, "velocity")
    assert told.value.joints == ("finger",)


def test_a_joint_that_is_in_a_message_twice_with_two_values_is_refused_with_both():
    message = JointState(name=["elbow", "shoulder", "elbow"], position=[1.0, 2.0, 1.5])
    for read in (part_of_vector, vector_from):
        with pytest.raises(ConversionError, match=r"'elbow' is in one message twice.*1\.0, 1\.5"):
            read(message, ("shoulder", "elbow"))
    assert part_of_vector(message, ("shoulder",))[0].tolist() == [2.0]
    message.position[2] = 1.0
    assert part_of_vector(message, ("shoulder", "elbow"))[0].tolist() == [2.0, 1.0]


def apart(random, num_ticks=120):
    """Joint states of lift at 50 Hz and of grip at 20 Hz, wheels at 100 Hz, with jitter."""
    messages = []

    def send(topic, log_ns, message):
        messages.append((topic, int(log_ns), message))

    for k in range(num_ticks):
        ns = START_NS + k * 20 * MS
        late_ns = random.integers(0, 15 * MS, 4)
        send("/joint_states", ns + late_ns[0], states(ns, ["lift"], 0.05 * random.normal(size=1)))
        for half in (0, 10 * MS):
            send("/joint_states", ns + half, states(ns + half, ["wheel"], [k]))
        if k % 2 == 0:
            send("/camera/image_raw", ns + late_ns[1], image(ns, k))
        if k % 5 in (0, 2):
            ns += int(late_ns[3])
            send(
                "/joint_states",
                ns + late_ns[2],
                states(ns, ["grip"], 0.05 * random.normal(size=1)),
            )
        send("/joint_trajectory", ns, trajectory(ns, *0.05 * random.normal(size=2)))
    return sorted(messages, key=lambda message: message[1])


def newest(messages, name, moment_s):
    """Value of a joint, by its definition."""
    come = [
        (m.header.stamp.sec + m.header.stamp.nanosec * 1e-9, float(m.position[0]))
        for topic, _, m in messages
        if topic == "/joint_states" and list(m.name) == [name]
    ]
    return max(each for each in come if each[0] <= moment_s + 1e-6)[1]


@pytest.mark.parametrize("seed", range(4))
def test_bag_and_controller_put_the_same_vector_together(tmp_path, seed):
    robot = small_robot(tmp_path)
    messages = apart(np.random.default_rng(seed))
    (episode,) = read_episodes([write_bag(tmp_path / "bag", messages)], robot)
    limits = JointLimits(np.full(2, -9.0), np.full(2, 9.0), np.full(2, 9.0))
    deployment = Deployment(replan_period_s=0.1, lockstep=True, stream="single_point")
    loop = ControlLoop(loop_settings(robot, PolicyTerms(2), deployment, limits=limits))
    for row in range(2, len(episode)):
        now_s = float(episode.stamps_s[row])
        loop.start({})
        for topic, _, message in messages:
            stamp_s = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
            for stream in robot.streams:
                if topic == "/" + stream.topic and stamp_s <= now_s:
                    found = observation_from(message, stream)
                    if found is not None:
                        assert not loop.observe(stream.spec.name, *found)
        request = loop.plan_request(now_s)
        for step, observation in enumerate(request.window, start=row - 1):
            for name, value in observation.values.items():
                np.testing.assert_array_equal(value, episode.values[name][step])
        expected = [newest(messages, name, now_s) for name in ("lift", "grip")]
        np.testing.assert_array_equal(loop.watch.measured(now_s), expected)


def test_a_gripper_that_falls_silent_in_a_recording_is_named(tmp_path):
    messages = [
        (topic, ns, m)
        for topic, ns, m in apart(np.random.default_rng(0))
        if topic != "/joint_states" or list(m.name) != ["grip"] or ns < START_NS + 1000 * MS
    ]
    bag = write_bag(tmp_path / "bag", messages)
    with pytest.raises(BagError, match="joint 'grip' of joint_state stood still for 0"):
        read_episodes([bag], small_robot(tmp_path))


def test_position_and_velocity_of_one_topic_are_two_streams(tmp_path):
    robot = small_robot(tmp_path, ROBOT.replace("action:", VELOCITY.lstrip("\n")))
    messages = [
        (topic, ns, states(ns, m.name, m.position, 10 * m.position) if "states" in topic else m)
        for topic, ns, m in apart(np.random.default_rng(0))
    ]
    (episode,) = read_episodes([write_bag(tmp_path / "bag", messages)], robot)
    position, velocity = episode.values["joint_state"], episode.values["joint_velocity"]
    np.testing.assert_array_equal(velocity, 10 * position)
    assert robot.measuring.spec.name == "joint_state"


def test_a_velocity_in_units_of_a_position_cannot_measure_the_joints(tmp_path):
    wrong = ROBOT.replace("max_age_s: 0.3}", "max_age_s: 0.3, field: velocity}")
    with pytest.raises(RobotError, match=r"the velocity of the commanded joints in units.*rad/s"):
        small_robot(tmp_path, wrong)


def test_a_topic_of_two_types_is_refused(tmp_path):
    wrong = ROBOT.replace("topic: camera/image_raw", "topic: joint_states")
    with pytest.raises(RobotError, match="topic joint_states has type sensor_msgs/msg/Image here"):
        small_robot(tmp_path, wrong)
