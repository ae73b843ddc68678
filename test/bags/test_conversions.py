from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import JointState

from ddpm_controller.bags.conversions import ConversionError, vector_from
from ddpm_controller.messages.stamps import seconds, stamp_from

NAMES = ("shoulder", "elbow")


@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))
def test_a_stamp_becomes_the_same_float_again_after_a_round_trip(sec, nanosec):
    stamp_s = seconds(SimpleNamespace(sec=sec, nanosec=nanosec))
    again = stamp_from(stamp_s)
    assert 0 <= again[1] < 1_000_000_000
    assert seconds(SimpleNamespace(sec=again[0], nanosec=again[1])) == stamp_s


@pytest.mark.parametrize(
    ("stamp_s", "parts"),
    [
        (1.5, (1, 500_000_000)),
        (0.1, (0, 100_000_000)),
        (2.9999999999, (3, 0)),
        (-0.25, (-1, 75e7)),
    ],
)
def test_a_time_is_rounded_to_the_nearest_nanosecond(stamp_s, parts):
    assert stamp_from(stamp_s) == parts


def test_joints_are_taken_by_name_whatever_their_order():
    message = JointState(name=["elbow", "gripper", "shoulder"], position=[2.0, 3.0, 1.0])
    np.testing.assert_array_equal(vector_from(message, NAMES), [1.0, 2.0])


BAD_STATES = {
    "a name is missing": (["elbow"], [1.0], r"\['shoulder'\] are missing"),
    "fewer numbers": (["elbow", "shoulder"], [1.0], "2 joint names but 1"),
    "no numbers": (["elbow", "shoulder"], [], "2 joint names but 0"),
}


@pytest.mark.parametrize(("names", "numbers", "text"), BAD_STATES.values(), ids=BAD_STATES)
def test_joints_that_are_not_all_there_are_refused_with_both_lists(names, numbers, text):
    with pytest.raises(ConversionError, match=text):
        vector_from(JointState(name=names, position=numbers), NAMES)
