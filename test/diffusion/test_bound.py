import math

import pytest
import torch
from mixtures import Mixture, one_dimensional
from torch import nn

from ddpm_controller.diffusion.bound import (
    Bound,
    gaussian_decoder,
    gaussian_decoder_of,
    gaussian_kl,
    prior_term,
    tick_decoder,
    variational_bound,
)
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.learned import ElementSchedule
from ddpm_controller.diffusion.schedules import cosine_betas
from ddpm_controller.diffusion.variances import step_variance

PROCESS = GaussianProcess(cosine_betas(6))
MIXTURE = one_dimensional([-0.5, 0.6], [0.1, 0.3], [0.4, 0.6])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chunks(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 4, 2, generator=generator(9), dtype=torch.float64) - 0.5


def nothing_known(xt: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(xt)


def test_every_term_is_in_the_sum_once():
    """With a denoiser that knows nothing no term depends on the noise: all are known exactly."""
    x0 = chunks()
    bound = variational_bound(PROCESS, nothing_known, x0, generator())
    torch.testing.assert_close(bound.prior, prior_term(PROCESS, x0, generator()))
    for index in range(6):
        t = torch.full((3,), index)
        sigma = step_variance(PROCESS, t, x0, "fixed_small")
        expected = gaussian_decoder(x0, 0 * x0, sigma) if index == 0 else None
        if expected is None:
            expected = gaussian_kl(PROCESS, x0, t, sigma)
        torch.testing.assert_close(bound.steps[index], expected)
    torch.testing.assert_close(bound.total, bound.prior + bound.steps.sum(0))


def test_a_shorter_chain_has_the_bound_of_the_respaced_process():
    x0, kept = chunks(), torch.tensor([0, 2, 5])
    asked = []

    def predict(xt, t):
        asked.append(t.tolist())
        return 0.5 * xt

    def fraction(xt, t):
        asked.append(t.tolist())
        return torch.full_like(xt, 0.5)

    learned = {"variance": "learned_range", "predict_fraction": fraction}
    short = variational_bound(PROCESS, predict, x0, generator(), timesteps=kept, **learned)
    # The networks are asked where they were trained, each about the mean and the variance.
    assert asked == [[0] * 3] * 2 + [[2] * 3] * 2 + [[5] * 3] * 2
    own = variational_bound(PROCESS.respaced(kept), predict, x0, generator(), **learned)
    torch.testing.assert_close(short.total, own.total)


@pytest.mark.parametrize("kind", ["fixed_small", "fixed_large", "learned_range"])
def test_the_estimate_is_the_mean_over_the_noise_of_each_timestep(kind):
    """Against the exact denoiser's error, whose mean over x_t is known by other means."""
    count = 20_000
    x0 = MIXTURE.sample(count, generator(1))

    def fraction(xt, t):
        return torch.full_like(xt, 0.6)

    bound = variational_bound(
        PROCESS,
        MIXTURE.predict_x0(PROCESS),
        x0,
        generator(2),
        variance=kind,
        predict_fraction=fraction if kind == "learned_range" else None,
    )
    for index in (0, 1, 3, 5):
        t = torch.full((count,), index)
        noise = torch.randn(count, 1, generator=generator(3), dtype=torch.float64)
        error = MIXTURE.posterior(PROCESS, PROCESS.sample(x0, t, noise), t)[1].mean().sqrt()
        sigma = step_variance(PROCESS, t, x0, kind, fraction(x0, t))[:1]
        if index == 0:
            expected = gaussian_decoder(error, torch.zeros(1).double(), sigma)
        else:
            expected = gaussian_kl(PROCESS, error.reshape(1, 1), t[:1], sigma)
        standard_error = float(bound.steps[index].std()) / count**0.5
        # Both sides are estimated: five standard errors of one of them.
        assert abs(float(bound.steps[index].mean() - expected)) < 5 * standard_error


def test_more_draws_have_the_same_mean_and_less_spread():
    x0 = MIXTURE.sample(1, generator(1)).expand(2000, 1)
    one, nine = (
        variational_bound(PROCESS, MIXTURE.predict_x0(PROCESS), x0, generator(4), draws=draws)
        for draws in (1, 9)
    )
    spread = one.total.std()
    # The standard deviation of 2000 heavy-tailed draws is known to about 10 %.
    assert float(nine.total.std() / spread) == pytest.approx(1 / 3, rel=0.25)
    assert abs(float(nine.total.mean() - one.total.mean())) < 4 * float(spread) / 2000**0.5


class SmallDenoiser(nn.Module):
    """x_0 of x_t and the observation, from two random layers."""

    def __init__(self, cond: torch.Tensor) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cond = cond
        self.layers = nn.Sequential(nn.Linear(8 + 3 + 1, 16), nn.Tanh(), nn.Linear(16, 8))

    def forward(self, xt: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        features = torch.cat([xt.flatten(1), self.cond, t[:, None] / 6], 1)
        return self.layers(features).reshape(xt.shape)


@torch.no_grad()
def test_another_observation_changes_every_term_of_the_bound():
    x0, here, there = chunks().float(), torch.zeros(3, 3), torch.ones(3, 3)
    torch.manual_seed(0)
    schedule = ElementSchedule(PROCESS.betas, (4, 2), cond_dim=3)
    nn.init.normal_(schedule.net[-1].weight, std=0.1, generator=generator())

    def bound(seen: torch.Tensor, process) -> Bound:
        return variational_bound(process, SmallDenoiser(seen), x0, generator())

    assert bool((bound(there, PROCESS).steps != bound(here, PROCESS).steps).all())
    assert torch.equal(bound(here, PROCESS).total, bound(here, PROCESS).total)
    learned, other = bound(here, schedule(here)), bound(here, schedule(there))
    assert bool((learned.prior != other.prior).all())
    assert bool((learned.steps != other.steps).all())


@torch.no_grad()
def test_another_observation_changes_a_learned_variance():
    x0 = chunks()

    def bound(value: float) -> torch.Tensor:
        return variational_bound(
            PROCESS,
            nothing_known,
            x0,
            generator(),
            variance="learned_range",
            predict_fraction=lambda xt, t: torch.full_like(xt, value),
        ).steps

    assert bool(((bound(0.2) - bound(0.8)).abs() > 1e-6).all())


def test_a_chunk_in_other_units_has_the_same_bound():
    """-log p(metres) of chunks in half ranges of 0.2 m and 3 rad: log_scale pays for the units."""
    half_range = torch.tensor([0.2, 3.0], dtype=torch.float64)
    means = torch.tensor([[0.1, -0.3], [-0.4, 0.2]], dtype=torch.float64)
    stds, weights = torch.full_like(means, 0.2), torch.tensor([0.3, 0.7], dtype=torch.float64)
    normalized = Mixture(weights, means, stds)
    physical = Mixture(weights, means * half_range, stds * half_range)
    x0 = normalized.sample(50, generator())
    difference = normalized.log_density(x0) - physical.log_density(x0 * half_range)
    bound = Bound(torch.zeros(50, 2), torch.zeros(1, 50, 2), half_range.log())
    torch.testing.assert_close(bound.total.sum(1).double(), difference)
    estimated = variational_bound(
        PROCESS, nothing_known, x0, generator(), log_scale=half_range.log()
    )
    plain = variational_bound(PROCESS, nothing_known, x0, generator())
    torch.testing.assert_close(estimated.total - plain.total, half_range.log().expand(50, 2))


def by_hand(mask: torch.Tensor | None = None) -> Bound:
    """Two chunks of two rows and two joints; the prior is 1 everywhere."""
    first = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    return Bound(
        torch.ones(2, 2, 2), torch.stack([first, 10 * first]), torch.tensor([0.5, 1.5]), mask
    )


def test_the_bound_is_reported_per_term_timestep_joint_and_row():
    bound = by_hand()
    assert bound.per_timestep().tolist() == [4.5, 45.0]
    assert bound.per_joint().tolist() == [1 + 11 * 4 + 0.5, 1 + 11 * 5 + 1.5]
    assert bound.per_row().tolist() == [1 + 11 * 3.5 + 1, 1 + 11 * 5.5 + 1]
    assert bound.per_dimension().item() == 1 + 11 * 4.5 + 1
    parts = {name: value.item() for name, value in bound.per_term().items()}
    assert parts == {"L_T": 1.0, "L_t": 45.0, "L_0": 4.5, "log_scale": 1.0}
    torch.testing.assert_close(bound.bits * math.log(2), bound.total)


def test_rows_of_padding_are_in_no_mean():
    bound = by_hand(torch.tensor([[True, False], [True, False]]))
    assert bound.per_timestep().tolist() == [3.5, 35.0]
    assert bound.per_joint().tolist() == [1 + 11 * 3 + 0.5, 1 + 11 * 4 + 1.5]
    assert bound.per_row()[0].item() == 1 + 11 * 3.5 + 1
    assert bound.per_row()[1].isnan()
    assert bound.per_term()["log_scale"].item() == 1.0
    assert bound.per_dimension().item() == 1 + 11 * 3.5 + 1


def test_encoder_ticks_cost_what_their_width_says():
    """A tick far below every scale: the density times the tick, whatever the units are."""
    x0, tick = chunks(), 1e-4
    density = variational_bound(PROCESS, nothing_known, x0, generator())
    counted = variational_bound(
        PROCESS, nothing_known, x0, generator(), decoder=tick_decoder(tick)
    )
    torch.testing.assert_close(
        counted.bits, (density.total - math.log(tick)) / math.log(2), rtol=1e-6, atol=0
    )


def test_the_decoder_may_bring_its_own_variance():
    x0 = chunks()
    own = variational_bound(
        PROCESS, nothing_known, x0, generator(), decoder=gaussian_decoder_of(PROCESS.betas[0])
    )
    torch.testing.assert_close(own.steps[0], gaussian_decoder(x0, 0 * x0, PROCESS.betas[0]))
    assert torch.equal(
        own.steps[1:], variational_bound(PROCESS, nothing_known, x0, generator()).steps[1:]
    )


def test_single_precision_chunks_lose_nothing_in_the_terms():
    x0 = chunks()
    single = variational_bound(PROCESS, nothing_known, x0.float(), generator())
    double = variational_bound(PROCESS, nothing_known, x0.float().double(), generator())
    assert single.total.dtype == torch.float64
    torch.testing.assert_close(single.total, double.total, rtol=1e-12, atol=1e-12)


def test_the_bound_has_a_slope_in_the_denoiser_and_in_the_schedule():
    schedule = ElementSchedule(PROCESS.betas, (4, 2))
    denoiser = SmallDenoiser(torch.zeros(3, 3))
    variational_bound(
        schedule(), denoiser, chunks().float(), generator()
    ).per_dimension().backward()
    for parameter in (*schedule.parameters(), *denoiser.parameters()):
        assert parameter.grad is not None
        assert bool((parameter.grad != 0).any())


def test_what_does_not_fit_is_refused():
    x0 = chunks()
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        variational_bound(PROCESS, nothing_known, x0, generator(), draws=0)
    with pytest.raises(ValueError, match="mask"):
        variational_bound(
            PROCESS, nothing_known, x0, generator(), mask=torch.ones(3, 2, dtype=torch.bool)
        )
    with pytest.raises(ValueError, match="steps"):
        Bound(torch.zeros(2, 2), torch.zeros(2, 3), torch.zeros(()))
    with pytest.raises(ValueError, match="timesteps"):
        variational_bound(PROCESS, nothing_known, x0, generator(), timesteps=torch.tensor([0, 6]))
    with pytest.raises(ValueError, match="finite.*t = 0"):
        variational_bound(PROCESS, lambda xt, t: xt / 0, x0, generator())
    with pytest.raises(ValueError, match="fraction"):
        variational_bound(PROCESS, nothing_known, x0, generator(), variance="learned_range")
