import math

import numpy as np
import pytest
from stub_loop import CAMERA, IMAGE, MAX_AGES_S, STREAMS

from ddpm_controller.control.observing.observation_buffer import (
    ObservationBuffer,
    ObservationError,
    OutOfOrderError,
)


def vector(value):
    return np.array([value, -value])


def filled(history_s=math.inf):
    """joint_state at 1.0, 1.02 ... 1.5 with its time as value; camera at 1.01, 1.05, ... 1.49."""
    buffer = ObservationBuffer(STREAMS, MAX_AGES_S, history_s)
    for k in range(26):
        buffer.add("joint_state", 1.0 + 0.02 * k, vector(1.0 + 0.02 * k))
    for k in range(13):
        buffer.add("camera", 1.01 + 0.04 * k, IMAGE + k)
    return buffer


@pytest.mark.parametrize(
    ("stamp_s", "state_s", "image"),
    [(1.01, 1.0, 0), (1.0399, 1.02, 0), (1.04, 1.04, 0), (1.05, 1.04, 1), (9.0, 1.5, 12)],
)
def test_a_sample_is_the_newest_of_each_stream_at_that_moment(stamp_s, state_s, image):
    sample = filled().sample(stamp_s)
    assert sample.stamp_s == stamp_s
    assert sample.source_stamps_s["joint_state"] == pytest.approx(state_s)
    assert sample.values["joint_state"][0] == pytest.approx(state_s)
    assert sample.values["camera"].max() == image
    assert all(source_s <= stamp_s + 1e-6 for source_s in sample.source_stamps_s.values())


@pytest.mark.parametrize("start_s", [0.0, 1.02, 7.06, 1.7e9 + 0.123456789])
def test_the_rounding_of_a_moment_does_not_miss_a_value_of_that_moment(start_s):
    buffer = ObservationBuffer(STREAMS, MAX_AGES_S)
    for k in range(100):
        stamp_s = start_s + 0.02 * k
        buffer.add("joint_state", stamp_s, vector(k))
        buffer.add("camera", stamp_s, IMAGE)
        if k >= 10:
            window = buffer.window(stamp_s, 3, 0.1)
            assert [o.values["joint_state"][0] for o in window] == [k - 10, k - 5, k]


def test_there_is_no_sample_before_every_stream_has_delivered():
    assert filled().sample(1.005) is None
    assert ObservationBuffer(STREAMS, MAX_AGES_S).sample(5.0) is None


def test_a_window_is_sampled_on_the_policys_clock_oldest_first():
    window = filled().window(1.5, 3, 0.1)
    assert [o.stamp_s for o in window] == pytest.approx([1.3, 1.4, 1.5])
    assert [o.values["joint_state"][0] for o in window] == pytest.approx([1.3, 1.4, 1.5])


def test_at_the_start_of_a_run_the_oldest_observation_is_repeated():
    window = filled().window(1.06, 3, 0.1)
    assert [o.stamp_s for o in window] == pytest.approx([1.01, 1.01, 1.06])
    assert [o.values["joint_state"][0] for o in window] == pytest.approx([1.0, 1.0, 1.06])
    assert filled().window(1.005, 3, 0.1) is None


BAD = {
    "nan": ("joint_state", np.array([0.0, np.nan]), "not finite: shoulder"),
    "infinite": ("joint_state", np.array([np.inf, 0.0]), "not finite: elbow"),
    "another length": ("joint_state", np.zeros(3), r"shape \(3,\)"),
    "another image size": ("camera", np.zeros((6, 4, 3), np.uint8), r"\(4, 6, 3\)"),
    "a float image": ("camera", np.zeros((4, 6, 3)), "uint8"),
}


@pytest.mark.parametrize(("name", "value", "text"), BAD.values(), ids=BAD)
def test_a_value_that_must_not_be_used_is_refused_and_changes_nothing(name, value, text):
    buffer = filled()
    with pytest.raises(ObservationError, match=text):
        buffer.add(name, 2.0, value)
    assert buffer.sample(2.0).source_stamps_s["joint_state"] == pytest.approx(1.5)
    assert buffer.sample(2.0).values["camera"].max() == 12


def test_a_value_out_of_order_is_refused_and_a_repeat_ignored():
    buffer = filled()
    with pytest.raises(OutOfOrderError, match="0.100 s older"):
        buffer.add("joint_state", 1.4, vector(7))
    stamp_s = buffer.sample(9.0).source_stamps_s["joint_state"]
    assert buffer.add("joint_state", stamp_s, vector(7)) is False
    assert buffer.sample(9.0).values["joint_state"][0] == pytest.approx(1.5)
    with pytest.raises(ObservationError, match="not a time"):
        buffer.add("joint_state", math.nan, vector(7))


def test_when_time_goes_back_everything_is_forgotten():
    buffer = filled()
    assert buffer.advance(1.5) is False
    assert buffer.advance(1.5) is False
    assert buffer.advance(0.2) is True
    assert buffer.sample(9.0) is None
    assert buffer.add("joint_state", 0.1, vector(1)) is True


def test_a_run_sees_nothing_from_before_its_beginning():
    buffer = filled()
    buffer.reset(not_before_s=1.45)
    window = buffer.window(1.5, 2, 0.1)
    assert [o.stamp_s for o in window] == pytest.approx([1.46, 1.5])
    assert buffer.add("camera", 1.44, IMAGE) is False
    buffer.reset(not_before_s=-math.inf)
    assert [o.stamp_s for o in buffer.window(1.5, 2, 0.1)] == pytest.approx([1.46, 1.5])
    buffer.reset()
    assert buffer.sample(9.0) is None


def test_ages_count_from_the_stamp_and_are_unknown_before_the_first():
    buffer = ObservationBuffer(STREAMS, MAX_AGES_S)
    buffer.add("camera", 3.0, IMAGE)
    ages_s = buffer.ages(3.25)
    assert ages_s["camera"] == 0.25
    assert math.isnan(ages_s["joint_state"])


@pytest.mark.parametrize(
    ("now_s", "stale"),
    [(1.5, set()), (1.79, set()), (1.81, {"joint_state"}), (2.1, {"joint_state", "camera"})],
)
def test_each_stream_is_stale_after_its_own_age(now_s, stale):
    assert set(filled().stale(now_s)) == stale


def test_what_is_older_than_the_history_is_forgotten_but_not_the_newest_before_it():
    buffer = filled(history_s=0.1)
    assert buffer.sample(1.40).source_stamps_s["joint_state"] == pytest.approx(1.40)
    assert buffer.sample(1.3) is None
    assert filled().sample(1.3) is not None


def test_a_stream_without_a_maximum_age_is_refused():
    with pytest.raises(ValueError, match="camera"):
        ObservationBuffer((CAMERA,), {"joint_state": 0.3})
