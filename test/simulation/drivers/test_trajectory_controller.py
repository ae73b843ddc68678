"""The rules of joint_trajectory_controller 4.42.1 of Jazzy, read from its source."""

from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.simulation.drivers.trajectory_controller import (
    ControllerRules,
    TrajectoryController,
    refusal,
)
from ddpm_controller.types import Trajectory

NAMES = ("turn", "slide")
RULES = ControllerRules(NAMES, period_s=0.01)
NOW_S = 100.0
HERE = np.array([0.5, 0.1])


def rows(*values):
    return np.array(values, dtype=float)


def trajectory(stamp_s=NOW_S, names=NAMES, times_s=(0.0, 0.1, 0.2), **changes):
    """Three points that end at rest."""
    message = Trajectory(
        stamp_s,
        names,
        np.array(times_s, dtype=float),
        rows([0.5, 0.1], [0.6, 0.2], [0.7, 0.3]),
        rows([0, 0], [1.0, 1.0], [0, 0]),
        rows([0, 0], [0, 0], [0, 0]),
    )
    return replace(message, **changes)


def test_a_message_that_ends_at_rest_is_taken():
    assert refusal(trajectory(), RULES, NOW_S) == ""


REFUSED = {
    "a joint is missing": (
        trajectory(names=("turn",)),
        "joints ['turn'], the controller ['turn', 'slide']",
    ),
    "a joint is too many": (trajectory(names=("turn", "slide", "lift")), "'lift'"),
    "no names": (trajectory(names=()), "joints []"),
    "a joint is unknown": (trajectory(names=("turn", "lift")), "'lift' is not one"),
    "a joint is named twice": (trajectory(names=("turn", "turn")), "['turn', 'turn']"),
    "no points": (
        Trajectory(NOW_S, NAMES, np.zeros(0), np.zeros((0, 2))),
        "no points",
    ),
    "the last point moves": (
        trajectory(velocities=rows([0, 0], [0, 0], [0, 2e-7])),
        "'slide' at 2e-07, not 0",
    ),
    "its end is past": (trajectory(stamp_s=NOW_S - 0.21), "ends in the past"),
    "times stand": (trajectory(times_s=(0.0, 0.1, 0.1)), "points 1 and 2 at 0.1"),
    "times go back": (trajectory(times_s=(0.0, -0.1, 0.1)), "points 0 and 1"),
    "no positions": (trajectory(positions=np.zeros((3, 0))), "0 positions for 2 joints"),
    "too few positions": (trajectory(positions=np.zeros((3, 1))), "1 positions"),
    "too few velocities": (trajectory(velocities=np.zeros((3, 1))), "1 velocities"),
    "too many accelerations": (trajectory(accelerations=np.zeros((3, 3))), "3 accelerations"),
}


@pytest.mark.parametrize(("message", "words"), REFUSED.values(), ids=REFUSED)
def test_a_message_is_refused_with_the_reason(message, words):
    assert words in refusal(message, RULES, NOW_S)
    controller = TrajectoryController(RULES)
    before = controller.update(NOW_S, HERE).position
    assert words in controller.receive(message, NOW_S)
    assert controller.update(NOW_S + 0.01, HERE + 1.0).position.tolist() == before.tolist()


TAKEN = {
    "another order": trajectory(names=("slide", "turn")),
    "no velocities": trajectory(velocities=None),
    "empty velocities": trajectory(velocities=np.zeros((3, 0))),
    "no accelerations": trajectory(accelerations=None),
    "a velocity of float epsilon": trajectory(velocities=rows([0, 0], [0, 0], [0, 1e-7])),
    "an end that is just now": trajectory(stamp_s=NOW_S - 0.2),
    "stamp 0": trajectory(stamp_s=0.0),
    "a single point ahead": Trajectory(NOW_S, NAMES, np.array([0.1]), rows([1, 1])),
    "a first time below 0": trajectory(times_s=(-0.1, 0.1, 0.2)),
}


@pytest.mark.parametrize("message", TAKEN.values(), ids=TAKEN)
def test_what_the_rules_allow_is_taken(message):
    assert refusal(message, RULES, NOW_S) == ""


def test_a_last_velocity_is_taken_where_the_parameter_allows_it():
    message = trajectory(velocities=rows([0, 0], [0, 0], [0, 1.0]))
    allowing = replace(RULES, allow_nonzero_velocity_at_trajectory_end=True)
    assert refusal(message, RULES, NOW_S)
    assert refusal(message, allowing, NOW_S) == ""


def test_joints_are_put_into_the_controllers_order():
    controller = TrajectoryController(RULES)
    assert controller.receive(trajectory(names=("slide", "turn")), NOW_S) == ""
    point = controller.update(NOW_S + 0.5, HERE)
    assert point.position.tolist() == [0.3, 0.7]


