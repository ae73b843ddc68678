import math

import pytest
import torch
from small_noise import CORRELATION, ELEMENTS, REFLECTION, small_map

from ddpm_controller.diffusion.recorded.colouring import Colouring, whitening
from ddpm_controller.diffusion.recorded.element_maps import ScaleMixture, SinhArcsinh

STRENGTHS = (0.0, 0.01, 0.3, 0.7, 1.0)
EVERY_MAP = pytest.mark.parametrize(
    ("elements", "innovations"), [(e, i) for e in ELEMENTS for i in (True, False)]
)


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def noise(num_chunks=64, num_rows=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_chunks, num_rows, 2, generator=generator).double()


@EVERY_MAP
@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_inverse_gives_the_noise_back_at_every_strength(elements, innovations, strength):
    at = small_map(elements, innovations).at(strength)
    eps = noise() * 2  # far into the tails: up to eight deviations
    assert eps.abs().max() > 7
    # Rounding of doubles through sinh and a triangular solve; a wrong branch is off by 1e-2.
    torch.testing.assert_close(at.inverse(at.forward(eps)), eps, rtol=0, atol=1e-9)


@EVERY_MAP
def test_strength_zero_is_the_identity(elements, innovations):
    eps = noise()
    plain = small_map(elements, innovations).at(0.0)
    torch.testing.assert_close(plain.forward(eps), eps, rtol=0, atol=1e-12)
    torch.testing.assert_close(plain.log_slope(eps), 0 * eps, rtol=0, atol=1e-12)


@EVERY_MAP
def test_strength_one_is_the_map_and_a_batch_has_one_strength_per_row(elements, innovations):
    whole, eps = small_map(elements, innovations), noise(3)
    torch.testing.assert_close(whole.at(1.0).forward(eps), whole.forward(eps))
    mixed = whole.at(torch.tensor([0.2, 1.0, 0.7])).forward(eps)
    for row, strength in enumerate((0.2, 1.0, 0.7)):
        alone = whole.at(strength).forward(eps[row : row + 1])
        torch.testing.assert_close(mixed[row : row + 1], alone)


