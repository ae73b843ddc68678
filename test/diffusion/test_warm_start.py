import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.samplers import SAMPLERS, sample_ddim
from ddpm_controller.diffusion.schedules import cosine_betas
from ddpm_controller.diffusion.timesteps import spaced_timesteps
from ddpm_controller.diffusion.warm_start import WarmStart, timesteps_below

PROCESS = GaussianProcess(cosine_betas(40))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def standard_gaussian(xt, t):
    """The exact denoiser of x_0 ~ N(0, 1): every x_t is N(0, 1) too."""
    return PROCESS.alpha_bar[t].sqrt().to(xt)[:, None, None] * xt


@pytest.mark.parametrize("level", [5, 20, 39])
def test_the_prior_is_the_guess_with_the_noise_of_its_level(level):
    guess = torch.full((4000, 2, 1), 0.7)
    process = WarmStart(PROCESS, guess).respaced(torch.arange(level + 1))
    drawn = process.prior((4000, 2, 1), generator())
    share = float(PROCESS.alpha_bar[level])
    # 8000 draws of deviation at most 1: four standard errors of mean and deviation.
    assert float(drawn.mean()) == pytest.approx(0.7 * share**0.5, abs=0.045)
    assert float(drawn.std()) == pytest.approx((1 - share) ** 0.5, abs=0.032)


def test_at_the_noisiest_level_a_guess_of_zero_is_a_plain_start():
    """The same noise; only the last share of signal, 2e-6 for this schedule, is missing."""
    guess = torch.zeros(5, 6, 2)
    warm = WarmStart(PROCESS, guess).respaced(torch.arange(40))
    plain = PROCESS.prior((5, 6, 2), generator())
    started = warm.prior((5, 6, 2), generator())
    torch.testing.assert_close(started, plain, rtol=2e-3, atol=0)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_sampler_begins_there_and_asks_only_below(name):
    asked = []

    def noted(xt, t):
        asked.append(int(t[0]))
        return standard_gaussian(xt, t)

    timesteps = timesteps_below(spaced_timesteps(40, 10), 40, 0.45)
    warm = WarmStart(PROCESS, torch.full((3, 6, 2), 0.2))
    SAMPLERS[name](warm, noted, (3, 6, 2), generator(), timesteps)
    assert asked[0] == max(asked) == 16
    assert set(asked) <= {0, 4, 8, 12, 16}


def test_a_warm_start_from_true_samples_keeps_their_distribution():
    guess = torch.randn(3000, 1, 1, generator=generator(1))
    warm = WarmStart(PROCESS, guess)
    shape = (3000, 1, 1)
    drawn = sample_ddim(warm, standard_gaussian, shape, generator(), torch.arange(19))
    # 3000 draws: four standard errors. DDIM from N(0, 1) noise keeps N(0, 1) here.
    assert float(drawn.mean()) == pytest.approx(0.0, abs=0.075)
    assert float(drawn.std()) == pytest.approx(1.0, abs=0.055)


def test_the_nearer_to_zero_the_more_of_the_guess_is_kept():
    guess = torch.linspace(-1, 1, 600).reshape(600, 1, 1)
    kept = []
    for level in (0.1, 0.45, 0.9):
        timesteps = timesteps_below(torch.arange(40), 40, level)
        drawn = sample_ddim(
            WarmStart(PROCESS, guess), standard_gaussian, (600, 1, 1), generator(), timesteps
        )
        kept.append(float(torch.corrcoef(torch.stack([drawn.flatten(), guess.flatten()]))[0, 1]))
    assert kept[0] > 0.9
    assert kept[0] > kept[1] > kept[2]
    assert kept[2] < 0.4


def test_levels_and_guesses_that_do_not_fit_are_refused():
    for level in (0.0, 1.1, -0.2):
        with pytest.raises(ValueError, match=f"level must be above 0 and at most 1, got {level}"):
            timesteps_below(torch.arange(40), 40, level)
    assert timesteps_below(torch.tensor([5, 9]), 40, 0.01).tolist() == [5]
    assert timesteps_below(torch.arange(40), 40, 1.0).tolist() == list(range(40))
    with pytest.raises(ValueError, match=r"the guess must be \(2, 6, 2\), got \(3, 6, 2\)"):
        WarmStart(PROCESS, torch.zeros(3, 6, 2)).prior((2, 6, 2), generator())
