import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess, gaussian_of
from ddpm_controller.diffusion.noise import standard_normal
from ddpm_controller.diffusion.schedules import cosine_betas, linear_betas

SCHEDULED = pytest.mark.parametrize("betas", [linear_betas(100), cosine_betas(100)])
BY_HAND = GaussianProcess(torch.tensor([0.1, 0.2], dtype=torch.float64))


@SCHEDULED
def test_posterior_is_bayes_rule(betas):
    """Eq. 6-7 equal the product of the two Gaussians they are derived from."""
    process = GaussianProcess(betas)
    for step in (1, 37, 99):
        t = torch.tensor([step])
        x0, xt = torch.tensor([[0.3]]).double(), torch.tensor([[-1.1]]).double()
        alpha, prior = 1 - betas[t], process.alpha_bar[t - 1]
        precision = alpha / betas[t] + 1 / (1 - prior)
        expected = (alpha.sqrt() * xt / betas[t] + prior.sqrt() * x0 / (1 - prior)) / precision
        mean, variance = process.posterior(x0, xt, t)
        torch.testing.assert_close(mean, expected)
        torch.testing.assert_close(variance.squeeze(), 1 / precision.squeeze())


@SCHEDULED
def test_sample_is_the_chain_of_single_steps(betas):
    """Mean and variance of x_t follow x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) noise."""
    process = GaussianProcess(betas)
    x0, one = torch.tensor([[2.0]]).double(), torch.ones(1, 1).double()
    mean, variance = 2.0, 0.0
    for step, beta in enumerate(betas.tolist()):
        mean, variance = (1 - beta) ** 0.5 * mean, (1 - beta) * variance + beta
        t = torch.tensor([step])
        centre = process.sample(x0, t, 0 * one)
        assert centre.item() == pytest.approx(mean, rel=1e-9)
        spread = (process.sample(x0, t, one) - centre).item()
        assert spread == pytest.approx(variance**0.5, rel=1e-9)


def test_two_steps_by_hand():
    """Two betas, 0.1 and 0.2: alpha_bar 0.9, 0.72; worked out on paper."""
    t = torch.tensor([1])
    x0, xt = torch.tensor([[1.0]]).double(), torch.tensor([[-1.0]]).double()
    torch.testing.assert_close(BY_HAND.alpha_bar, torch.tensor([0.9, 0.72]).double())
    assert BY_HAND.sample(x0, t, xt).item() == pytest.approx(0.8485281374 - 0.5291502622)
    mean, variance = BY_HAND.posterior(x0, xt, t)
    assert mean.item() == pytest.approx(0.6776309272 - 0.3194382825)
    assert variance.item() == pytest.approx(0.0714285714)


def test_the_last_step_back_lands_on_x0_without_noise():
    x0, xt = torch.tensor([[0.4, -0.7]]).double(), torch.tensor([[5.0, 5.0]]).double()
    mean, variance = BY_HAND.posterior(x0, xt, torch.tensor([0]))
    torch.testing.assert_close(mean, x0, rtol=0, atol=1e-15)
    assert variance.item() == 0.0


@SCHEDULED
def test_coefficients_are_combined_in_float64(betas):
    """Combined in float32 they would be wrong by 1e-5 at t = 1; rounding alone is 1e-7."""
    process = GaussianProcess(betas)
    x0, xt = torch.full((1, 1), 0.9), torch.full((1, 1), 0.91)
    for step in (0, 1, 2, 50):
        t = torch.tensor([step])
        exact, _ = process.posterior(x0.double(), xt.double(), t)
        single, _ = process.posterior(x0, xt, t)
        assert single.dtype == torch.float32
        assert single.item() == pytest.approx(exact.item(), rel=3e-7)


def test_each_row_has_its_own_timestep():
    x0 = torch.ones(2, 3, 4).double()
    xt = BY_HAND.sample(x0, torch.tensor([0, 1]), torch.zeros_like(x0))
    assert xt[0, 0, 0].item() == pytest.approx(0.9**0.5)
    assert xt[1, 2, 3].item() == pytest.approx(0.72**0.5)


@SCHEDULED
def test_a_respaced_process_has_the_same_marginals(betas):
    process = GaussianProcess(betas)
    kept = torch.tensor([0, 13, 50, 90])
    torch.testing.assert_close(process.respaced(kept).alpha_bar, process.alpha_bar[kept])


def test_the_prior_is_standard_normal():
    draws = BY_HAND.prior((20_000, 2), torch.Generator().manual_seed(0))
    # Standard errors are 1 / sqrt(40000) = 0.005 and 0.0035: four of each.
    assert draws.mean().item() == pytest.approx(0.0, abs=0.02)
    assert draws.std().item() == pytest.approx(1.0, abs=0.015)


@SCHEDULED
def test_noise_and_x0_follow_from_each_other_at_every_timestep(betas):
    process = GaussianProcess(betas)
    generator = torch.Generator().manual_seed(3)
    t = torch.arange(100)
    x0, noise = torch.randn(2, 100, 3, generator=generator, dtype=torch.float64)
    xt = process.sample(x0, t, noise)
    torch.testing.assert_close(process.noise_from(xt, x0, t), noise)
    # At t = 99 alpha_bar is 2e-7: an error of 1e-16 in x_t is 1e-12 in x_0.
    torch.testing.assert_close(process.x0_from(xt, noise, t), x0, rtol=0, atol=1e-9)


