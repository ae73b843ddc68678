import math

import pytest
import torch

from ddpm_controller.diffusion.schedules import SCHEDULES, cosine_betas, linear_betas


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
