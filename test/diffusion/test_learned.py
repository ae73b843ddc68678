import pytest
import torch
from torch import nn

from ddpm_controller.diffusion.bound import variational_bound
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.learned import (
    END_BOUNDS,
    START_BOUNDS,
    ElementSchedule,
    ScalarSchedule,
)
from ddpm_controller.diffusion.samplers import SAMPLERS
from ddpm_controller.diffusion.schedules import SCHEDULES, cosine_betas, zero_terminal_snr

BETAS = cosine_betas(12)
SHAPE = (3, 2)
COND = torch.tensor([[0.5, -1.0], [2.0, 0.3]])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def born(level: str, betas: torch.Tensor = BETAS) -> nn.Module:
    torch.manual_seed(0)
    if level == "scalar":
        return ScalarSchedule(betas)
    return ElementSchedule(betas, SHAPE, cond_dim=2 if level == "conditional" else 0)


def grown(level: str, size: float) -> nn.Module:
    """A schedule with random parameters, of any size."""
    schedule = born(level)
    with torch.no_grad():
        for parameter in schedule.parameters():
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator(3)))
    return schedule


def gamma_of(process: GaussianProcess) -> torch.Tensor:
    return torch.log1p(-process.alpha_bar) - process.alpha_bar.log()


LEVELS = pytest.mark.parametrize("level", ["scalar", "element", "conditional"])


@LEVELS
@pytest.mark.parametrize("name", sorted(SCHEDULES))
@torch.no_grad()
def test_every_learned_schedule_is_born_as_the_fixed_one(level, name):
    betas = SCHEDULES[name](100)
    if name == "linear_unscaled":
        betas = SCHEDULES[name](1000)  # at 100 it leaves the signal as it is
    process = born(level, betas)(COND)
    expected = betas.reshape(-1, *[1] * (process.betas.ndim - 1)).expand_as(process.betas)
    torch.testing.assert_close(process.betas, expected, rtol=1e-9, atol=1e-12)


@torch.no_grad()
def test_a_zero_terminal_snr_can_be_learned_from():
    betas = zero_terminal_snr(cosine_betas(50))
    torch.testing.assert_close(ScalarSchedule(betas)().betas, betas, rtol=1e-7, atol=0)


