"""What a policy says of itself in one value."""

import numpy as np
import pytest

from ddpm_controller.policy import PolicyFacts, TrainingRange
from ddpm_controller.types import ActionSpec, Observation, StreamSpec

SPEC = ActionSpec(("one", "two"), ("rad", "m"), 0.1)
STREAMS = (
    StreamSpec("joint_state", "vector", (3,), 50.0, ("two", "wheel", "one"), ("m", "1", "rad")),
    StreamSpec("goal", "vector", (1,), 0.0, ("wanted",), ("1",)),
    StreamSpec("camera", "image", (4, 6, 3), 25.0),
)
RANGE = TrainingRange(*(np.array(each) for each in ([1.0, -4.0], [3.0, -2.0], [0, 0], [1, 1])))
GOALS = {"goal": (np.array([5.0]), np.array([6.0]))}


def test_a_window_to_warm_up_with_lies_in_the_middle_of_what_is_known():
    facts = PolicyFacts(STREAMS, SPEC, 2, training_range=RANGE, goal_ranges=GOALS)
    window = facts.warm_up_window
    assert [each.stamp_s for each in window] == [-0.1, 0.0]
    for each in window:
        np.testing.assert_array_equal(each.values["joint_state"], [-3.0, 0.0, 2.0])
        np.testing.assert_array_equal(each.values["goal"], [5.5])
        assert each.values["camera"].dtype == np.uint8


def test_a_policy_brings_its_own_window_to_warm_up_with():
    own = [Observation(3.0, {})]
    assert PolicyFacts((), SPEC, 1, warm_up=own).warm_up_window is own
    with pytest.raises(ValueError, match="warm_up must have n_obs_steps = 2 .* got 1"):
        PolicyFacts((), SPEC, 2, warm_up=own)


def test_facts_that_contradict_the_streams_or_are_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"must name streams of .*'camera'.*, got \['lidar'\]"):
        PolicyFacts(STREAMS, SPEC, 1, maskable=("lidar",))
    with pytest.raises(ValueError, match="n_obs_steps must be at least 1 .* got 0 and 0"):
        PolicyFacts(STREAMS, SPEC, 0)


def test_what_a_system_does_not_have_keeps_its_default():
    facts = PolicyFacts(STREAMS, SPEC, 1)
    assert facts.relative_cost([], {}) == 1.0
    assert (facts.memory_kind, facts.maskable, facts.remembers_plans) == ("", (), False)