def test_it_holds_where_the_robot_was_when_it_began():
    controller = TrajectoryController(RULES)
    assert controller.update(NOW_S, HERE).position.tolist() == HERE.tolist()
    assert controller.update(NOW_S + 0.01, HERE + 1.0).position.tolist() == HERE.tolist()


def followed(message, moments_s, rules=RULES, measured=HERE, **more):
    controller = TrajectoryController(rules)
    controller.update(NOW_S - 1.0, measured)
    assert controller.receive(message, NOW_S) == ""
    return [controller.update(moment_s, measured, **more) for moment_s in moments_s]


def test_the_set_point_is_that_of_the_next_update():
    message = trajectory(velocities=None, accelerations=None)
    (point,) = followed(message, [NOW_S + 0.04])
    np.testing.assert_allclose(point.position, [0.55, 0.15], atol=1e-12)
    np.testing.assert_allclose(point.velocity, [1.0, 1.0], atol=1e-9)


def test_positions_alone_are_joined_by_lines():
    message = trajectory(velocities=None, accelerations=None)
    points = followed(message, NOW_S + np.array([0.015, 0.065, 0.115]))
    found = [each.position[0] for each in points]
    np.testing.assert_allclose(found, [0.525, 0.575, 0.625], atol=1e-12)
    assert not points[0].acceleration.any()


def test_velocities_make_a_cubic():
    """The middle of a Hermite segment: mean of the ends, plus T (v0 - v1) / 8."""
    (point,) = followed(trajectory(accelerations=None), [NOW_S + 0.04])
    np.testing.assert_allclose(point.position, [0.55 - 0.1 / 8, 0.15 - 0.1 / 8], atol=1e-12)
    # Velocity there: 3/2 of the mean slope less a quarter of both ends.
    np.testing.assert_allclose(point.velocity, [1.25, 1.25], atol=1e-9)


def test_accelerations_make_a_quintic():
    """The middle: mean of the ends, plus 5 T (v0 - v1) / 32, plus T^2 (a0 + a1) / 64."""
    accelerations = rows([0, 0], [2.0, 2.0], [0, 0])
    (point,) = followed(trajectory(accelerations=accelerations), [NOW_S + 0.04])
    middle = 0.55 - 5 * 0.1 / 32 + 0.01 * 2.0 / 64
    np.testing.assert_allclose(point.position[0], middle, atol=1e-12)


def test_each_segment_meets_its_points_exactly():
    for changes in ({}, {"accelerations": None}):
        message = trajectory(**changes)
        point = followed(message, [NOW_S + 0.09])[0]
        np.testing.assert_allclose(point.position, [0.6, 0.2], atol=1e-9)
        np.testing.assert_allclose(point.velocity, [1.0, 1.0], atol=1e-6)


def test_the_state_before_does_not_matter_when_the_first_point_is_past():
    moments_s = [NOW_S + 0.001]
    far = followed(trajectory(), moments_s, measured=HERE + 3.0)[0]
    near = followed(trajectory(), moments_s, measured=HERE)[0]
    assert far.position.tolist() == near.position.tolist()


def test_the_way_to_a_first_point_ahead_begins_at_the_measured_position():
    message = Trajectory(NOW_S + 0.1, NAMES, np.zeros(1), rows([1.5, 1.1]))
    points = followed(message, NOW_S + np.array([0.0, 0.04, 0.09, 0.5]))
    np.testing.assert_allclose(points[0].position, HERE + 0.1, atol=1e-9)
    np.testing.assert_allclose(points[1].position, HERE + 0.5, atol=1e-9)
    assert points[2].position.tolist() == points[3].position.tolist() == [1.5, 1.1]


def test_from_the_desired_state_the_set_point_goes_twice_its_way():
    """The original's fault: the last set point counts for the update at which it was written."""
    rules = replace(RULES, interpolate_from_desired_state=True)
    controller = TrajectoryController(rules)
    controller.update(NOW_S - 0.01, HERE)
    message = Trajectory(NOW_S + 0.1, NAMES, np.zeros(1), HERE[None] + 1.1)
    controller.receive(message, NOW_S)
    # Desired HERE, written at -0.01; the way ends at + 0.1, the set point is that of + 0.01.
    first = controller.update(NOW_S, HERE - 0.5).position
    np.testing.assert_allclose(first, HERE + 1.1 * 0.02 / 0.11, atol=1e-9)
    controller.receive(message, NOW_S + 0.01)
    # Written at 0, of + 0.01, counts for 0: two of the ten steps left in one update.
    second = controller.update(NOW_S + 0.01, HERE - 0.5).position
    left = HERE + 1.1 - first
    np.testing.assert_allclose(second, first + left * 0.02 / 0.1, atol=1e-9)


