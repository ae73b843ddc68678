import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from ddpm_controller.diffusion.bound import gaussian_decoder, gaussian_decoder_of, tick_decoder


def one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def test_the_gaussian_decoder_is_a_normalized_density():
    def density(x: float) -> float:
        return math.exp(-gaussian_decoder(one(x), one(0.3), one(0.04)).item())

    assert quad(density, -2, 3, points=[0.3])[0] == pytest.approx(1.0)
    assert density(0.5) == pytest.approx(norm.pdf(0.5, 0.3, 0.2))


def test_a_narrow_density_is_a_negative_number_of_nats():
    assert gaussian_decoder(one(0.0), one(0.0), one(1e-6)).item() == pytest.approx(
        0.5 * math.log(2 * math.pi * 1e-6)
    )


def test_a_decoder_with_its_own_variance_ignores_the_given_one():
    decode = gaussian_decoder_of(one(0.09))
    got = decode(one(0.5), one(0.2), one(123.0))
    torch.testing.assert_close(got, gaussian_decoder(one(0.5), one(0.2), one(0.09)))


@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_all_ticks_together_have_probability_one(offset):
    tick = 0.1
    counts = tick * torch.arange(-60, 61, dtype=torch.float64) + offset * tick
    nats = tick_decoder(tick)(counts, torch.full_like(counts, 0.03), one(0.04))
    assert float(torch.exp(-nats).sum()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("x0", [-0.4, 0.0, 0.03, 0.2])
def test_a_tick_has_the_mass_of_its_bin(x0):
    decode = tick_decoder(0.1)
    mass = quad(lambda x: norm.pdf(x, 0.03, 0.2), x0 - 0.05, x0 + 0.05)[0]
    assert decode(one(x0), one(0.03), one(0.04)).item() == pytest.approx(-math.log(mass))


def test_a_tick_far_from_the_mean_costs_finite_nats_on_both_sides():
    """100 standard deviations away the probability itself is 0 in any floating point."""
    decode = tick_decoder(0.01)
    right, left = (decode(one(x0), one(0.0), one(1e-4)) for x0 in (1.0, -1.0))
    # The mass sits at the near edge: (100 - 0.5)^2 / 2 nats, and log 250 from the tail's width.
    assert right.item() == pytest.approx(
        99.5**2 / 2 + math.log(99.5 * math.sqrt(2 * math.pi)), rel=1e-6
    )
    assert left.item() == right.item()


def test_a_tick_far_wider_than_the_noise_costs_nothing():
    assert tick_decoder(1.0)(one(0.1), one(0.0), one(1e-4)).item() == pytest.approx(0.0, abs=1e-12)


def test_a_narrow_tick_costs_its_density_also_in_single_precision():
    x0, mean, variance = one(0.5).float(), one(0.2).float(), one(0.04).float()
    nats = tick_decoder(1e-5)(x0, mean, variance)
    assert nats.dtype == torch.float32
    expected = gaussian_decoder(x0, mean, variance) - math.log(1e-5)
    torch.testing.assert_close(nats, expected, rtol=1e-5, atol=0)


def test_every_joint_has_its_own_tick():
    x0 = torch.zeros(2, 3, 2, dtype=torch.float64)
    nats = tick_decoder(torch.tensor([0.1, 0.2]))(x0, x0, one(0.04))
    torch.testing.assert_close(nats[..., 0], tick_decoder(0.1)(x0, x0, one(0.04))[..., 0])
    assert bool((nats[..., 1] < nats[..., 0]).all())


def test_the_tick_decoder_has_a_slope():
    mean = one(0.3).requires_grad_()
    tick_decoder(0.01)(one(0.0), mean, one(0.04)).sum().backward()
    assert mean.grad is not None
    assert mean.grad.item() == pytest.approx(0.3 / 0.04, rel=1e-3)  # that of the density


def test_widths_that_are_not_above_zero_are_refused():
    with pytest.raises(ValueError, match="tick must be above 0, got 0.0"):
        tick_decoder(0.0)
    with pytest.raises(ValueError, match="variance must be above 0"):
        gaussian_decoder_of(one(0.0))