@EVERY_MAP
@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_slope_and_volume_are_those_of_the_jacobian(elements, innovations, strength):
    at = small_map(elements, innovations).at(strength)
    eps = noise(1, 3, seed=4)
    jacobian = torch.autograd.functional.jacobian(lambda x: at.forward(x[None])[0], eps[0])
    volume = at.log_slope(eps).sum() + at.colouring.log_determinant(3).squeeze()
    expected = jacobian.reshape(6, 6).logdet()
    torch.testing.assert_close(volume, expected, rtol=1e-9, atol=1e-9)
    density = torch.distributions.Normal(0.0, 1.0).log_prob(eps).sum() - expected
    found = at.log_density(at.forward(eps)).squeeze()
    torch.testing.assert_close(found, density, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("elements", sorted(ELEMENTS))
def test_log_slope_is_the_derivative_of_each_number(elements):
    at = ELEMENTS[elements].at(torch.tensor([[[0.6]]]).double())
    eps = noise(2, 5).requires_grad_()
    (slope,) = torch.autograd.grad(at.forward(eps).sum(), eps)
    torch.testing.assert_close(at.log_slope(eps).exp(), slope, rtol=1e-9, atol=0)
    assert (slope > 0).all()


@EVERY_MAP
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_every_strength_has_mean_zero_and_variance_one(elements, innovations, strength):
    shaped = small_map(elements, innovations).at(strength).forward(noise(10_000, 4))
    # 40000 numbers with some memory and a kurtosis of up to 30: standard errors under 0.02.
    assert shaped.mean((0, 1)).abs().max() < 0.06
    torch.testing.assert_close(shaped.std((0, 1)), torch.ones(2).double(), rtol=0.08, atol=0)


@pytest.mark.parametrize("elements", sorted(ELEMENTS))
def test_densities_integrate_to_one_with_variance_one(elements):
    """By quadrature, also with the skew; a wrong normalization shows at once."""
    grid = torch.linspace(-60, 60, 240_001).double()
    density = ELEMENTS[elements].log_density(grid[None, :, None]).exp()[0]  # (N, 2)
    for power, expected in ((0, 1.0), (1, 0.0), (2, 1.0)):
        moment = torch.trapezoid(density * grid[:, None] ** power, grid, dim=0)
        # The heaviest tail leaves 1e-4 of its variance outside of 60 deviations.
        torch.testing.assert_close(moment, torch.full((2,), expected).double(), rtol=0, atol=1e-3)


def test_autoregression_by_hand():
    """One reflection coefficient is AR(1): the errors of 1, 0.9 ** 2 less, and so on."""
    rows = whitening(torch.tensor([[0.9]]).double(), 3)[0]
    error = math.sqrt(1 - 0.81)
    by_hand = [[1, 0, 0], [-0.9 / error, 1 / error, 0], [0, -0.9 / error, 1 / error]]
    torch.testing.assert_close(rows, torch.tensor(by_hand).double())


def test_two_reflection_coefficients_are_the_known_second_order_process():
    """k1 0.5, k2 -0.3: phi1 = 0.5 (1 + 0.3) = 0.65, phi2 = -0.3; Yule-Walker gives the rest."""
    matrix = torch.linalg.inv(whitening(f64([[0.5], [-0.3]]), 5)[0])
    covariance = matrix @ matrix.mT
    memory = [1.0, 0.5]
    for _ in range(3):
        memory.append(0.65 * memory[-1] - 0.3 * memory[-2])
    expected = f64([[memory[abs(i - j)] for i in range(5)] for j in range(5)])
    torch.testing.assert_close(covariance, expected, rtol=1e-12, atol=1e-12)


def test_joints_are_correlated_as_given():
    colouring = Colouring(torch.zeros(1, 2).double(), CORRELATION)
    rows = colouring.forward(noise(50_000, 1))[:, 0]
    # Standard error of a correlation of 50000 pairs is 0.004.
    assert torch.corrcoef(rows.mT)[0, 1].item() == pytest.approx(0.4, abs=0.016)


def test_a_scale_mixture_by_hand():
    """One scale is the identity; two give the mixture's distribution at any value."""
    one = ScaleMixture(torch.ones(1, 1).double(), torch.full((1, 1), 7.0).double())
    x = torch.tensor([[[-3.0], [0.1], [6.0]]]).double()
    torch.testing.assert_close(one.forward(x), x, rtol=1e-12, atol=1e-12)
    weights, scales = f64([[0.75], [0.25]]), f64([[1.0], [3.0]])
    unit = math.sqrt(0.75 * 1 + 0.25 * 9)

    def cdf(v):
        return 0.5 * (1 + math.erf(v / math.sqrt(2)))

    share = 0.75 * cdf(1.2 * unit) + 0.25 * cdf(1.2 * unit / 3)
    below = cdf(ScaleMixture(weights, scales).inverse(f64([[[1.2]]])).item())
    assert below == pytest.approx(share, rel=1e-12)


def test_sinh_arcsinh_by_hand():
    """Skew 0.5, tail 0.8 at 0.7, before mean and deviation are taken out, which drop out here."""
    element = SinhArcsinh(f64([0.5]), f64([0.8]))

    def raw(z):
        return math.sinh((math.asinh(z) + 0.5) / 0.8)

    low, middle, high = element.forward(f64([[[-1.0], [0.7], [2.0]]])).flatten()
    ratio = ((middle - low) / (high - low)).item()
    assert ratio == pytest.approx((raw(0.7) - raw(-1)) / (raw(2) - raw(-1)), rel=1e-12)


def test_float32_noise_stays_float32_and_loses_only_rounding():
    whole, eps = small_map(), noise(4)
    single = whole.forward(eps.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(
        single.double(), whole.forward(eps.float().double()), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_outside_zero_to_one_is_refused(strength):
    with pytest.raises(ValueError, match="strength must lie between 0 and 1"):
        small_map().at(strength)


def test_maps_that_break_a_rule_are_refused():
    with pytest.raises(ValueError, match="between -1 and 1"):
        Colouring(torch.ones(1, 2).double(), CORRELATION)
    with pytest.raises(ValueError, match="between -1 and 1"):
        Colouring(torch.full((1, 2), float("nan")).double(), CORRELATION)
    with pytest.raises(ValueError, match="do not fit"):
        Colouring(REFLECTION[:, :1], CORRELATION)
    with pytest.raises(ValueError, match="tail must be above 0"):
        SinhArcsinh(torch.zeros(1), torch.zeros(1))
    with pytest.raises(ValueError, match="weights and scales must be above 0"):
        ScaleMixture(torch.ones(2, 1), torch.tensor([[1.0], [0.0]]))
    with pytest.raises(ValueError, match=r"noise must be \(B, Tp, 2\)"):
        small_map().forward(torch.zeros(3, 4, 5))


@pytest.mark.parametrize("kind", ELEMENTS)
def test_the_noise_of_a_number_far_out_is_finite_and_comes_back(kind):
    shaped = torch.tensor([1.0, 20.0, 90.0, 1e3, 1e6]).double().reshape(1, -1, 1).expand(1, -1, 2)
    shaped = torch.cat([shaped, -shaped]).requires_grad_()
    noise = ELEMENTS[kind].inverse(shaped)
    (slope,) = torch.autograd.grad(noise.sum(), shaped)
    assert torch.isfinite(noise).all()
    assert torch.isfinite(slope).all()
    assert (slope > 0).all()
    torch.testing.assert_close(ELEMENTS[kind].forward(noise), shaped, rtol=1e-7, atol=0)
