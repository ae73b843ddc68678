"""Demonstrations of a joint that turns without end, learned as one motion."""

import math

import numpy as np
import pytest
from small_bags import (
    MS,
    ROBOT,
    START_NS,
    image,
    joint_state,
    mark,
    small_robot,
    trajectory,
    write_bag,
)

from ddpm_controller.bags.episodes import read_bag
from ddpm_controller.bags.files import BagError

TURNING = ROBOT.replace("units: [rad, m], rate_hz", "units: [rad, m], wraps: [lift], rate_hz")


def wrapped(value):
    return (value + math.pi) % (2 * math.pi) - math.pi


def turning(duration_ms=4000, begin=2.5, commands=wrapped):
    """The joint turns at 2 rad/s, commanded 0.2 rad ahead."""
    for ms in range(0, duration_ms + 1, 20):
        stamp_ns, lift = START_NS + ms * MS, begin + ms / 500
        yield "/joint_states", stamp_ns, joint_state(stamp_ns, wrapped(lift), 0.0)
        yield "/camera/image_raw", stamp_ns, image(stamp_ns, 0)
        yield "/joint_trajectory", stamp_ns, trajectory(stamp_ns, commands(lift + 0.2), 0.0)


@pytest.mark.parametrize("commands", [wrapped, lambda lift: lift], ids=["wrapped", "counted"])
def test_states_and_commands_of_an_episode_continue_through_the_seam(tmp_path, commands):
    robot = small_robot(tmp_path, TURNING)
    (episode,) = read_bag(write_bag(tmp_path / "bag", turning(commands=commands)), robot)
    states, actions = episode.values["joint_state"][:, 0], episode.actions[:, 0]
    np.testing.assert_allclose(states, 2.5 + 2 * (episode.stamps_s - 5))
    np.testing.assert_allclose(actions, states + 0.2)


def test_every_episode_begins_where_the_joint_is_reported(tmp_path):
    robot = small_robot(tmp_path, TURNING)
    begin_ns = START_NS + 3000 * MS
    marks = [
        ("/episode", START_NS, mark(START_NS, 0)),
        ("/episode", START_NS + 2900 * MS, mark(START_NS + 2900 * MS, 1, success=True)),
        ("/episode", begin_ns, mark(begin_ns, 0)),
    ]
    messages = sorted([*marks, *turning()], key=lambda each: each[1])
    first, second = read_bag(write_bag(tmp_path / "bag", messages), robot)
    assert first.values["joint_state"][0, 0] == 2.5
    states = second.values["joint_state"][:, 0]
    assert states[0] == pytest.approx(wrapped(2.5 + 6.0))
    np.testing.assert_allclose(np.diff(states), 0.2)
    np.testing.assert_allclose(second.actions[:, 0], states + 0.2)


def test_a_seam_of_a_joint_that_is_not_named_is_refused_with_moment_and_remedy(tmp_path):
    bag = write_bag(tmp_path / "bag", turning())
    message = (
        r"at 5.340 s: joint_state: lift jumps by -6.243 rad .* a whole turn: name it in wraps"
    )
    with pytest.raises(BagError, match=message):
        read_bag(bag, small_robot(tmp_path))
