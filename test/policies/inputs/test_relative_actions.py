"""Actions learned relative to where the robot is: what is learned, planned and remembered."""

import dataclasses

import numpy as np
import pytest
import torch
from small_policy import CONFIG, STREAMS

from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.inputs.relative_actions import RelativeActions
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings
from ddpm_controller.types import ActionSpec, Observation

PERIOD_S = 0.1
RANGE = {"min": [-0.5, -0.02], "max": [0.5, 0.02]}
STATISTICS = {"joint_state": {"min": [-2.0, 0.0], "max": [2.0, 0.08]}, "action": RANGE}
HERE, SHIFT = np.array([0.1, 0.01]), np.array([0.7, 0.03])


def spec_of(first="measured", second="measured", kinds=()):
    return ActionSpec(("one", "two"), ("rad", "m"), PERIOD_S, kinds, (first, second))


def network_of(spec, seam="switch", **changes):
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, seam=SeamSettings(seam), **changes)
    return DiffusionPolicyNetwork(config, spec, STREAMS, STATISTICS)


def policy_of(spec, seam="switch"):
    return DiffusionPolicy(network_of(spec, seam), spec, PlanSettings())


def blindly(policy, window, memory):
    """Plan alike wherever the robot is, so that only what the plan is relative to differs."""
    cond = torch.zeros(1, policy.network.cond_dim)
    return policy.plans_given([window], [memory], cond)[0]


def window_at(joints, stamp_s=1.0):
    values = {"joint_state": np.asarray(joints), "camera": np.zeros((16, 20, 3), np.uint8)}
    return [Observation(stamp_s - PERIOD_S, values), Observation(stamp_s, values)]


def batch_at(joints, actions):
    steps = np.tile(np.asarray(joints, np.float32), (1, 2, 1))
    values = {"joint_state": torch.from_numpy(steps)}
    values["camera"] = torch.zeros(1, 2, 16, 20, 3, dtype=torch.uint8)
    rows = torch.from_numpy(np.asarray(actions, np.float32))[None]
    return {"values": values, "actions": rows, "mask": torch.ones(1, len(actions), dtype=bool)}


def test_what_is_learned_is_the_way_from_the_measured_joints():
    network = network_of(spec_of())
    here = np.array([1.0, 0.04])
    rows = here + np.linspace([0.0, 0.0], [0.25, 0.01], 8)
    found = network.normalized_actions(batch_at(here, rows))
    # Half of the range is 1: 0.5 rad and 0.02 m. Float32 of 1 m is off by 1e-7.
    assert found[0, 0].tolist() == pytest.approx([0.0, 0.0], abs=1e-5)
    assert found[0, -1].tolist() == pytest.approx([0.5, 0.5], abs=1e-5)


def test_relative_to_the_command_counts_from_the_row_of_the_newest_observation():
    network = network_of(spec_of("commanded", "none"))
    rows = np.linspace([0.2, 0.0], [0.55, 0.007], 8)  # 0.05 rad and 0.001 m a row
    found = network.normalized_actions(batch_at([1.0, 0.04], rows))
    assert found[0, 1].tolist() == pytest.approx([0.0, 0.05], abs=1e-5)
    assert found[0, 3].tolist() == pytest.approx([0.2, 0.15], abs=1e-5)


def test_two_windows_that_differ_by_a_shift_alone_are_learned_as_the_same():
    network = network_of(spec_of())
    rows = np.linspace([0.1, 0.01], [0.3, 0.02], 8)
    here = network.normalized_actions(batch_at(HERE, rows))
    there = network.normalized_actions(batch_at(HERE + SHIFT, rows + SHIFT))
    assert torch.allclose(here, there, atol=1e-5)


def test_an_absolute_policy_is_learned_bit_for_bit_as_without_all_this():
    network = network_of(ActionSpec(("one", "two"), ("rad", "m"), PERIOD_S))
    batch = batch_at([0.3, 0.01], np.linspace([0.1, 0.01], [0.3, 0.02], 8))
    expected = network.action_normalizer(batch["actions"])
    assert torch.equal(network.normalized_actions(batch), expected)


@pytest.mark.parametrize("to", ["measured", "commanded"])
def test_a_plan_is_absolute_and_moves_with_the_robot(to):
    policy = policy_of(spec_of(to, to))
    memory = policy.initial_memory(3)
    here = blindly(policy, window_at(HERE), memory).chunk.actions
    there = blindly(policy, window_at(HERE + SHIFT), memory).chunk.actions
    np.testing.assert_allclose(there - here, np.tile(SHIFT, (4, 1)), atol=1e-12)
    away = np.abs(here - HERE).max(axis=0)
    assert (away <= [0.5, 0.02]).all()  # the range of the training, from where the robot is


def test_relative_to_the_command_a_plan_continues_from_the_plan_before():
    policy = policy_of(spec_of("commanded", "commanded"))
    assert policy.facts.remembers_plans
    first = blindly(policy, window_at(HERE, 1.0), policy.initial_memory(3))
    lagging = window_at(HERE, 1.2)  # the robot has not moved
    again = blindly(policy, lagging, first.memory).chunk.actions
    alone = blindly(policy, lagging, {**policy.initial_memory(3), "plan_number": np.array(1)})
    shift = first.chunk.actions[2] - HERE
    np.testing.assert_allclose(again - alone.chunk.actions, np.tile(shift, (4, 1)), atol=1e-12)


def test_a_robot_that_rests_at_the_end_of_a_plan_is_where_it_is_measured():
    policy = policy_of(spec_of("commanded", "commanded"))
    first = blindly(policy, window_at(HERE, 1.0), policy.initial_memory(3))
    late = window_at([0.2, 0.02], 9.0)
    after = blindly(policy, late, first.memory).chunk.actions
    alone = blindly(policy, late, {**policy.initial_memory(3), "plan_number": np.array(1)})
    assert np.array_equal(after, alone.chunk.actions)


@pytest.mark.parametrize("seam", ["replace", "warm_replace"])
def test_a_seam_holds_the_absolute_rows_of_the_plan_before_when_the_robot_has_moved(seam):
    policy = policy_of(spec_of(), seam)
    first = policy.plan(window_at(HERE, 1.0), policy.initial_memory(3))
    after = policy.plan(window_at([0.15, 0.012], 1.1), first.memory)
    # The frozen rows are held while a plan is made, whatever it is relative to; float32 inside.
    np.testing.assert_allclose(after.chunk.actions[0], first.chunk.actions[1], atol=1e-5)


def test_velocities_are_refused_with_the_remedy():
    spec = spec_of("measured", "none", ("joint_velocity", "joint_position"))
    with pytest.raises(ValueError, match=r"\['one'\] are velocities.*set relative_to to none"):
        RelativeActions(spec, STREAMS)


def test_a_column_that_nothing_measures_is_refused_with_the_streams():
    spec = ActionSpec(("one", "three"), ("rad", "m"), PERIOD_S, (), ("none", "measured"))
    with pytest.raises(ValueError, match=r"no stream measures.*three.*joint_state"):
        RelativeActions(spec, STREAMS)
