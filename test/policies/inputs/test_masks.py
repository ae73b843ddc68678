"""Streams that a policy can do without."""

import dataclasses

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, CONFIG, STATISTICS, STREAMS

from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.inputs.masks import drawn_masks
from ddpm_controller.policy import PlanSettings
from ddpm_controller.types import Observation


def network(maskable_streams=("camera",), **changes):
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, maskable_streams=maskable_streams, **changes)
    return DiffusionPolicyNetwork(config, ACTION_SPEC, STREAMS, STATISTICS)


def policy(maskable_streams=("camera",)):
    return DiffusionPolicy(network(maskable_streams), ACTION_SPEC, PlanSettings())


def seen(joints=(0.5, 0.02), brightness=90):
    values = {
        "joint_state": np.array(joints),
        "camera": np.full(STREAMS[1].shape, brightness, np.uint8),
    }
    return [Observation(stamp_s, values) for stamp_s in (4.9, 5.0)]


def rows(mine, window):
    return mine.plan(window, mine.initial_memory(0)).chunk.actions


def without(window, *names):
    return [each.without(names) for each in window]


def test_a_masked_stream_says_nothing_and_its_absence_is_told():
    mine = policy()
    blind = rows(mine, without(seen(), "camera"))
    np.testing.assert_array_equal(blind, rows(mine, without(seen(brightness=7), "camera")))
    assert not np.array_equal(blind, rows(mine, seen()))
    dark = seen(brightness=0)  # what a masked image is made of is not what being masked means
    assert not np.array_equal(rows(mine, dark), rows(mine, without(dark, "camera")))


def test_a_masked_vector_leaves_the_plan_finite():
    mine = policy(("joint_state",))
    assert np.isfinite(rows(mine, without(seen(), "joint_state"))).all()
    assert mine.facts.maskable == ("joint_state",)


def test_one_run_of_a_batch_is_masked_and_the_other_is_not():
    mine = policy()
    windows = [seen(), without(seen(), "camera")]
    memories = [mine.initial_memory(0)] * 2
    both = [plan.chunk.actions for plan in mine.plan_batch(windows, memories)]
    for window, batched in zip(windows, both, strict=True):
        np.testing.assert_allclose(batched, rows(mine, window), rtol=0.0, atol=1e-5)


def test_a_stream_that_is_needed_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"\['camera'\] are masked.*only plan without \[\]: set"):
        rows(policy(()), without(seen(), "camera"))
    with pytest.raises(ValueError, match="'joint_state' is not finite"):
        rows(policy(), without(seen(), "joint_state"))


@pytest.mark.parametrize("names", [("lidar",), ("joint_state", "camera")])
def test_unknown_streams_and_all_of_them_are_refused(names):
    with pytest.raises(ValueError, match="must be some of the streams .*, and not all"):
        network(names)


def test_training_leaves_out_the_share_that_was_asked_for_and_learns_from_it():
    drawn = drawn_masks(("camera",), 0.3, 4000, torch.Generator().manual_seed(0))
    assert drawn.shape == (4000, 1)
    assert float(drawn.float().mean()) == pytest.approx(0.3, abs=0.03)

    def loss(share, training):
        mine = network(mask_share=share).train(training)
        torch.manual_seed(1)
        batch = {
            "values": {
                "joint_state": torch.rand(6, 2, 2),
                "camera": torch.randint(0, 255, (6, 2, *STREAMS[1].shape), dtype=torch.uint8),
            },
            "actions": torch.rand(6, 8, 2) * 0.05,
            "mask": torch.ones(6, 8, dtype=torch.bool),
        }
        return float(mine.loss(batch, torch.Generator().manual_seed(2)).detach())

    assert loss(0.9, training=True) != loss(0.0, training=True)
    assert loss(0.9, training=False) == loss(0.0, training=False)


def test_without_maskable_streams_nothing_more_is_drawn_or_told():
    assert network(()).cond_dim == network().cond_dim - 1