@SCHEDULED
def test_a_step_through_the_noise_is_the_posterior(betas):
    """x_{t-1} of the same x_0 and sqrt(1 - renewal) of the noise; the rest is drawn anew."""
    process = GaussianProcess(betas)
    x0, xt = torch.tensor([[0.3]]).double(), torch.tensor([[-1.1]]).double()
    for step in (1, 37, 99):
        t = torch.tensor([step])
        renewed = process.renewal(t, x0)
        kept = (1 - renewed).sqrt() * process.noise_from(xt, x0, t)
        mean, variance = process.posterior(x0, xt, t)
        torch.testing.assert_close(process.sample(x0, t - 1, kept), mean)
        spread = process.scales(t - 1, x0)[1]
        torch.testing.assert_close(renewed * spread**2, variance)
    assert process.renewal(torch.tensor([0]), x0).item() == pytest.approx(1.0, rel=1e-12)


def test_the_renewal_by_hand():
    assert BY_HAND.renewal(torch.tensor([1]), torch.zeros(1)).item() == pytest.approx(0.2 / 0.28)
    assert BY_HAND.posterior_variance.tolist() == pytest.approx([0.0, 0.0714285714])


def test_a_process_of_shares_of_signal_has_them():
    alpha_bar = torch.tensor([0.9, 0.72]).double()
    process = GaussianProcess.from_alpha_bar(alpha_bar)
    torch.testing.assert_close(process.betas, BY_HAND.betas)
    with pytest.raises(ValueError, match=r"got 1 others such as \[-0\.1"):
        GaussianProcess.from_alpha_bar(torch.tensor([0.8, 0.9]).double())


def test_every_element_may_have_its_own_schedule():
    """(T, B, ...), and (T, 1, ...) for all rows alike: each element as with its schedule alone."""
    alone = [linear_betas(30), cosine_betas(30)]
    shared = torch.stack(alone, dim=1)[:, None]  # (T, 1, 2)
    t, generator = torch.tensor([0, 7, 29]), torch.Generator().manual_seed(1)
    x0, xt, noise = torch.randn(3, 3, 2, generator=generator, dtype=torch.float64)

    def everything(betas):
        process = GaussianProcess(betas)
        mean, variance = process.posterior(x0, xt, t)
        return (
            process.sample(x0, t, noise),
            process.noise_from(xt, x0, t),
            mean,
            variance.expand(3, 2),
            process.renewal(t, x0).expand(3, 2),
            process.respaced(torch.tensor([0, 7, 29])).sample(x0, torch.arange(3), noise),
        )

    together = everything(shared)
    for own in (shared.expand(30, 3, 2), shared):
        for value, expected in zip(everything(own), together, strict=True):
            torch.testing.assert_close(value, expected)
    for column, betas in enumerate(alone):
        for value, expected in zip(together, everything(betas), strict=True):
            torch.testing.assert_close(value[:, column], expected[:, column])


def test_the_rows_of_a_schedule_per_row_are_not_mixed_up():
    betas = torch.tensor([[0.1, 0.3], [0.2, 0.4]]).double()  # (T, B)
    one = torch.ones(2, dtype=torch.float64)
    found = GaussianProcess(betas).sample(one, torch.tensor([1, 0]), 0 * one)
    assert found.tolist() == pytest.approx([0.72**0.5, 0.7**0.5])


def test_a_shaped_process_names_the_gaussian_one_it_is_built_on():
    class Shaped:
        base = BY_HAND

    assert gaussian_of(BY_HAND) is BY_HAND
    assert gaussian_of(Shaped()) is BY_HAND
    with pytest.raises(ValueError, match="str is not Gaussian and has no Gaussian base"):
        gaussian_of("x")


def test_one_generator_per_row_makes_rows_independent_of_each_other():
    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    both = standard_normal((2, 3, 4), generators(5, 6))
    assert torch.equal(both[1:], standard_normal((1, 3, 4), generators(6)))
    assert not torch.equal(both[0], both[1])
    with pytest.raises(ValueError, match="1 generators for 2 rows"):
        standard_normal((2, 3), generators(5))
    with pytest.raises(ValueError, match="3 generators for 2 rows"):
        standard_normal((2, 3), generators(5, 6, 7))


@pytest.mark.parametrize(
    "betas",
    [
        torch.tensor([0.1]),
        torch.tensor(0.1).double(),
        torch.tensor([[0.1], [1.5]]).double(),
        torch.tensor([0.1, 1.0]).double(),
        torch.tensor([0.0, 0.1]).double(),
        torch.tensor([float("nan")]).double(),
        torch.zeros(0).double(),
    ],
)
def test_betas_that_break_a_rule_are_refused(betas):
    with pytest.raises(ValueError, match="betas must"):
        GaussianProcess(betas)
