import numpy as np
import pytest
from stub_loop import (
    IMAGE,
    MAX_AGES_S,
    RUNNING,
    STREAMS,
    drive,
    new_loop,
    positions,
)

from ddpm_controller.control.observing.observation_buffer import ObservationBuffer
from ddpm_controller.control.observing.stream_filter import StreamFilter


def mean_of_three(history):
    """Shows by its value which rows it was given, and in which order."""
    return history.T @ np.array([100.0, 10.0, 1.0])


THREE = StreamFilter(3, 0.1, mean_of_three)


def buffer_with(filters):
    buffer = ObservationBuffer(STREAMS, MAX_AGES_S, filters=filters)
    for k in range(11):
        buffer.add("joint_state", 1.0 + 0.05 * k, np.array([k, -k]))
        buffer.add("camera", 1.0 + 0.05 * k, IMAGE)
    return buffer


def test_the_estimate_of_the_even_history_stands_in_for_the_newest_value():
    sample = buffer_with({"joint_state": THREE}).sample(1.33)
    # At 1.13, 1.23 and 1.33 s the newest values are 2, 4 and 6.
    assert sample.values["joint_state"].tolist() == [246.0, -246.0]
    assert sample.source_stamps_s["joint_state"] == pytest.approx(1.3)
    assert sample.values["camera"] is IMAGE


def test_before_the_first_value_it_is_repeated():
    sample = buffer_with({"joint_state": THREE}).sample(1.1)
    assert sample.values["joint_state"].tolist() == [2.0, -2.0]  # of 0, 0 and 2 at 0.9 .. 1.1


def test_what_is_measured_for_safety_stays_as_it_came():
    buffer = buffer_with({"joint_state": THREE})
    assert buffer.newest("joint_state", 1.33).tolist() == [6.0, -6.0]


@pytest.mark.parametrize("bad", [np.array([np.nan, 0.0]), np.array([np.inf, 0.0]), np.zeros(3)])
def test_an_estimate_that_is_no_state_is_not_used(bad):
    spoiled = StreamFilter(2, 0.1, lambda history: bad)
    sample = buffer_with({"joint_state": spoiled}).sample(1.33)
    assert sample.values["joint_state"].tolist() == [6.0, -6.0]


def test_a_loop_keeps_as_much_history_as_its_filters_need():
    long = StreamFilter(20, 0.1, lambda history: history[0])
    loop = new_loop(filters={"joint_state": long})
    drive(loop, 200, lambda n: 0)  # 4 s from 1 s on
    sampled = loop.watch.buffer.sample(4.98).values["joint_state"]
    without = new_loop()
    drive(without, 200, lambda n: 0)
    before = without.watch.buffer.sample(4.98 - 1.9)
    # 1.9 s ago: more than the loop without filters still has.
    assert before is None or not np.array_equal(before.values["joint_state"], sampled)
    known = ObservationBuffer(STREAMS, MAX_AGES_S)
    assert known.history_s > loop.watch.buffer.history_s >= 1.9


def test_without_filters_and_with_one_that_does_nothing_the_commands_are_the_same():
    same = StreamFilter(4, 0.05, lambda history: history[-1])
    plain = drive(new_loop(), 100, lambda n: 2)
    filtered = drive(new_loop(filters={"joint_state": same}), 100, lambda n: 2)
    assert plain[-1].state == RUNNING
    assert np.array_equal(positions(plain), positions(filtered))


def test_a_policy_sees_the_estimate():
    seen = []

    def remember(request):
        from stub_loop import waves

        seen.append(request.window[-1].values["joint_state"])
        return waves(request)

    shifted = StreamFilter(2, 0.1, lambda history: history[-1] + 50.0)
    drive(new_loop(filters={"joint_state": shifted}), 60, lambda n: 0, remember)
    assert len(seen) > 1
    assert all((value > 40).all() for value in seen)


@pytest.mark.parametrize(("rows", "period_s"), [(0, 0.1), (3, 0.0)])
def test_a_filter_that_breaks_a_rule_is_refused(rows, period_s):
    with pytest.raises(ValueError, match="at least 1 row and a period above 0"):
        StreamFilter(rows, period_s, mean_of_three)


@pytest.mark.parametrize("name", ["camera", "wrist"])
def test_only_vector_streams_have_filters(name):
    with pytest.raises(ValueError, match=rf"filters are for \['{name}'\].*\['joint_state'\]"):
        ObservationBuffer(STREAMS, MAX_AGES_S, filters={name: THREE})
