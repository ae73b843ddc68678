"""Two publishers of the same joint are noticed by what they measure."""

import numpy as np
import pytest

from ddpm_controller.ros.neighbours.joint_jumps import JointJumps

SPEEDS = {"elbow": 2.0, "wrist": 2.0}
TWO = ["/driver", "/joint_state_publisher"]


def jumps(publishers=TWO):
    return JointJumps(("elbow", "wrist"), 0.02, lambda: publishers)


def accepted(each, positions, period_s=0.01, joint="elbow"):
    """Which of the positions are taken, that came so far apart."""
    return [
        each.problem({joint: float(position)}, 5.0 + k * period_s, SPEEDS, k * period_s) == ""
        for k, position in enumerate(positions)
    ]


@pytest.mark.parametrize("first", [0.0, 0.7])
def test_of_two_that_contradict_each_other_none_is_taken_after_the_first(first):
    positions = [first if k % 2 == 0 else 0.7 - first for k in range(40)]
    assert accepted(jumps(), positions) == [True] + [False] * 39


def test_nor_where_one_of_them_publishes_more_often():
    positions = [0.7 if k % 3 else 0.0 for k in range(60)]
    taken = accepted(jumps(), positions)
    assert sum(taken) <= 3
    assert not any(taken[5:])


def test_the_text_has_the_joint_both_positions_and_the_publishers():
    each = jumps()
    accepted(each, [0.7, 0.0, 0.7])
    text = each.problem({"elbow": 0.7}, 5.04, SPEEDS, 0.04)
    assert "elbow jumps between 0.000 and 0.700" in text
    assert "/driver, /joint_state_publisher: stop one of them" in text


def test_they_are_taken_again_once_they_agree_for_a_while():
    each = jumps()
    accepted(each, [0.7, 0.0, 0.7])
    taken = [each.problem({"elbow": 0.7}, 5.0 + k, SPEEDS, float(k)) == "" for k in (0.5, 1.5)]
    assert taken == [False, True]


def test_a_fast_motion_is_no_contradiction():
    stamps_s = np.arange(200) * 0.01
    assert all(accepted(jumps(), np.sin(2.0 * stamps_s)))


def test_two_that_publish_other_joints_are_both_taken():
    each = jumps()
    for k in range(20):
        assert each.problem({"elbow": 0.7}, 5.0 + 0.01 * k, SPEEDS, 0.01 * k) == ""
        assert each.problem({"wrist": -0.7}, 5.0 + 0.01 * k, SPEEDS, 0.01 * k) == ""


def test_a_robot_that_is_put_elsewhere_is_held_back_for_one_message():
    assert accepted(jumps(), [0.0, 0.0, 0.7, 0.7, 0.7]) == [True, True, False, True, True]


def test_a_publisher_alone_is_believed():
    assert all(accepted(jumps(TWO[:1]), [0.0, 0.7] * 10))


def test_stamps_of_two_clocks_hide_nothing():
    each = jumps()
    found = [
        each.problem({"elbow": 0.7 * (k % 2)}, 5.0 + 30.0 * (k % 2) + 0.01 * k, SPEEDS, 0.01 * k)
        for k in range(10)
    ]
    assert all(found[1:])


def test_of_a_joint_within_one_turn_the_seam_is_no_jump():
    each = JointJumps(("elbow", "wrist"), 0.02, lambda: TWO, ("wrist",))
    turned = (3.0 + 0.02 * np.arange(20) + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(np.diff(turned)).max() > 6
    assert all(accepted(each, turned, joint="wrist"))
    assert not all(accepted(each, turned))
    assert not any(accepted(each, [0.0, turned[-1]] * 5, joint="wrist")[-5:])


def test_a_message_without_the_joint_is_taken_meanwhile():
    each, found = jumps(), []
    for k in range(20):
        now_s = 0.01 * k
        found.append(each.problem({"elbow": 0.7 * (k % 2)}, 5.0 + now_s, SPEEDS, now_s))
        assert each.problem({"wrist": 0.1}, 5.0 + now_s, SPEEDS, now_s) == ""
    assert all(found[1:])


def test_the_graph_is_asked_anew_only_until_a_second_publisher_is_known():
    asked, there = [], TWO[:1]
    each = JointJumps(("elbow",), 0.02, lambda: asked.append(1) or there)
    assert all(accepted(each, [0.0, 0.7] * 5))
    assert len(asked) == 9
    there = TWO
    assert not any(accepted(each, [0.0, 0.7] * 20)[1:])
    assert len(asked) == 10
