"""Bags of a robot whose arm and gripper are commanded on topics of their own."""

import numpy as np
import pytest
from small_bags import (
    MS,
    ROBOT,
    START_NS,
    TOPICS,
    T,
    header,
    joint_state,
    run_messages,
    small_robot,
    trajectory,
    write_bag,
)

from ddpm_controller.bags.episodes import BagError, read_episodes

ARM = """actions:
  - {name: arm, topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [lift],
     units: [rad], period_s: 0.1}
  - {name: gripper, topic: grip, names: [grip], units: [m], """
TEXT = ROBOT[: ROBOT.index("action:")] + ARM
ARRAY = "type: std_msgs/msg/Float64}\n"
GOALS = "type: control_msgs/action/GripperCommand}\n"
MEASURED = (
    "type: control_msgs/action/GripperCommand, "
    "recorded: {topic: joint_states, type: sensor_msgs/msg/JointState}}\n"
)
GRIP = {"/grip": "std_msgs/msg/Float64", "/grip/command": "sensor_msgs/msg/JointState"}


def bag_of(tmp_path, grips, *, as_goals=False):
    """Write 400 ms in which the gripper is sent (ms, position)."""
    messages = list(run_messages(400))
    for ms, position in grips:
        stamp_ns = START_NS + ms * MS
        if as_goals:
            values = np.array([position]), np.zeros(0), np.zeros(0)
            message = T["sensor_msgs/msg/JointState"](header(stamp_ns), ["grip"], *values)
            messages.append(("/grip/command", stamp_ns, message))
        else:
            messages.append(("/grip", stamp_ns, T["std_msgs/msg/Float64"](position)))
    messages.sort(key=lambda message: message[1])
    return write_bag(tmp_path / "bag", messages, topics=TOPICS | GRIP)


def test_each_column_has_the_command_of_its_own_topic_in_force(tmp_path):
    bag = bag_of(tmp_path, [(0, 0.01), (150, 0.02), (390, 0.03)])
    (episode,) = read_episodes([bag], small_robot(tmp_path, TEXT + ARRAY))
    np.testing.assert_allclose(episode.actions[:, 0], 1 + np.arange(5) / 10)
    np.testing.assert_allclose(episode.actions[:, 1], [0.01, 0.01, 0.02, 0.02, 0.03][:5])


def test_an_episode_begins_when_every_topic_has_been_commanded(tmp_path):
    bag = bag_of(tmp_path, [(150, 0.02)])
    (episode,) = read_episodes([bag], small_robot(tmp_path, TEXT + ARRAY))
    np.testing.assert_allclose(episode.stamps_s[0], (START_NS + 150 * MS) / 1e9)
    np.testing.assert_allclose(episode.actions[:, 1], 0.02)


def test_a_topic_without_a_command_is_named(tmp_path):
    with pytest.raises(BagError, match=r"no message on \['grip'\]; record these topics"):
        read_episodes([bag_of(tmp_path, [])], small_robot(tmp_path, TEXT + ARRAY))


def test_a_gripper_is_where_it_is_measured_before_its_first_goal(tmp_path):
    """Nothing is sent to a gripper that has nothing to do."""
    bag = bag_of(tmp_path, [(200, 0.02)], as_goals=True)
    (episode,) = read_episodes([bag], small_robot(tmp_path, TEXT + GOALS))
    np.testing.assert_allclose(episode.actions[:, 1], [-0.0, -0.1, 0.02, 0.02, 0.02])


def test_a_measured_joint_can_stand_for_the_command(tmp_path):
    messages = [*run_messages(400)]
    state = joint_state(START_NS + 100 * MS, 0.0, 0.0, names=("wheel",))
    messages.append(("/joint_states", START_NS + 100 * MS, state))
    messages.sort(key=lambda message: message[1])
    bag = write_bag(tmp_path / "bag", messages)
    (episode,) = read_episodes([bag], small_robot(tmp_path, TEXT + MEASURED))
    np.testing.assert_allclose(episode.actions[:, 1], -np.arange(5) / 10)


def test_a_command_of_other_joints_is_refused_with_the_topic(tmp_path):
    robot = small_robot(tmp_path, (TEXT + ARRAY).replace("names: [lift],\n", "names: [turn],\n"))
    message = trajectory(START_NS, 1.0, 2.0)
    bag = write_bag(
        tmp_path / "bag",
        [*run_messages(100), ("/joint_trajectory", START_NS, message)],
        topics=TOPICS | GRIP,
    )
    with pytest.raises(BagError, match="topic /joint_trajectory: joints .'turn'. are missing"):
        read_episodes([bag], robot)
