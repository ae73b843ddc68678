"""What real recordings have besides a demonstration: found, named, and never learned."""

import contextlib
import re
import sqlite3
import warnings

import numpy as np
import pytest
from small_bags import MS, START_NS, T, header, write_bag

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import BagError
from ddpm_controller.robots.robot import load_robot

NAMES = ["turn", "slide"]
ROBOT = """
robot: two_joints
streams:
  joint_state: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [turn, slide],
                units: [rad, m], rate_hz: 50.0, max_age_s: 0.3}
action: {topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [turn, slide],
         units: [rad, m], period_s: 0.1}
"""
TOPICS = {
    "/joint_states": "sensor_msgs/msg/JointState",
    "/joint_trajectory": "trajectory_msgs/msg/JointTrajectory",
}


def robot(folder, recordings=""):
    path = folder / "robot.yaml"
    path.write_text(ROBOT + (f"recordings: {recordings}\n" if recordings else ""))
    return load_robot(path)


def state(ns, position):
    none = np.zeros(0)
    kind = T["sensor_msgs/msg/JointState"]
    return kind(header(ns), NAMES, np.array(position, dtype=float), none, none)


def command(ns, *points, velocities=()):
    """Points are (ms behind the stamp, positions)."""
    none, duration = np.zeros(0), T["builtin_interfaces/msg/Duration"]
    kind = T["trajectory_msgs/msg/JointTrajectoryPoint"]
    rows = [
        kind(
            np.array(position, dtype=float),
            np.array(velocities[i], dtype=float) if velocities else none,
            none,
            none,
            duration(*divmod(ms * MS, 10**9)),
        )
        for i, (ms, position) in enumerate(points)
    ]
    return T["trajectory_msgs/msg/JointTrajectory"](header(ns), NAMES, rows)


def sine(i, lead_s=0.0):
    t_s = i / 50 + lead_s
    return [0.5 * np.sin(2 * t_s), 0.1 * np.cos(2 * t_s)]


def recorded(folder, states=None, commands=None, seconds=3, storage="mcap"):
    """A bag at 50 Hz; ``states(ns, i)`` and ``commands(ns, i)`` are lists of messages."""
    states = states or (lambda ns, i: [state(ns, sine(i))])
    commands = commands or (lambda ns, i: [command(ns, (20, sine(i, 0.1)))])
    messages = []
    for i in range(50 * seconds + 1):
        ns = START_NS + i * 20 * MS
        messages += [("/joint_states", ns, each) for each in states(ns, i)]
        messages += [("/joint_trajectory", ns, each) for each in commands(ns, i)]
    return write_bag(folder / "bag", messages, storage, topics=TOPICS)


def ramp(i):
    return [0.01 * i, 0.0]


def ramp_at(stamps_s):
    return 0.5 * (stamps_s - START_NS * 1e-9)  # rad: 0.01 in 20 ms


def test_a_goal_of_many_points_is_learned_as_its_motion(tmp_path):
    """As MoveIt sends it: one message for the whole run."""
    goal = [(200 * k, ramp(10 * k)) for k in range(16)]
    bag = recorded(
        tmp_path,
        lambda ns, i: [state(ns, ramp(i))],
        lambda ns, i: [command(ns, *goal)] if i == 0 else [],
    )
    (episode,) = read_episodes([bag], robot(tmp_path))
    assert len(episode) == 31
    np.testing.assert_allclose(episode.actions[:, 0], ramp_at(episode.stamps_s), atol=1e-9)


def test_a_plan_that_begins_where_the_robot_is_counts_at_each_moment(tmp_path):
    """Point 0 is the present, a new plan comes every 0.2 s: between two it is not held."""
    plan = range(4)
    bag = recorded(
        tmp_path,
        lambda ns, i: [state(ns, ramp(i))],
        lambda ns, i: [command(ns, *[(200 * k, ramp(i + 10 * k)) for k in plan])] * (i % 10 == 0),
    )
    (episode,) = read_episodes([bag], robot(tmp_path))
    np.testing.assert_allclose(episode.actions[:, 0], ramp_at(episode.stamps_s), atol=1e-9)


def test_velocities_of_two_points_make_a_cubic_between_them(tmp_path):
    """From rest to rest: at a quarter of the time 5/32 of the way."""
    goal = [(0, [0.0, 0.0]), (400, [1.0, 0.0])]
    bag = recorded(
        tmp_path,
        lambda ns, i: [state(ns, [0.0, 0.0])],
        lambda ns, i: [command(ns, *goal, velocities=[[0, 0], [0, 0]])] * (i == 0),
        seconds=1,
    )
    (episode,) = read_episodes([bag], robot(tmp_path))
    np.testing.assert_allclose(episode.actions[:5, 0], [0, 5 / 32, 0.5, 27 / 32, 1], atol=1e-9)


