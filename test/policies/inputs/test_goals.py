import dataclasses

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, CONFIG, STATISTICS

from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policy import PlanSettings
from ddpm_controller.types import Observation, StreamSpec

STREAMS = (
    StreamSpec("joint_state", "vector", (2,), 50.0, ("one", "two"), ("rad", "m")),
    StreamSpec("goal", "vector", (2,), 1.0, ("count", "side"), ("1", "1")),
)
RANGES = {**STATISTICS, "goal": {"min": [2.0, 1.0], "max": [5.0, 1.0]}}


def policy(goal_streams=("goal",)):
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, goal_streams=goal_streams)
    network = DiffusionPolicyNetwork(config, ACTION_SPEC, STREAMS, RANGES)
    return DiffusionPolicy(network, ACTION_SPEC, PlanSettings())


def plan(mine, goal, older=(3.0, 1.0)):
    window = [
        Observation(stamp_s, {"joint_state": np.zeros(2), "goal": np.array(each)})
        for stamp_s, each in ((4.9, older), (5.0, goal))
    ]
    return mine.plan(window, mine.initial_memory(0))


@pytest.mark.parametrize("goal", [(2.0, 1.0), (5.0, 1.0), (5.0 + 1e-7, 1.0)])
def test_a_goal_in_the_range_of_the_training_is_taken(goal):
    assert np.isfinite(plan(policy(), goal).chunk.actions).all()


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ((7.0, 1.0), "goal 'goal': count is 7, in training it was between 2 and 5; ask"),
        ((1.9, 1.0), "count is 1.9, in training it was between 2 and 5"),
        ((3.0, 0.0), "side is 0, in training it was between 1 and 1"),
    ],
)
def test_a_goal_outside_is_refused_with_both_sides(goal, message):
    with pytest.raises(ValueError, match=message):
        plan(policy(), goal)
    with pytest.raises(ValueError, match=message):  # at any observation of the window
        plan(policy(), (3.0, 1.0), older=goal)


def test_what_is_no_goal_may_be_anything():
    assert np.isfinite(plan(policy(goal_streams=()), (7.0, 0.0)).chunk.actions).all()


def test_the_ranges_are_told():
    ranges = policy().facts.goal_ranges
    assert list(ranges) == ["goal"]
    np.testing.assert_allclose(ranges["goal"], [[2.0, 1.0], [5.0, 1.0]])
    assert policy(goal_streams=()).facts.goal_ranges == {}


def test_a_goal_that_is_not_observed_is_refused():
    with pytest.raises(ValueError, match=r"goal_streams \['wish'\] must be among .*'goal'"):
        policy(goal_streams=("wish",))
