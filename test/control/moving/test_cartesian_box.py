import math

import numpy as np
import pytest

from ddpm_controller.control.moving.boxed_arm import CartesianBox
from ddpm_controller.control.moving.cartesian_box import BoxedGovernor, BoxGuard
from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.control.moving.governor import Governor
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.simulation.arm.arm import JOINT_NAMES, joint_range
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.types import ActionChunk

PERIOD_S = 0.02
BOX = CartesianBox((-0.5, -0.5, -1.0), (1.0, 0.5, 1.0))
SLIDES = JointLimits(
    np.array([-2.0, -2.0]), np.array([2.0, 2.0]), np.array([1.0, 1.0]), np.array([5.0, 5.0]),
    np.array([100.0, 100.0]),
)  # fmt: skip


def plane(rows: np.ndarray) -> np.ndarray:
    """Two slides: the joint positions are x and y."""
    return np.column_stack([rows, np.zeros(len(rows))])


def swing(rows: np.ndarray) -> np.ndarray:
    """One hinge with an arm of a metre."""
    return np.column_stack([np.cos(rows[:, 0]), np.sin(rows[:, 0]), 0 * rows[:, 0]])


GUARD = BoxGuard(BOX, plane, SLIDES)


def motion(*rows):
    return Motion(*(np.array(row, dtype=float) for row in rows))


def chunk(*rows, start_s=10.0):
    return ActionChunk(start_s, 0.1, ("a", "b")[: len(rows[0])], np.array(rows, dtype=float))


def test_a_chunk_inside_is_none_of_its_business():
    assert GUARD.chunk_problem(chunk([0, 0], [0.9, 0.4], [1.0, -0.5]), 10.0) == ""


def test_a_chunk_that_leads_outside_is_told_with_the_place():
    text = GUARD.chunk_problem(chunk([0, 0], [0.9, 0.4], [0.9, 0.6]), 10.0)
    assert text == "the chunk leads the end effector to y 0.6000 m outside [-0.5000, 0.5000]"
    assert "x -0.7000 m" in GUARD.chunk_problem(chunk([-0.7, 0], [0, 0]), 10.0)


def test_rows_that_are_past_do_not_count():
    rows = chunk([0, 2.0], [0, 1.0], [0, 0.4], [0, 0.3])
    assert GUARD.chunk_problem(rows, 10.1)
    assert GUARD.chunk_problem(rows, 10.2) == ""
    assert GUARD.chunk_problem(rows, 99.0) == ""


def test_between_two_rows_inside_the_path_may_be_outside():
    """A hinge goes round: both ends at x = 0.87, the middle at x = 1."""
    limits = JointLimits(*(np.array([value]) for value in (-3.0, 3.0, 2.0)))
    ends = chunk([-0.5], [0.5])
    inside = BoxGuard(CartesianBox((0.8, -1.0, -1.0), (1.01, 1.0, 1.0)), swing, limits)
    assert inside.chunk_problem(ends, 10.0) == ""
    outside = BoxGuard(CartesianBox((0.8, -1.0, -1.0), (0.95, 1.0, 1.0)), swing, limits)
    assert "x 1.0000 m" in outside.chunk_problem(ends, 10.0)


def test_a_command_leaves_room_to_brake():
    """v^2 / 2A = 0.1 m for a metre per second, and more for the jerk; v, a = 0 there."""
    assert GUARD.command_problem(Motion.rest(np.array([1.0, 0.0]))) == ""
    assert GUARD.command_problem(motion([0.80, 0], [1.0, 0], [0, 0])) == ""
    assert "x" in GUARD.command_problem(motion([0.89, 0], [1.0, 0], [0, 0]))
    assert GUARD.command_problem(motion([0.89, 0], [-1.0, 0], [0, 0])) == ""
    assert GUARD.command_problem(motion([0.89, 0], [0.0, 0], [5.0, 0])) == ""
    assert GUARD.command_problem(motion([0.9999, 0], [0.0, 0], [5.0, 0]))


def test_a_robot_outside_is_told_to_be_moved_first():
    assert GUARD.start_problem(np.array([0.0, 0.5])) == ""
    assert GUARD.start_problem(np.array([0.0, -0.51])) == (
        "end effector at y -0.5100 m outside [-0.5000, 0.5000]: move the robot into its box first"
    )


