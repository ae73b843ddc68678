"""What a gripper is sent, by tables of wishes and positions."""

import math

import pytest

from ddpm_controller.control.gripper import BinaryGripper, GripperRule

BINARY = BinaryGripper(open=0.0, closed=0.8, close_above=0.6, open_below=0.2)
DOWNWARDS = BinaryGripper(open=0.04, closed=0.0, close_above=0.6, open_below=0.2)

SENT = {
    "the first wish": (GripperRule(), [0.3], [0.3]),
    "a wish that stays": (GripperRule(), [0.3, 0.3, 0.3], [0.3, None, None]),
    "every change without a dead band": (GripperRule(), [0.3, 0.30001], [0.3, 0.30001]),
    "changes within the dead band": (GripperRule(0.01), [0.3, 0.309, 0.291], [0.3, None, None]),
    "a slow way, counted from what was sent": (
        GripperRule(0.01),
        [0.3, 0.306, 0.312, 0.318, 0.324],
        [0.3, None, 0.312, None, 0.324],
    ),
    "no number": (GripperRule(), [math.nan, 0.3, math.inf], [None, 0.3, None]),
    "only open and closed": (GripperRule(0.0, BINARY), [0.1, 0.5, 0.79], [0.0, 0.8, None]),
    "no trembling between the thresholds": (
        GripperRule(0.0, BINARY),
        [0.0, 0.47, 0.49, 0.47, 0.17, 0.15],
        [0.0, None, 0.8, None, None, 0.0],
    ),
    "the nearer place at first": (GripperRule(0.0, BINARY), [0.41], [0.8]),
    "the nearer place at first, open": (GripperRule(0.0, BINARY), [0.39], [0.0]),
    "a gripper that closes downwards": (
        GripperRule(0.0, DOWNWARDS),
        [0.04, 0.02, 0.01, 0.03, 0.035],
        [0.04, None, 0.0, None, 0.04],
    ),
}


@pytest.mark.parametrize(("rule", "wishes", "expected"), SENT.values(), ids=SENT)
def test_a_gripper_is_sent_what_its_rule_says(rule, wishes, expected):
    sent, found = None, []
    for wish in wishes:
        found.append(rule.due(wish, sent))
        sent = sent if found[-1] is None else found[-1]
    assert found == expected


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: BinaryGripper(0.0, 0.8, 0.2, 0.6), "open_below 0.6 and close_above 0.2"),
        (lambda: BinaryGripper(0.0, 0.8, 1.1, 0.6), "close_above 1.1"),
        (lambda: BinaryGripper(0.4, 0.4, 0.6, 0.2), "both 0.4"),
        (lambda: BinaryGripper(math.nan, 0.4, 0.6, 0.2), "open nan"),
        (lambda: GripperRule(-0.1), "dead_band must be 0 or above, got -0.1"),
        (lambda: GripperRule(max_effort=0.0), "max_effort must be above 0, got 0.0"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