def test_a_message_replaces_the_one_in_force_from_the_next_update_on():
    controller = TrajectoryController(RULES)
    controller.receive(trajectory(), NOW_S)
    first = controller.update(NOW_S, HERE)
    other = trajectory(positions=trajectory().positions + 1.0)
    controller.receive(other, NOW_S)
    np.testing.assert_allclose(
        controller.update(NOW_S, HERE).position, first.position + 1.0, atol=1e-12
    )


def test_of_two_messages_between_updates_the_last_one_counts():
    controller = TrajectoryController(RULES)
    for shift in (1.0, 2.0):
        controller.receive(trajectory(positions=trajectory().positions + shift), NOW_S)
    assert controller.update(NOW_S + 1.0, HERE).position.tolist() == [2.7, 2.3]


def test_it_holds_the_last_point_without_velocity():
    points = followed(trajectory(velocities=None, accelerations=None), [NOW_S + 0.3, NOW_S + 99])
    for point in points:
        assert point.position.tolist() == [0.7, 0.3]
        assert not point.velocity.any()
        assert not point.acceleration.any()


def test_stamp_0_begins_at_the_first_update_after_the_arrival():
    message = trajectory(stamp_s=0.0, velocities=None, accelerations=None)
    points = followed(message, NOW_S + np.array([0.037, 0.047]))
    np.testing.assert_allclose(points[0].position, [0.51, 0.11], atol=1e-9)
    np.testing.assert_allclose(points[1].position, [0.52, 0.12], atol=1e-9)


def test_speed_scaling_slows_the_time_between_messages():
    message = trajectory(velocities=None, accelerations=None)
    points = followed(message, NOW_S + np.array([0.0, 0.04]), scaling=0.5)
    np.testing.assert_allclose(points[1].position, [0.53, 0.13], atol=1e-9)


def test_each_message_sets_the_scaled_time_right():
    controller = TrajectoryController(RULES)
    message = trajectory(velocities=None, accelerations=None)
    controller.receive(message, NOW_S)
    controller.update(NOW_S, HERE, scaling=0.1)
    controller.update(NOW_S + 0.04, HERE, scaling=0.1)
    controller.receive(message, NOW_S + 0.05)
    point = controller.update(NOW_S + 0.05, HERE, scaling=0.1)
    np.testing.assert_allclose(point.position, [0.56, 0.16], atol=1e-9)


@pytest.mark.parametrize(("first", "before"), [(-3.0, 3.0), (3.0, -3.0), (0.5 + 4 * np.pi, 0.4)])
def test_a_continuous_joint_takes_the_shorter_way_from_the_state_before(first, before):
    rules = replace(RULES, continuous=("turn",))
    message = Trajectory(NOW_S + 0.1, NAMES, np.zeros(1), rows([first, 0.0]))
    points = followed(message, NOW_S + np.array([0.0, 0.09]), rules, np.array([before, 0.0]))
    assert abs(points[0].position[0] - first) < np.pi
    assert points[1].position[0] == first


def test_a_joint_that_is_not_continuous_takes_the_long_way():
    message = Trajectory(NOW_S + 0.1, NAMES, np.zeros(1), rows([-3.0, 0.0]))
    moments_s = NOW_S + np.array([0.0, 0.04])
    points = followed(message, moments_s, measured=np.array([3.0, 0.0]))
    np.testing.assert_allclose(points[1].position[0], 0.0, atol=1e-9)


def test_after_the_time_out_it_holds_the_measured_position():
    rules = replace(RULES, cmd_timeout_s=0.1)
    controller = TrajectoryController(rules)
    controller.receive(trajectory(), NOW_S)
    controller.update(NOW_S, HERE)
    assert controller.update(NOW_S + 0.29, HERE).position.tolist() == [0.7, 0.3]
    controller.update(NOW_S + 0.31, HERE)
    assert controller.update(NOW_S + 0.32, HERE + 9).position.tolist() == HERE.tolist()
    assert controller.update(NOW_S + 9.0, HERE + 9).position.tolist() == HERE.tolist()


def test_without_a_time_out_the_last_point_is_held_for_good():
    assert followed(trajectory(), [NOW_S + 1e4])[0].position.tolist() == [0.7, 0.3]


BAD_RULES = {
    "a name repeats": ({"joint_names": ("turn", "turn")}, "unique"),
    "no names": ({"joint_names": ()}, "not empty"),
    "an unknown continuous joint": ({"continuous": ("lift",)}, "lift"),
    "no period": ({"period_s": 0.0}, "period_s must be above 0, got 0"),
    "a time-out below 0": ({"cmd_timeout_s": -1.0}, "cmd_timeout_s"),
}


@pytest.mark.parametrize(("changes", "words"), BAD_RULES.values(), ids=BAD_RULES)
def test_rules_that_contradict_themselves_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(RULES, **changes)


def test_rows_that_do_not_fit_the_times_are_no_trajectory():
    with pytest.raises(ValueError, match="one row each"):
        trajectory(positions=np.zeros((2, 2)))