def test_a_far_point_alone_is_gone_to_from_where_the_robot_is(tmp_path):
    """A goal of one point two seconds ahead; set-points that come faster count at once."""
    slow = recorded(
        tmp_path,
        lambda ns, i: [state(ns, ramp(min(i, 100)))],
        lambda ns, i: [command(ns, (2000, [1.0, 0.0]))] * (i == 0),
    )
    (episode,) = read_episodes([slow], robot(tmp_path))
    expected = np.minimum(ramp_at(episode.stamps_s), 1.0)
    np.testing.assert_allclose(episode.actions[:, 0], expected, atol=1e-9)


def test_set_points_that_come_faster_than_they_are_reached_count_at_once(tmp_path):
    """As teleoperation at 50 Hz with 0.2 s to each point."""
    bag = recorded(tmp_path, None, lambda ns, i: [command(ns, (200, sine(i, 0.1)))])
    (episode,) = read_episodes([bag], robot(tmp_path))
    since_s = episode.stamps_s - START_NS * 1e-9
    np.testing.assert_allclose(episode.actions[:, 0], 0.5 * np.sin(2 * (since_s + 0.1)))


def test_points_that_go_back_in_time_are_refused(tmp_path):
    points = [(200, [0.0, 0.0]), (100, [0.0, 0.0])]
    bag = recorded(tmp_path, None, lambda ns, i: [command(ns, *points)] * (i == 0))
    with pytest.raises(BagError, match=r"at \[0\.2, 0\.1\] s from its start: the times must rise"):
        read_episodes([bag], robot(tmp_path))


GLITCH = {
    "command": {"commands": lambda ns, i: [command(ns, (20, far(i)))]},
    "state": {"states": lambda ns, i: [state(ns, far(i))]},
}


def far(i, value=50.0, at=(70,)):
    return [value, 0.1] if i in at else sine(i)


@pytest.mark.parametrize("where", GLITCH)
def test_a_glitch_is_refused_with_moment_joint_value_and_range(tmp_path, where):
    """One message of 150: no normalizer and no start gate may see it."""
    bag = recorded(tmp_path, **GLITCH[where])
    text = r"6\.4\d\d s, 1\.4\d\d s after .*joint 'turn' is 50, .*beyond -?\d.* to \d.*leave_out"
    with pytest.raises(BagError, match=text):
        read_episodes([bag], robot(tmp_path))


@pytest.mark.parametrize("where", GLITCH)
def test_a_glitch_is_left_out_where_the_robot_file_says_so(tmp_path, where):
    """And the warning says what has gone; the rest is as it was."""
    bag = recorded(tmp_path, **GLITCH[where])
    with pytest.warns(UserWarning, match="joint 'turn' is 50.*left out"):
        (episode,) = read_episodes([bag], robot(tmp_path, "{glitches: leave_out}"))
    assert max(np.abs(episode.actions).max(), np.abs(episode.values["joint_state"]).max()) < 0.51


@pytest.mark.parametrize("value", [1e300, 1.2e6, -3.0])
def test_glitches_of_every_size_at_either_end_and_in_a_row_are_found(tmp_path, value):
    """A second one hides behind the first in a mean, not in a median."""
    bag = recorded(
        tmp_path, lambda ns, i: [state(ns, far(i, value, (0, 40, 41, 42, 90, 150)))], None
    )
    with pytest.raises(BagError, match="and 5 more such messages"):
        read_episodes([bag], robot(tmp_path))


def test_a_joint_that_is_never_where_a_joint_can_be_is_refused(tmp_path):
    bag = recorded(tmp_path, lambda ns, i: [state(ns, [1e300, 0.0])])
    with pytest.raises(BagError, match="joint 'turn' is 1e\\+300"):
        read_episodes([bag], robot(tmp_path))


def test_a_gripper_a_step_and_noise_are_no_glitches(tmp_path):
    """A gripper closes for two messages, another joint jumps and stays, both are noisy."""
    noise = np.random.default_rng(0).normal(0, 1e-3, (151, 2))

    def states(ns, i):
        return [state(ns, noise[i] + [0.4 if i in (50, 51) else 0.0, 0.8 * (i > 75)])]

    (episode,) = read_episodes([recorded(tmp_path, states, states_as_commands)], robot(tmp_path))
    assert len(episode) == 31


