"""Whether a controller takes commands for these joints."""

import pytest

from ddpm_controller.ros.neighbours.listener_joints import mismatch

OURS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("output", "theirs", "partial", "fits"),
    [
        ("joint_trajectory", ["c", "a", "b"], False, True),
        ("joint_trajectory", ["a", "b"], True, False),
        ("joint_trajectory", ["a", "b", "c", "d"], False, False),
        ("joint_trajectory", ["a", "b", "c", "d"], True, True),
        ("commands", ["a", "b", "c"], False, True),
        ("commands", ["c", "a", "b"], False, False),
        ("commands", ["a", "b"], False, False),
    ],
)
def test_a_trajectory_names_its_joints_and_an_array_has_their_order(output, theirs, partial, fits):
    text = mismatch(output, OURS, theirs, allows_partial=partial)
    assert (text == "") == fits
    if not fits:
        assert str(theirs) in text
        assert str(list(OURS)) in text


def test_the_remedies_are_named():
    assert "allow_partial_joints_goal" in mismatch("joint_trajectory", OURS, [*OURS, "d"])
    assert "another order" in mismatch("commands", OURS, OURS[::-1])
