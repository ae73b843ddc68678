import math

import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.schedules import SCHEDULES, cosine_betas, linear_betas
from ddpm_controller.diffusion.variances import step_variance

BY_HAND = GaussianProcess(torch.tensor([0.1, 0.2, 0.5], dtype=torch.float64))
# alpha_bar .9, .72, .36: beta~_1 = .2 * .1 / .28, beta~_2 = .5 * .28 / .64.
SMALL = [0.0714285714, 0.0714285714, 0.21875]
LARGE = [0.0714285714, 0.2, 0.5]
ALL_T = torch.arange(3)
LIKE = torch.zeros(3, 2, 4).double()


def test_fixed_variances_by_hand():
    small = step_variance(BY_HAND, ALL_T, LIKE, "fixed_small")
    large = step_variance(BY_HAND, ALL_T, LIKE, "fixed_large")
    assert small.flatten().tolist() == pytest.approx(SMALL)
    assert large.flatten().tolist() == pytest.approx(LARGE)
    assert torch.broadcast_shapes(small.shape, LIKE.shape) == LIKE.shape
    assert torch.broadcast_shapes(large.shape, LIKE.shape) == LIKE.shape


def test_the_learned_range_is_linear_in_the_logarithm_up_to_beta():
    """Nichol & Dhariwal 2021, Eq. 15; at t = 0 the upper end is beta_0."""
    for fraction in (0.0, 0.25, 1.0):
        value = step_variance(
            BY_HAND, ALL_T, LIKE, "learned_range", torch.full_like(LIKE, fraction)
        )
        expected = [
            math.exp(fraction * math.log(beta) + (1 - fraction) * math.log(small))
            for beta, small in zip([0.1, 0.2, 0.5], SMALL, strict=True)
        ]
        assert value.shape == LIKE.shape
        assert value[:, 1, 3].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
@pytest.mark.parametrize("num_timesteps", [1, 2, 100])
def test_no_variance_is_zero_and_small_is_not_above_large(schedule, num_timesteps):
    process = GaussianProcess(SCHEDULES[schedule](num_timesteps))
    t = torch.arange(num_timesteps)
    like = torch.zeros(num_timesteps, 1)
    small = step_variance(process, t, like, "fixed_small")
    large = step_variance(process, t, like, "fixed_large")
    assert small.dtype == torch.float32
    assert (small > 0).all()
    assert (large >= small).all()


def test_of_a_single_step_all_variances_are_beta():
    process = GaussianProcess(torch.tensor([0.3]).double())
    t, like = torch.tensor([0]), torch.zeros(1, 2).double()
    for kind in ("fixed_small", "fixed_large", "learned_range"):
        value = step_variance(process, t, like, kind, torch.full_like(like, 0.7))
        assert value.flatten().tolist() == pytest.approx([0.3] * value.numel())


def test_every_element_has_the_variance_of_its_own_schedule():
    alone = [linear_betas(20), cosine_betas(20)]
    process = GaussianProcess(torch.stack(alone, dim=1)[:, None])  # (T, 1, 2)
    t, like = torch.tensor([0, 7, 19]), torch.zeros(3, 2).double()
    for kind in ("fixed_small", "fixed_large", "learned_range"):
        both = step_variance(process, t, like, kind, torch.full_like(like, 0.3))
        for column, betas in enumerate(alone):
            one = step_variance(GaussianProcess(betas), t, like, kind, torch.full_like(like, 0.3))
            torch.testing.assert_close(both[:, column], one.expand(3, 2)[:, column])


def test_a_process_built_on_a_gaussian_one_has_its_variances():
    class Shaped:
        base = BY_HAND

    value = step_variance(Shaped(), ALL_T, LIKE, "fixed_large")
    assert value.flatten().tolist() == pytest.approx(LARGE)
    with pytest.raises(ValueError, match="int is not Gaussian and has no Gaussian base"):
        step_variance(3, ALL_T, LIKE, "fixed_large")


def test_bad_variances_are_refused():
    with pytest.raises(ValueError, match="variance 'learned' is unknown: use one of"):
        step_variance(BY_HAND, ALL_T, LIKE, "learned")
    with pytest.raises(ValueError, match=r"needs a fraction of \(3, 2, 4\), got None"):
        step_variance(BY_HAND, ALL_T, LIKE, "learned_range")
    with pytest.raises(ValueError, match=r"needs a fraction of \(3, 2, 4\), got \(3, 1, 4\)"):
        step_variance(BY_HAND, ALL_T, LIKE, "learned_range", LIKE[:, :1])
