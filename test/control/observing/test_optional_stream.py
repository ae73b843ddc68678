"""A stream that may never come, as a requested velocity."""

import numpy as np
import pytest

from ddpm_controller.control.observing.observation_buffer import NEVER_S
from ddpm_controller.control.observing.observation_watch import ObservationWatch
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.control.states import Reason
from ddpm_controller.types import ActionSpec, StreamSpec

SPEC = ActionSpec(("a",), ("rad",), 0.1)
STREAMS = (
    StreamSpec("joint_state", "vector", (1,), 10.0, ("a",), ("rad",)),
    StreamSpec("cmd_vel", "vector", (2,), 10.0, ("x", "y"), ("m/s", "m/s")),
)
AGES_S = {"joint_state": 0.5, "cmd_vel": 0.5}


def watch_of(rule: str) -> ObservationWatch:
    watch = ObservationWatch(STREAMS, AGES_S, SPEC, 1.0, rules={"cmd_vel": StreamRule(rule)})
    for now_s in (10.0, 10.1):
        watch.advance(now_s)
        watch.observe("joint_state", now_s, np.zeros(1))
    return watch


def window_of(watch: ObservationWatch, now_s: float, steps: int = 2):
    window = watch.buffer.window(now_s, steps, SPEC.period_s)
    return None if window is None else watch.masked_window(window, now_s)


@pytest.mark.parametrize("rule", ["hold", "mask"])
def test_another_stream_is_waited_for(rule):
    watch = watch_of(rule)
    assert watch.problem(10.1).reason == Reason.NO_OBSERVATION
    assert window_of(watch, 10.1) is None


def test_before_its_first_message_an_optional_stream_is_masked():
    watch = watch_of("optional")
    assert watch.problem(10.1) is None
    assert watch.healths(10.1)["cmd_vel"].masked
    for seen in window_of(watch, 10.1):
        assert seen.masked == ("cmd_vel",)
        assert np.isnan(seen.values["cmd_vel"]).all()
        assert seen.source_stamps_s["cmd_vel"] == NEVER_S


def test_a_window_that_begins_before_its_first_message_has_none_of_it():
    """Half of a window would be numbers that never were."""
    watch = watch_of("optional")
    watch.observe("cmd_vel", 10.1, np.ones(2))
    assert [seen.masked for seen in window_of(watch, 10.1)] == [("cmd_vel",)] * 2
    (newest,) = window_of(watch, 10.1, steps=1)
    assert newest.masked == ()
    np.testing.assert_array_equal(newest.values["cmd_vel"], np.ones(2))


def test_one_that_falls_silent_is_masked_again():
    watch = watch_of("optional")
    watch.observe("cmd_vel", 10.1, np.ones(2))
    watch.advance(10.7)
    watch.observe("joint_state", 10.7, np.zeros(1))
    assert watch.problem(10.7) is None
    (newest,) = window_of(watch, 10.7, steps=1)
    assert newest.masked == ("cmd_vel",)


def test_in_lockstep_it_is_awaited_as_any_stream():
    assert watch_of("optional").late(10.1, 0.01) == ["cmd_vel"]


def test_what_measures_the_joints_cannot_be_optional():
    with pytest.raises(ValueError, match="cannot be masked"):
        ObservationWatch(STREAMS, AGES_S, SPEC, 1.0, rules={"joint_state": StreamRule("optional")})
