"""Streams that are told once, as an instruction is: the last value stays, whatever happens."""

import math

import numpy as np
import pytest

from ddpm_controller.control.observing.observation_buffer import ObservationBuffer
from ddpm_controller.control.observing.observation_watch import ObservationWatch
from ddpm_controller.control.states import Reason
from ddpm_controller.types import ActionSpec, StreamSpec

STREAMS = (
    StreamSpec("joint_state", "vector", (1,), 50.0, ("lift",), ("rad",)),
    StreamSpec("wish", "vector", (1,), 0.0, ("word",), ("1",)),
)
LIFT = ActionSpec(("lift",), ("rad",), 0.1)
MAX_AGES_S = {"joint_state": 0.3, "wish": math.inf}


def one(value):
    return np.array([float(value)])


def watch_of(wish_s=1.0):
    watch = ObservationWatch(STREAMS, MAX_AGES_S, LIFT, max_lead_s=1.0)
    watch.start()
    if wish_s is not None:
        watch.observe("wish", wish_s, one(3))
    return watch


def wish(buffer, now_s):
    buffer.add("joint_state", now_s, one(0))
    (observation,) = buffer.window(now_s, 1, 0.1)
    return observation.values["wish"][0]


def test_only_a_vector_may_hold():
    with pytest.raises(ValueError, match="rate_hz must be above 0, got 0"):
        StreamSpec("camera", "image", (4, 6, 3), 0.0)


def test_a_value_that_holds_does_not_age_and_is_not_waited_for_again():
    watch = watch_of()
    watch.observe("joint_state", 1000.0, one(0))
    assert watch.problem(1000.0) is None
    assert watch.late(1000.0, 0.01) == []
    assert watch.healths(1000.0)["wish"].age_s == 999.0


def test_before_it_was_told_it_is_missing_and_waited_for():
    watch = watch_of(wish_s=None)
    watch.observe("joint_state", 1.0, one(0))
    assert watch.problem(1.0).reason == Reason.NO_OBSERVATION
    assert watch.problem(1.0).text == "nothing yet from wish"
    assert watch.late(1.0, 0.01) == ["wish"]


@pytest.mark.parametrize("not_before_s", [None, 500.0, -math.inf])
def test_a_new_run_goes_on_with_what_was_told_before(not_before_s):
    watch = watch_of()
    watch.start(not_before_s)
    assert wish(watch.buffer, 600.0) == 3


def test_of_two_the_last_one_counts_from_when_it_came():
    buffer = watch_of().buffer
    for k in range(20):
        buffer.add("joint_state", 5.0 + 0.1 * k, one(k))
    buffer.add("wish", 6.05, one(4))
    older, newer = buffer.window(6.1, 2, 0.1)
    assert (older.values["wish"], newer.values["wish"]) == (3, 4)
    assert buffer.add("wish", 6.05, one(5))  # a clock that stands still
    assert wish(buffer, 7.0) == 5


@pytest.mark.parametrize("told_first", [True, False])
def test_when_the_time_goes_back_what_was_told_last_still_holds(told_first):
    """As with a simulation that begins again; the clock may be heard before or after."""
    watch = watch_of(wish_s=50.0)
    watch.advance(60.0)
    if told_first:
        assert not watch.observe("wish", 2.0, one(4))
    assert "went back" in watch.advance(2.0)
    assert wish(watch.buffer, 2.0) == (4 if told_first else 3)
    if not told_first:
        assert not watch.observe("wish", 2.0, one(4))
        assert wish(watch.buffer, 2.02) == 4


def test_when_the_time_leaps_forward_it_still_holds():
    watch = watch_of()
    watch.advance(2.0)
    assert not watch.observe("wish", 100.0, one(4))  # its stamp is ahead of the last tick
    assert "leapt forward" in watch.advance(100.0)
    assert wish(watch.buffer, 100.0) == 4


def test_what_was_refused_stays_refused_until_something_better_is_told():
    """The robot must not go on with a sentence that somebody took back."""
    watch = watch_of()
    watch.refuse("wish", "wish: it says nothing")
    for not_before_s in (None, 5.0):
        watch.start(not_before_s)
        watch.observe("joint_state", 6.0, one(0))
        assert watch.problem(6.0).reason == Reason.INVALID_OBSERVATION
    watch.observe("wish", 6.0, one(4))
    assert watch.problem(6.0) is None


def test_other_streams_are_forgotten_as_before():
    buffer = ObservationBuffer(STREAMS, MAX_AGES_S, history_s=0.5)
    for k in range(100):
        buffer.add("joint_state", 0.02 * k, one(k))
        buffer.add("wish", 0.02 * k, one(k))
    assert buffer.sample(0.5) is None
    buffer.reset()
    assert np.isnan(buffer.ages(2.0)["joint_state"])
    assert buffer.newest("wish", 2.0) == 99