def test_a_place_that_is_not_a_number_is_outside():
    guard = BoxGuard(BOX, lambda rows: np.full((len(rows), 3), math.nan), SLIDES)
    assert guard.command_problem(Motion.rest(np.zeros(2)))


def test_a_wall_that_is_not_there_stops_nothing():
    infinite = CartesianBox((-math.inf,) * 3, (math.inf, math.inf, 0.0))
    assert infinite.problem(np.array([[1e9, -1e9, -1e9]])) == ""
    assert infinite.problem(np.array([[0.0, 0.0, 0.1]]))


@pytest.mark.parametrize("upper", [(1.0, -1.0, 1.0), (1.0, 0.0, 1.0), (1.0, math.nan, 1.0)])
def test_a_box_without_inside_is_refused_with_both_values(upper):
    with pytest.raises(ValueError, match="lower y 0.0 must be below upper y"):
        CartesianBox((0.0, 0.0, 0.0), upper)


def test_at_a_wall_the_motion_comes_to_rest_and_says_box():
    governor = BoxedGovernor(Governor(SLIDES, PERIOD_S), GUARD)
    sent, reasons = Motion.rest(np.zeros(2)), []
    for _ in range(300):
        limited = governor.step(sent, Motion.rest(np.array([1.8, 0.2])), PERIOD_S)
        sent = limited.motion
        reasons.append(limited.reasons)
    assert 0.9 < sent.position[0] <= 1.0
    assert reasons[0] == () or "box" not in reasons[0]
    assert reasons[-1][0] == "box"


def test_a_wish_inside_is_not_changed():
    plain, boxed = Governor(SLIDES, PERIOD_S), BoxedGovernor(Governor(SLIDES, PERIOD_S), GUARD)
    last, wish = Motion.rest(np.zeros(2)), Motion.rest(np.array([0.3, 0.1]))
    for _ in range(100):
        expected = plain.step(last, wish, PERIOD_S)
        found = boxed.step(last, wish, PERIOD_S)
        np.testing.assert_array_equal(found.motion.position, expected.motion.position)
        assert found.reasons == expected.reasons
        last = found.motion


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_wished_the_arm_stays_in_its_box(seed):
    """Wishes that jump, at ticks that come late; also the limits of the joints still hold."""
    random = np.random.default_rng(seed)
    joints = joint_range()
    limits = JointLimits(
        joints.lower, joints.upper, joints.velocity, 10 * joints.velocity, 200 * joints.velocity
    )
    chain = LinkChain(robot_description(), JOINT_NAMES, "tip")
    start = np.array([0.0, 0.15, 0.1, -0.25, 0.0, 0.0, 0.02])
    centre = chain.positions(start[None])[0]
    lower, upper = np.add(centre, [-0.15, -0.2, -0.1]), np.add(centre, [0.1, 0.15, 0.12])
    box = CartesianBox(tuple(lower), tuple(upper))
    governor = BoxedGovernor(Governor(limits, PERIOD_S), BoxGuard(box, chain.positions, limits))
    sent, wish, stopped = [Motion.rest(start)], Motion.rest(start), 0
    for tick in range(400):
        if tick % 15 == 0:
            target = start + random.uniform(-1, 1, 7) * random.choice([0.1, 0.5, 2.0])
            wish = Motion(target, random.normal(0, 1, 7), random.normal(0, 5, 7))
        limited = governor.step(sent[-1], wish, PERIOD_S * random.choice([1.0, 1.2, 3.0]))
        stopped += "box" in limited.reasons
        sent.append(limited.motion)
    assert stopped > 20
    tips = chain.positions(np.array([each.position for each in sent]))
    # A fraction of a millimetre between the moments of a stop that are looked at.
    assert (tips >= np.array(box.lower) - 5e-4).all()
    assert (tips <= np.array(box.upper) + 5e-4).all()
    positions = np.array([each.position for each in sent])
    assert ((positions >= limits.lower) & (positions <= limits.upper)).all()
    assert (np.abs([each.velocity for each in sent]) <= limits.velocity).all()