def test_noise_as_large_as_the_motion_is_no_glitch(tmp_path):
    """As of an estimated position: each message is far from its neighbours."""
    noise = np.random.default_rng(0).normal(0, 1.0, (151, 2))
    bag = recorded(tmp_path, lambda ns, i: [state(ns, noise[i])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the robot leaves its commands
        read_episodes([bag], robot(tmp_path, "{uncommanded: measured}"))


def states_as_commands(ns, i):
    return [command(ns, (20, [0.4 if i in (50, 51) else 0.0, 0.8 * (i > 75)]))]


def stopped(i):
    """Led for a second, then by hand: 0.3 rad/s."""
    return [0.006 * i, 0.1]


def stopping(folder):
    return recorded(
        folder,
        lambda ns, i: [state(ns, stopped(i))],
        lambda ns, i: [command(ns, (20, [0.006 * i + 0.03, 0.1]))] * (i < 50),
        seconds=10,
    )


def test_a_part_without_commands_is_no_demonstration(tmp_path):
    """The robot is guided by hand for nine of ten seconds."""
    with pytest.warns(
        UserWarning,
        match=r"no command on joint_trajectory from 6\.000 s on.*'turn' went 2\.\d* rad",
    ):
        (episode,) = read_episodes([stopping(tmp_path)], robot(tmp_path))
    assert len(episode) == 11
    off = episode.actions[:, 0] - episode.values["joint_state"][:, 0]
    np.testing.assert_allclose(off, 0.03, atol=0.007)  # the last command is held for one message


def test_a_part_without_commands_is_learned_as_measured_or_refused(tmp_path):
    bag = stopping(tmp_path)
    with pytest.warns(UserWarning, match="what is measured is learned there"):
        (episode,) = read_episodes([bag], robot(tmp_path, "{uncommanded: measured}"))
    assert len(episode) == 101
    off = episode.actions[:, 0] - episode.values["joint_state"][:, 0]
    np.testing.assert_allclose(off[11:], 0.0, atol=1e-9)
    with pytest.raises(BagError, match="no command on joint_trajectory from 6"):
        read_episodes([bag], robot(tmp_path, "{uncommanded: refuse}"))


def test_commands_that_come_again_make_a_second_episode(tmp_path):
    """Without commands from 1 s to 2 s."""
    bag = recorded(
        tmp_path,
        lambda ns, i: [state(ns, stopped(i))],
        lambda ns, i: [command(ns, (20, stopped(i)))] * (not 50 <= i < 100),
    )
    with pytest.warns(UserWarning, match=r"for 1\.00 s"):
        episodes = read_episodes([bag], robot(tmp_path))
    assert [len(each) for each in episodes] == [11, 11]


def test_one_command_and_then_a_moving_robot_is_refused(tmp_path):
    bag = recorded(tmp_path, None, lambda ns, i: [command(ns, (20, sine(i)))] * (i == 0))
    with (
        pytest.warns(UserWarning, match="no command on"),
        pytest.raises(BagError, match="1 parts without commands"),
    ):
        read_episodes([bag], robot(tmp_path, "{uncommanded: leave_out}"))


def test_a_robot_that_stands_or_still_comes_nearer_needs_no_further_command(tmp_path):
    """A slow robot and a goal that was sent once."""
    bag = recorded(
        tmp_path,
        lambda ns, i: [state(ns, ramp(min(i, 100)))],
        lambda ns, i: [command(ns, (20, [1.0, 0.0]))] * (i == 0),
    )
    (episode,) = read_episodes([bag], robot(tmp_path))
    assert len(episode) == 31


def test_stamps_of_another_clock_are_refused_with_the_offset(tmp_path):
    """Live the same robot is refused."""
    bag = recorded(tmp_path, lambda ns, i: [state(ns + 3000 * MS, sine(i))])
    with pytest.raises(BagError, match=r"joint_state are 3\.000 s ahead of .*chrony"):
        read_episodes([bag], robot(tmp_path))


def test_a_recording_that_was_recorded_again_is_read(tmp_path):
    """States and commands are a day old by their stamps, and fit together."""
    day_ns = 86_400_000 * MS
    bag = recorded(
        tmp_path,
        lambda ns, i: [state(ns + day_ns, sine(i))],
        lambda ns, i: [command(ns + day_ns, (20, sine(i, 0.1)))],
    )
    (episode,) = read_episodes([bag], robot(tmp_path))
    assert len(episode) == 31


def test_messages_that_are_not_used_are_counted(tmp_path):
    """NaN for a while, as a driver without its encoder sends it."""
    bag = recorded(tmp_path, lambda ns, i: [state(ns, [np.nan, 0] if 50 <= i < 55 else sine(i))])
    with pytest.warns(UserWarning, match="5 messages of joint_state were not used.*not finite"):
        read_episodes([bag], robot(tmp_path))


def test_a_bag_of_humble_without_definitions_is_read_as_any_other(tmp_path):
    bag = recorded(tmp_path, storage="sqlite3")
    with contextlib.closing(sqlite3.connect(bag / "bag.db3")) as base:
        columns = [row[1] for row in base.execute("pragma table_info(topics)")]
        base.execute("drop table if exists message_definitions")
        base.execute("drop table if exists schema")
        if "type_description_hash" in columns:
            base.execute("alter table topics drop column type_description_hash")
    metadata = bag / "metadata.yaml"
    metadata.write_text(re.sub(r"version: \d+", "version: 5", metadata.read_text(), count=1))
    (episode,) = read_episodes([bag], robot(tmp_path))
    assert len(episode) == 31


def test_a_joint_with_two_values_in_one_message_is_refused(tmp_path):
    def twice(ns, i):
        message = state(ns, [*sine(i), 1.0])
        message.name = ["turn", "slide", "turn"]
        return [message]

    with pytest.raises(BagError, match="'turn' is in one message twice"):
        read_episodes([recorded(tmp_path, twice)], robot(tmp_path))
