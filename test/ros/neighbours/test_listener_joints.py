"""Whether a controller takes commands for these joints."""

import pytest

from ddpm_controller.robots.outputs import FLOAT64, JOINT_TRAJECTORY, MULTI_ARRAY
from ddpm_controller.ros.neighbours.listener_joints import mismatch

OURS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("kind", "theirs", "partial", "fits"),
    [
        (JOINT_TRAJECTORY, ["c", "a", "b"], False, True),
        (JOINT_TRAJECTORY, ["a", "b"], True, False),
        (JOINT_TRAJECTORY, ["a", "b", "c", "d"], False, False),
        (JOINT_TRAJECTORY, ["a", "b", "c", "d"], True, True),
        (MULTI_ARRAY, ["a", "b", "c"], False, True),
        (MULTI_ARRAY, ["c", "a", "b"], False, False),
        (MULTI_ARRAY, ["a", "b"], False, False),
        (FLOAT64, ["a", "b"], False, True),
    ],
)
def test_a_trajectory_names_its_joints_and_an_array_has_their_order(kind, theirs, partial, fits):
    text = mismatch(kind, OURS, theirs, allows_partial=partial)
    assert (text == "") == fits
    if not fits:
        assert str(theirs) in text
        assert str(list(OURS)) in text


def test_the_remedies_are_named():
    assert "allow_partial_joints_goal" in mismatch(JOINT_TRAJECTORY, OURS, [*OURS, "d"])
    assert "another order" in mismatch(MULTI_ARRAY, OURS, OURS[::-1])
