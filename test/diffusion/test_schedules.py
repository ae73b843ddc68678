import math

import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.schedules import (
    SCHEDULES,
    SIGNAL_WARNING,
    cosine_betas,
    linear_betas,
    linear_unscaled_betas,
    scaled_linear_betas,
    sigmoid_betas,
    signal_left,
    zero_terminal_snr,
)


def test_linear_schedule_is_the_papers_at_a_thousand_steps():
    betas = linear_betas(1000)
    assert betas.dtype == torch.float64
    assert betas[0].item() == pytest.approx(1e-4, rel=1e-12)
    assert betas[-1].item() == pytest.approx(0.02, rel=1e-12)
    assert betas[1].item() - betas[0].item() == pytest.approx((0.02 - 1e-4) / 999, rel=1e-9)


def test_linear_schedule_destroys_the_signal_as_well_in_fewer_steps():
    """The scaling by 1000 / T keeps the sum of the betas: 1 - alpha_bar is that of T = 1000."""
    long, short = linear_betas(1000), linear_betas(100)
    assert short.sum().item() == pytest.approx(long.sum().item(), rel=1e-9)
    assert torch.prod(1 - short).item() < 1e-4


def test_cosine_schedule_is_equation_17():
    """alpha_bar at the middle of T = 4 by hand: cos^2(0.791629) / cos^2(0.012467)."""

    def f(fraction: float) -> float:
        return math.cos((fraction + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = cosine_betas(4)
    assert betas.dtype == torch.float64
    assert torch.prod(1 - betas[:2]).item() == pytest.approx(f(0.5) / f(0.0), rel=1e-12)
    assert torch.prod(1 - betas[:2]).item() == pytest.approx(0.4938436, abs=1e-7)
    assert betas[-1].item() == 0.999


@pytest.mark.parametrize(
    ("betas_of", "first", "middle", "last"),
    [
        # The middle of 1e-4 and 0.02, its half-way root, and where a sigmoid is 1 / 2.
        (linear_unscaled_betas, 1e-4, 0.01005, 0.02),
        (scaled_linear_betas, 0.00085, ((0.00085**0.5 + 0.012**0.5) / 2) ** 2, 0.012),
        (sigmoid_betas, 1e-4 + 0.0199 / (1 + math.exp(6)), 0.01005, 0.02 - 0.0199 / 404.4288),
    ],
)
def test_ends_and_middle_of_the_other_schedules_by_hand(betas_of, first, middle, last):
    betas = betas_of(1001)
    scale = 1 if betas_of is linear_unscaled_betas else 1000 / 1001
    assert betas.dtype == torch.float64
    found = (betas[[0, 500, 1000]] / scale).tolist()
    assert found == pytest.approx([first, middle, last], rel=1e-6)


def test_only_the_schedule_that_says_so_is_the_same_for_every_number_of_timesteps():
    for name, betas_of in SCHEDULES.items():
        ends = [betas_of(num_timesteps)[-1].item() for num_timesteps in (200, 1000)]
        assert (ends[0] == ends[1]) == (name == "linear_unscaled" or ends[0] == 0.999)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_only_the_unscaled_schedule_leaves_signal_in_a_short_chain(name):
    for num_timesteps in (2, 3, 5, 10, 50, 100, 1000):
        left = signal_left(GaussianProcess(SCHEDULES[name](num_timesteps)))
        leaves_too_much = name == "linear_unscaled" and num_timesteps < 500
        assert (left > SIGNAL_WARNING) == leaves_too_much, (num_timesteps, left)


def test_the_signal_that_is_left_by_hand():
    """alpha_bar .9 * .8; of a schedule per element the element with the most."""
    one = GaussianProcess(torch.tensor([0.1, 0.2]).double())
    assert signal_left(one) == pytest.approx(0.72)
    several = GaussianProcess(torch.tensor([[[0.1, 0.3]], [[0.2, 0.9]]]).double())
    assert signal_left(several) == pytest.approx(0.72)
    # Computed once more by another way: the sum of logarithms of 1 - beta.
    steps = torch.linspace(1e-4, 0.02, 100, dtype=torch.float64)
    left = signal_left(GaussianProcess(linear_unscaled_betas(100)))
    assert left == pytest.approx(math.exp(torch.log1p(-steps).sum().item()))
    assert left == pytest.approx(0.3636, abs=2e-4)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("num_timesteps", [2, 10, 100, 1000])
def test_zero_terminal_snr_keeps_the_beginning_and_leaves_nothing(name, num_timesteps):
    before = SCHEDULES[name](num_timesteps)
    after = zero_terminal_snr(before)
    process = GaussianProcess(after)  # which refuses a beta of 1
    assert after[0].item() == pytest.approx(before[0].item(), rel=1e-9)
    assert signal_left(process) <= 1.0001e-10
    assert (process.alpha_bar.diff() < 0).all()


def test_zero_terminal_snr_by_hand():
    """Roots of alpha_bar .9, .5, .3 become .9, .3, 0."""
    roots = torch.tensor([0.9, 0.5, 0.3]).double()
    betas = GaussianProcess.from_alpha_bar(roots**2).betas
    given = betas.clone()
    found = GaussianProcess(zero_terminal_snr(betas)).alpha_bar.sqrt()
    assert found.tolist() == pytest.approx([0.9, 0.3, 1e-5], rel=1e-6)
    assert torch.equal(betas, given)
    for wrong in (betas[:1], betas[:, None]):
        with pytest.raises(ValueError, match="T at least 2"):
            zero_terminal_snr(wrong)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("num_timesteps", [1, 2, 10, 100, 1000])
def test_every_schedule_adds_noise_at_every_step_and_never_all(name, num_timesteps):
    betas = SCHEDULES[name](num_timesteps)
    assert betas.shape == (num_timesteps,)
    assert ((betas > 0) & (betas < 1)).all()
    assert (betas.diff() >= 0).all()


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_schedule_without_steps_is_refused(name):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SCHEDULES[name](0)
