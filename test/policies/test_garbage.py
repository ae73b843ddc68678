"""Plans leave nothing behind that only the garbage collector would find.

A denoiser that referred to itself kept the network of every checkpoint in memory long after it
had been swapped for another.
"""

import gc
import weakref

import pytest
import small_diff_control
from small_policy import ACTION_SPEC, network

from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policy import PlanSettings


def diffusion(prefix_rows=0, **overrides):
    return DiffusionPolicy(
        network(prefix_rows=prefix_rows), ACTION_SPEC, PlanSettings(overrides=overrides)
    )


MADE = {
    "ddpm": lambda: diffusion(sampler="ddpm"),
    "ddim": diffusion,
    "dpm_solver_pp_2m": lambda: diffusion(sampler="dpm_solver_pp_2m"),
    "consistency": lambda: diffusion(sampler="consistency", spacing="signal"),
    "warm_replace": lambda: diffusion(seam="warm_replace"),
    "prefix": lambda: diffusion(seam="prefix", prefix_rows=4),
    "rtc_exact": lambda: diffusion(seam="rtc_exact"),
    "controlnet": small_diff_control.policy,
    "chunk_prior": lambda: small_diff_control.policy("chunk_prior"),
    "belief": lambda: small_diff_control.policy("belief"),
}


@pytest.fixture(scope="module", autouse=True)
def nothing_else_is_looked_at():
    """What the tests before have left alive takes half a second at every collection."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("kind", MADE)
def test_nothing_refers_to_itself_when_plans_are_gone(kind):
    mine = MADE[kind]()
    memory = mine.initial_memory(0)
    for number in range(2):  # what is made once, by torch too, is not meant
        gc.collect()
        gc.disable()
        try:
            window = small_diff_control.window(stamp_s=5.0 + number, steps=mine.facts.n_obs_steps)
            memory = mine.plan(window, memory).memory
            found = gc.collect()
        finally:
            gc.enable()
    assert found == 0


@pytest.mark.parametrize("kind", MADE)
def test_a_policy_that_was_swapped_for_another_is_gone_at_once(kind):
    mine = MADE[kind]()
    gone = weakref.ref(mine)
    gc.disable()
    try:
        del mine
        assert gone() is None
    finally:
        gc.enable()
