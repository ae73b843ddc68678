"""Recordings without commands: the next measured positions, or those of a leader, are learned."""

import numpy as np
import pytest
from small_bags import MS, START_NS, T, header, write_bag

from ddpm_controller.bags.episodes import read_demonstrations, read_episodes
from ddpm_controller.bags.files import BagError
from ddpm_controller.data.following_delay import following_delay_s
from ddpm_controller.robots.robot import RobotError, load_robot

ROBOT = """
robot: two_joints
streams:
  joint_state: {topic: /joint_states, type: sensor_msgs/msg/JointState, names: [turn, slide],
                units: [rad, m], rate_hz: 100.0, max_age_s: 0.3}
action: {topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [turn, slide],
         units: [rad, m], period_s: 0.1, LATENCYrecorded: RECORDED}
"""
STATE = "sensor_msgs/msg/JointState"
TOPICS = {"/joint_states": STATE, "/leader/joint_states": STATE}
MEASURED = f"{{topic: /joint_states, type: {STATE}, source: measured}}"
LEADER = f"{{topic: /leader/joint_states, type: {STATE}, source: leader}}"
DELAY_S = 0.12


def robot(folder, recorded, latency_s=None):
    latency = f"latency_s: {latency_s}, " if latency_s else ""
    path = folder / "robot.yaml"
    path.write_text(ROBOT.replace("LATENCY", latency).replace("RECORDED", recorded))
    return load_robot(path)


def where(t_s):
    return [0.5 * np.sin(2 * t_s) + 0.2 * np.sin(5 * t_s), 0.1 * np.cos(3 * t_s)]


def turn(stamps_s, ahead_s=0.0):
    t_s = stamps_s - START_NS * 1e-9 + ahead_s
    return where(t_s)[0]


def state(ns, position):
    none = np.zeros(0)
    return T[STATE](header(ns), ["turn", "slide"], np.array(position), none, none)


def led(folder, seconds=5.0, follows=True):
    """A bag of a robot that follows its leader, at 100 Hz."""
    messages = []
    for i in range(round(seconds * 100)):
        ns, t_s = START_NS + i * 10 * MS, i / 100
        measured = where(t_s - DELAY_S) if follows else [0.0, 0.1]
        messages.append(("/joint_states", ns, state(ns, measured)))
        messages.append(("/leader/joint_states", ns, state(ns, where(t_s))))
    return write_bag(folder / "bag", messages, topics=TOPICS)


def test_the_next_measured_position_is_the_action_of_a_robot_that_is_guided_by_hand(tmp_path):
    (episode,) = read_episodes([led(tmp_path)], robot(tmp_path, MEASURED))
    actions, measured = episode.actions, episode.values["joint_state"]
    np.testing.assert_allclose(actions[:-1], measured[1:], atol=1e-9)
    np.testing.assert_allclose(actions[-1], measured[-1], atol=0.1)  # there is no later one


def test_what_is_measured_a_latency_later_is_the_action_where_that_is_known(tmp_path):
    """A robot that is late by it then repeats the motion when it was shown."""
    (episode,) = read_episodes([led(tmp_path)], robot(tmp_path, MEASURED, latency_s=0.25))
    expected = turn(episode.stamps_s[:-3], 0.25 - DELAY_S)
    np.testing.assert_allclose(episode.actions[:-3, 0], expected, atol=1e-9)


def test_a_leader_counts_as_commands_do_where_no_latency_is_known(tmp_path):
    (episode,) = read_episodes([led(tmp_path)], robot(tmp_path, LEADER))
    np.testing.assert_allclose(episode.actions[:, 0], turn(episode.stamps_s), atol=1e-9)


def test_a_leader_is_shifted_by_the_delay_that_is_estimated(tmp_path):
    """The robot was 0.12 s behind it, and is 0.3 s behind commands: 0.18 s ahead."""
    found = read_demonstrations([led(tmp_path)], robot(tmp_path, LEADER, latency_s=0.3))
    (episode,) = found.episodes
    lead_s = episode.leads_s["action"]
    assert lead_s == pytest.approx(0.3 - DELAY_S, abs=0.002)
    expected = turn(episode.stamps_s[:-3], lead_s)
    np.testing.assert_allclose(episode.actions[:-3, 0], expected, atol=0.02)  # 10 ms held
    assert found.provenance["demonstrated"] == {
        "action": {
            "source": "leader",
            "topic": "/leader/joint_states",
            "lead_s": [lead_s, lead_s],
        }
    }


def test_a_delay_that_is_given_is_not_estimated(tmp_path):
    given = LEADER.replace("leader}", "leader, delay_s: 0.1}")
    (episode,) = read_episodes([led(tmp_path, follows=False)], robot(tmp_path, given, 0.3))
    assert episode.leads_s["action"] == pytest.approx(0.2)


def test_a_robot_that_does_not_follow_its_leader_is_refused(tmp_path):
    bag = led(tmp_path, follows=False)
    with pytest.raises(BagError, match="do not follow their leader on /leader/joint_states"):
        read_episodes([bag], robot(tmp_path, LEADER, latency_s=0.3))


def test_a_delay_without_a_leader_is_refused(tmp_path):
    given = MEASURED.replace("measured}", "measured, delay_s: 0.1}")
    with pytest.raises(RobotError, match="delay_s is how late a robot follows its leader"):
        robot(tmp_path, given)


@pytest.mark.parametrize("delay_s", [0.0, 0.033, 0.4])
def test_the_delay_is_found_through_noise_scale_and_offset(delay_s):
    random = np.random.default_rng(1)
    leader_s, follower_s = np.arange(0, 10, 0.02), np.arange(0, 10, 0.008)
    leader = np.stack(where(leader_s), axis=1)
    follower = 0.8 * np.stack(where(follower_s - delay_s), axis=1) + 0.3
    follower += random.normal(0, 1e-3, follower.shape)
    found = following_delay_s(leader_s, leader, follower_s, follower)
    assert found == pytest.approx(delay_s, abs=0.003)


def test_what_moves_by_itself_has_no_delay():
    t_s = np.arange(0, 10, 0.02)
    leader = np.stack(where(t_s), axis=1)
    assert following_delay_s(t_s, leader, t_s, np.zeros_like(leader)) is None
    assert following_delay_s(t_s, leader, t_s, np.sin(17 * t_s[:, None] + [0, 1])) is None