@LEVELS
@torch.no_grad()
def test_at_birth_the_bound_is_that_of_plain_ddpm(level):
    x0 = torch.rand(2, *SHAPE, generator=generator(), dtype=torch.float64)

    def predict(xt, t):
        return 0.5 * xt

    learned = variational_bound(born(level)(COND), predict, x0, generator(1))
    plain = variational_bound(GaussianProcess(BETAS), predict, x0, generator(1))
    torch.testing.assert_close(learned.total, plain.total, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(learned.prior, plain.prior, rtol=1e-6, atol=1e-12)


@LEVELS
@pytest.mark.parametrize("name", sorted(SAMPLERS))
@torch.no_grad()
def test_at_birth_every_sampler_gives_what_plain_ddpm_gives(level, name):
    learned, plain = (
        SAMPLERS[name](process, lambda xt, t: 0.5 * xt, (2, *SHAPE), generator(5))
        for process in (born(level)(COND), GaussianProcess(BETAS))
    )
    torch.testing.assert_close(learned, plain, rtol=1e-5, atol=1e-5)  # float32 chains


@LEVELS
@pytest.mark.parametrize("name", sorted(SAMPLERS))
@torch.no_grad()
def test_every_sampler_runs_a_learned_schedule(level, name):
    """The data are one point, so the exact denoiser is a constant and so is the sample."""
    point = torch.rand(2, *SHAPE, generator=generator())
    kept = torch.tensor([0, 3, 7, 11])
    process = grown(level, 1.0)(COND)
    got = SAMPLERS[name](process, lambda xt, t: point, (2, *SHAPE), generator(), timesteps=kept)
    torch.testing.assert_close(got, point, rtol=0, atol=1e-5)


@LEVELS
@pytest.mark.parametrize("size", [0.3, 3.0, 100.0])
@torch.no_grad()
def test_whatever_is_learned_noise_grows_and_its_ends_stay_within_bounds(level, size):
    gamma = gamma_of(grown(level, size)(COND))
    assert bool((gamma.diff(dim=0) > 0).all())
    # 1e-5: where hardly any signal is left, 1 - beta has lost half of its digits.
    assert float(gamma[0].min()) >= START_BOUNDS[0] - 1e-5
    assert float(gamma[0].max()) <= START_BOUNDS[1] + 1e-5
    assert float(gamma[-1].min()) >= END_BOUNDS[0] - 1e-5
    assert float(gamma[-1].max()) <= END_BOUNDS[1] + 1e-5
    assert (
        float(
            (gamma - gamma_of(GaussianProcess(BETAS)).reshape(12, *[1] * (gamma.ndim - 1)))
            .abs()
            .max()
        )
        > 0.1
    )


@torch.no_grad()
def test_each_end_moves_its_own_way():
    fixed = gamma_of(GaussianProcess(BETAS))
    for end, other in ((0, -1), (-1, 0)):
        for sign in (1.0, -1.0):
            schedule = ScalarSchedule(BETAS)
            schedule.ends[end] = sign
            gamma = gamma_of(schedule())
            assert sign * float(gamma[end] - fixed[end]) > 0.1
            assert float(gamma[other]) == pytest.approx(float(fixed[other]), abs=1e-9)


@torch.no_grad()
def test_without_terms_the_scalar_schedule_is_a_straight_line_of_the_fixed_one():
    """VDM's gamma = w t + b where the fixed one is linear in t."""
    fixed = torch.linspace(-9.0, 5.0, 12, dtype=torch.float64)
    betas = GaussianProcess.from_alpha_bar(torch.sigmoid(-fixed)).betas
    schedule = ScalarSchedule(betas, terms=0)
    schedule.ends.copy_(torch.tensor([-0.7, 0.9]))
    steps = gamma_of(schedule()).diff()
    torch.testing.assert_close(steps, steps[:1].expand(11), rtol=1e-6, atol=0)
    assert not torch.allclose(steps, fixed.diff())


@torch.no_grad()
def test_the_polynomial_is_squared_by_hand():
    """T = 3 has its two steps at u = -0.5 and 0.5: (1 - b/2 + a/4)^2 and (1 + b/2 + a/4)^2."""
    fixed = torch.tensor([-6.0, -1.0, 5.0], dtype=torch.float64)
    betas = GaussianProcess.from_alpha_bar(torch.sigmoid(-fixed)).betas
    schedule = ElementSchedule(betas, (1, 1))
    schedule.bends[0], schedule.bends[1] = 0.4, -0.8
    linear, quadratic = (4 * torch.tanh(torch.tensor(each / 4)).item() for each in (0.4, -0.8))
    first = 5 * ((1 - linear / 2 + quadratic / 4) ** 2 + 1e-4)
    second = 6 * ((1 + linear / 2 + quadratic / 4) ** 2 + 1e-4)
    expected = -6 + 11 * first / (first + second)
    assert gamma_of(schedule())[1].item() == pytest.approx(expected, rel=1e-6)


@torch.no_grad()
def test_every_element_and_every_row_has_its_own_schedule():
    schedule = born("element")
    schedule.ends[0, 1, 0] = -2.0
    betas = schedule().betas
    assert betas.shape == (12, 1, *SHAPE)
    plain = BETAS.reshape(-1, 1, 1).expand(12, *SHAPE).clone()
    changed = (betas[:, 0] - plain).abs().amax(0) > 1e-6
    assert changed.tolist() == [[False, False], [True, False], [False, False]]
    conditional = grown("conditional", 1.0)
    betas = conditional(COND).betas
    assert betas.shape == (12, 2, *SHAPE)
    assert bool(((betas[:, 0] - betas[:, 1]).abs().amax(0) > 1e-6).all())
    torch.testing.assert_close(conditional(COND[1:]).betas, betas[:, 1:])


@LEVELS
def test_the_full_bound_has_a_slope_in_every_parameter(level):
    schedule = grown(level, 0.1)
    x0 = torch.rand(2, *SHAPE, generator=generator())
    bound = variational_bound(schedule(COND), lambda xt, t: 0.5 * xt, x0, generator())
    bound.per_dimension().backward()
    for name, parameter in schedule.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name


@LEVELS
def test_at_birth_something_can_be_learned(level):
    """Neither the ends nor the bends sit where their slope is 0."""
    schedule = born(level)
    x0 = torch.rand(2, *SHAPE, generator=generator())
    bound = variational_bound(schedule(COND), lambda xt, t: 0.5 * xt, x0, generator())
    bound.per_dimension().backward()
    parameters = [schedule.ends]
    parameters += [schedule.weights] if level == "scalar" else [schedule.bends]
    parameters += [schedule.net[-1].weight] if level == "conditional" else []
    for parameter in parameters:
        assert bool((parameter.grad != 0).all())


def test_schedules_that_cannot_be_learned_from_are_refused():
    with pytest.raises(ValueError, match="T of 2 or more, got \\(1,\\)"):
        ScalarSchedule(BETAS[:1])
    with pytest.raises(ValueError, match="must end between 2.0 and 24.0, got"):
        ScalarSchedule(torch.full((5,), 1e-3, dtype=torch.float64))
    with pytest.raises(ValueError, match="must start between -13.3 and 1.0, got"):
        ElementSchedule(torch.full((5,), 0.9, dtype=torch.float64), SHAPE)
    with pytest.raises(ValueError, match="terms must not be below 0, got -1"):
        ScalarSchedule(BETAS, terms=-1)


def test_an_observation_that_is_missing_or_of_another_width_is_refused():
    schedule = born("conditional")
    with pytest.raises(ValueError, match="cond must be \\(B, 2\\), got None"):
        schedule()
    with pytest.raises(ValueError, match="got \\(2, 3\\)"):
        schedule(torch.zeros(2, 3))
