"""Each term of the bound against the integral that defines it, written without its formula."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from ddpm_controller.diffusion.bound import bound_term, gaussian_kl, prior_term, shaped_kl
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.recorded.colouring import Colouring
from ddpm_controller.diffusion.recorded.element_maps import SinhArcsinh
from ddpm_controller.diffusion.recorded.noise_map import NoiseMap
from ddpm_controller.diffusion.schedules import SCHEDULES, cosine_betas
from ddpm_controller.diffusion.shaped import ShapedProcess, falling_strengths
from ddpm_controller.diffusion.variances import step_variance

BETAS = cosine_betas(8)
PROCESS = GaussianProcess(BETAS)
X0, PREDICTED, XT = 0.4, -0.1, 0.9
NOISE_MAP = NoiseMap(
    Colouring(torch.tensor([[0.5, -0.2]], dtype=torch.float64), torch.eye(2, dtype=torch.float64)),
    SinhArcsinh(
        torch.tensor([0.3, -0.2], dtype=torch.float64),
        torch.tensor([0.8, 1.2], dtype=torch.float64),
    ),
)
PLAIN = ShapedProcess(PROCESS, NOISE_MAP, torch.zeros(8, dtype=torch.float64))
SHAPED = ShapedProcess(PROCESS, NOISE_MAP, falling_strengths(8, full_until=2))


def one(value: float) -> torch.Tensor:
    return torch.full((1, 1), value, dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bayes(betas: list[float], t: int, x0: float):
    """Density of q(x_{t-1} | x_t, x_0), straight from the chain's single steps."""
    alpha_bar = np.cumprod(1 - np.array(betas))
    before = norm(alpha_bar[t - 1] ** 0.5 * x0, (1 - alpha_bar[t - 1]) ** 0.5)

    def joint(x: float) -> float:
        return before.pdf(x) * norm.pdf(XT, (1 - betas[t]) ** 0.5 * x, betas[t] ** 0.5)

    total = quad(joint, -12, 12, points=[-1, 0, 1], limit=400, epsabs=1e-13)[0]
    return lambda x: joint(x) / total


@pytest.mark.parametrize("t", [1, 4, 7])
@pytest.mark.parametrize("kind", ["fixed_small", "fixed_large", "learned_range"])
def test_the_kl_of_a_step_is_the_integral_of_its_two_densities(t, kind):
    t_row = torch.tensor([t])
    variance = step_variance(PROCESS, t_row, one(0.0), kind, one(0.3))
    forward = bayes(BETAS.tolist(), t, X0)
    # The mean of the way back is that of the forward posterior with the predicted x_0.
    believed = bayes(BETAS.tolist(), t, PREDICTED)
    mean = quad(lambda x: x * believed(x), -12, 12, points=[-1, 0, 1], limit=400)[0]
    backward = norm(mean, float(variance) ** 0.5)

    def integrand(x: float) -> float:
        density = forward(x)
        return density * (np.log(density) - backward.logpdf(x)) if density > 1e-300 else 0.0

    expected = quad(integrand, -8, 8, points=[-1, 0, 1], limit=400)[0]
    got = gaussian_kl(PROCESS, one(X0 - PREDICTED), t_row, variance)
    assert got.item() == pytest.approx(expected, rel=1e-6)  # of the quadrature


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_l_t_is_the_integral_of_its_two_densities(schedule):
    process = GaussianProcess(SCHEDULES[schedule](20))
    remains = float(process.alpha_bar[-1])
    forward = norm(remains**0.5 * X0, (1 - remains) ** 0.5)
    expected = quad(
        lambda x: forward.pdf(x) * (forward.logpdf(x) - norm.logpdf(x)), -10, 10, epsabs=1e-14
    )[0]
    got = prior_term(process, one(X0), generator())
    assert got.item() == pytest.approx(expected, rel=1e-6, abs=1e-12)  # of the quadrature


def test_l_0_is_a_normalized_density():
    t = torch.tensor([0])
    variance = step_variance(PROCESS, t, one(0.0), "fixed_small")
    mass, first, second = (
        quad(
            lambda x, power=power: (
                x**power * np.exp(-bound_term(PROCESS, one(x), one(PREDICTED), t, variance).item())
            ),
            *(-4, 4),
            points=[PREDICTED],
        )[0]
        for power in (0, 1, 2)
    )
    assert (mass, first) == (pytest.approx(1.0), pytest.approx(PREDICTED))
    assert second - first**2 == pytest.approx(float(PROCESS.posterior_variance[1]))


def test_a_kl_is_never_negative_and_zero_only_for_the_true_posterior():
    t = torch.arange(1, 8)
    exact = step_variance(PROCESS, t, torch.zeros(7, 1).double(), "fixed_small")
    for factor in (0.5, 1.0, 2.0):
        for error in (0.0, 0.2):
            kl = gaussian_kl(PROCESS, torch.full((7, 1), error).double(), t, factor * exact)
            if factor == 1.0 and error == 0.0:
                torch.testing.assert_close(kl, torch.zeros_like(kl), rtol=0, atol=1e-14)
            else:
                assert bool((kl > 1e-4).all())


def test_each_row_of_a_batch_has_the_term_of_its_own_timestep():
    t = torch.tensor([0, 3])
    x0, predicted = torch.full((2, 1), X0).double(), torch.full((2, 1), PREDICTED).double()
    variance = step_variance(PROCESS, t, x0, "fixed_large")
    both = bound_term(PROCESS, x0, predicted, t, variance)
    first = 0.5 * ((X0 - PREDICTED) ** 2 / variance[0] + torch.log(2 * torch.pi * variance[0]))
    torch.testing.assert_close(both[0], first)
    torch.testing.assert_close(
        both[1:], gaussian_kl(PROCESS, (x0 - predicted)[1:], t[1:], variance[1:])
    )
    with pytest.raises(ValueError, match="variational_bound"):
        bound_term(SHAPED, x0, predicted, t, variance)


def draws_of_shaped_kl(process: ShapedProcess, t: int, factor: float, count: int = 20_000):
    """Estimates of one chunk's KL with different noise, and the chunk's x_0 and prediction."""
    x0 = torch.tensor([[0.4, -0.2], [0.1, 0.3], [0.0, 0.5]]).double().expand(count, 3, 2)
    predicted = x0 + torch.tensor([0.05, -0.1]).double()
    steps = torch.full((count,), t)
    variance = factor * step_variance(process, steps, x0, "fixed_small")
    noise = torch.randn(count, 3, 2, generator=generator(1), dtype=torch.float64)
    fresh = torch.randn(count, 3, 2, generator=generator(2), dtype=torch.float64)
    return shaped_kl(process, x0, predicted, noise, fresh, steps, variance), x0 - predicted


@pytest.mark.parametrize("t", [1, 3, 7])
@pytest.mark.parametrize("factor", [1.0, 1.7])
def test_unshaped_noise_gives_the_kl_of_plain_ddpm_by_monte_carlo(t, factor):
    drawn, error = draws_of_shaped_kl(PLAIN, t, factor)
    steps = torch.full((len(drawn),), t)
    variance = factor * step_variance(PROCESS, steps, error, "fixed_small")
    expected = gaussian_kl(PROCESS, error, steps, variance)[0]
    standard_error = drawn.std(0) / len(drawn) ** 0.5
    # Six numbers, four standard errors each.
    assert bool(((drawn.mean(0) - expected).abs() < 4 * standard_error + 1e-12).all())


@pytest.mark.parametrize("t", [1, 3, 6])
def test_shaped_densities_are_normalized(t):
    """E_q[p / q] = 1: the one identity that holds whatever the noise looks like.

    Within the support that 20000 draws reach; a slope forgotten, or taken at the wrong t, breaks
    it by 10 % and more.
    """
    drawn, _ = draws_of_shaped_kl(SHAPED, t, 1.0)
    ratio = torch.exp(-drawn.sum((1, 2)))  # of the whole chunk, since rows are coloured
    standard_error = ratio.std() / len(ratio) ** 0.5
    assert standard_error < 0.02
    assert abs(ratio.mean() - 1) < 4 * standard_error


def test_a_shaped_process_that_ends_in_white_noise_has_the_l_t_of_plain_ddpm():
    x0 = torch.full((40_000, 1, 2), 0.8, dtype=torch.float64)
    drawn = prior_term(
        ShapedProcess(GaussianProcess(BETAS * 0.6), NOISE_MAP, SHAPED.strengths), x0, generator()
    )
    expected = prior_term(GaussianProcess(BETAS * 0.6), x0[:1], generator())[0]
    standard_error = drawn.std(0) / len(drawn) ** 0.5
    assert bool((expected > 10 * standard_error).all())  # or the next line would say nothing
    assert bool(((drawn.mean(0) - expected).abs() < 4 * standard_error).all())


def test_l_t_of_a_chain_that_ends_in_shaped_noise_is_a_divergence():
    """E_q[p / q] = 1 again, where the sampler starts from noise that still has its shape."""
    part = SHAPED.respaced(torch.tensor([0, 2, 5]))
    x0 = torch.full((40_000, 3, 2), 0.3, dtype=torch.float64)
    ratio = torch.exp(-prior_term(part, x0, generator()).sum((1, 2)))
    standard_error = ratio.std() / len(ratio) ** 0.5
    assert standard_error < 0.02
    assert abs(ratio.mean() - 1) < 4 * standard_error
