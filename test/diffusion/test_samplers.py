import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.samplers import (
    SAMPLERS,
    clipped,
    sample_ddim,
    sample_ddpm,
    spaced_timesteps,
)
from ddpm_controller.diffusion.schedules import SCHEDULES

MEAN = torch.tensor([0.5, -0.3])
SPREAD = torch.tensor([0.2, 0.6])
SAMPLES = 20_000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian_denoiser(process, mean=MEAN, spread=SPREAD):
    """E[x0 | xt] for x0 ~ N(mean, spread^2): linear, so nothing is trained."""

    def predict_x0(xt, t):
        signal, noise = process.scales(t, xt)
        gain = signal * spread**2 / (signal**2 * spread**2 + noise**2)
        return mean + gain * (xt - signal * mean)

    return predict_x0


def bent_denoiser(process):
    """Any curved function: two samplers that agree on it do not agree by linearity."""

    def predict_x0(xt, t):
        signal, noise = process.scales(t, xt)
        return torch.tanh(2 * signal * xt) * 0.8 + 0.1 * noise

    return predict_x0


def assert_mean_and_spread(samples, relative_spread):
    # Four standard errors of a mean of 20000 draws, and a little for the discretization.
    error = 4 * SPREAD / SAMPLES**0.5 + 0.003
    assert ((samples.mean(0) - MEAN).abs() < error).all(), samples.mean(0)
    ratio = samples.std(0) / SPREAD
    assert ((ratio - 1).abs() < relative_spread).all(), samples.std(0)


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_ddpm_reproduces_a_gaussian_in_mean_and_spread(schedule):
    process = GaussianProcess(SCHEDULES[schedule](1000))
    samples = sample_ddpm(process, gaussian_denoiser(process), (SAMPLES, 2), seeded())
    # The spread's standard error is 0.5 %; a chain of 1000 steps is too narrow by under 1 %.
    assert_mean_and_spread(samples, 0.025)


@pytest.mark.parametrize(
    ("schedule", "eta"), [("linear", 0.0), ("cosine", 0.0), ("cosine", 0.5), ("linear", 1.0)]
)
def test_ddim_reproduces_a_gaussian_in_mean_and_spread(schedule, eta):
    process = GaussianProcess(SCHEDULES[schedule](1000))
    samples = sample_ddim(process, gaussian_denoiser(process), (SAMPLES, 2), seeded(), eta=eta)
    assert_mean_and_spread(samples, 0.025)


def test_the_spread_that_a_short_chain_loses_halves_with_twice_the_steps():
    """DDIM is Euler's method on an equation whose exact solution has the right spread."""
    process = GaussianProcess(SCHEDULES["cosine"](1000))
    denoise = gaussian_denoiser(process)

    def lost(sampler, steps):
        samples = sampler(process, denoise, (SAMPLES, 2), seeded(), spaced_timesteps(1000, steps))
        return 1 - samples.std(0) / SPREAD

    few, twice = lost(sample_ddim, 10), lost(sample_ddim, 20)
    assert ((few > 0.05) & (few < 0.3)).all(), few
    assert ((twice / few > 0.4) & (twice / few < 0.65)).all(), twice / few
    # With as many steps, ancestral sampling loses more: it adds the least possible noise.
    assert (lost(sample_ddpm, 10) > few).all()


@pytest.mark.parametrize("steps", [1, 7, 10, 100])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_ddim_with_eta_one_is_ddpm(steps, spacing):
    """Not only in distribution: the same noise gives the same sample, up to float32."""
    process = GaussianProcess(SCHEDULES["cosine"](100))
    timesteps = spaced_timesteps(100, steps, spacing)
    denoise = bent_denoiser(process)
    ddpm = sample_ddpm(process, denoise, (64, 3, 2), seeded(), timesteps)
    ddim = sample_ddim(process, denoise, (64, 3, 2), seeded(), timesteps, eta=1.0)
    # Rounding of each of up to 100 steps; a wrong coefficient shows as 1e-2 and more.
    torch.testing.assert_close(ddim, ddpm, rtol=1e-3, atol=1e-4)


def test_a_step_with_some_fresh_noise_by_hand():
    """Eta 0.5 from t = 1 to 0 of betas 0.1, 0.2: its variance is a quarter of the posterior's.

    The right distribution comes out for any eta, so only this shows what an eta means.
    """
    process = GaussianProcess(torch.tensor([0.1, 0.2], dtype=torch.float64))
    seen = []

    def predict_x0(xt, t):
        seen.append(xt)
        return torch.full_like(xt, 0.2)

    sample_ddim(process, predict_x0, (3, 1), seeded(), eta=0.5)
    generator = seeded()
    start, fresh = (torch.randn(3, 1, generator=generator) for _ in range(2))
    noise = (start - 0.72**0.5 * 0.2) / 0.28**0.5
    variance = 0.25 * 0.0714285714
    expected = 0.9**0.5 * 0.2 + (0.1 - variance) ** 0.5 * noise + variance**0.5 * fresh
    torch.testing.assert_close(seen[0], start)
    torch.testing.assert_close(seen[1], expected)


def test_visiting_every_timestep_is_the_default():
    process = GaussianProcess(SCHEDULES["linear"](20))
    for sampler in SAMPLERS.values():
        every = sampler(process, bent_denoiser(process), (4, 2), seeded(), torch.arange(20))
        default = sampler(process, bent_denoiser(process), (4, 2), seeded())
        torch.testing.assert_close(default, every)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_a_certain_denoiser_is_believed_whatever_the_noise(name):
    process = GaussianProcess(SCHEDULES["cosine"](100))
    answer = torch.tensor([[0.25, -0.75]])
    for spacing in ("leading", "trailing"):
        timesteps = spaced_timesteps(100, 7, spacing)
        samples = SAMPLERS[name](
            process, lambda xt, t: answer.expand_as(xt), (5, 2), seeded(), timesteps
        )
        torch.testing.assert_close(samples, answer.expand(5, 2))


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_the_denoiser_sees_timesteps_of_the_trained_process_from_noisy_to_clean(name):
    process = GaussianProcess(SCHEDULES["cosine"](100))
    seen = []

    def predict_x0(xt, t):
        seen.append(t.tolist())
        return xt * 0

    SAMPLERS[name](process, predict_x0, (2, 1), seeded(), torch.tensor([0, 30, 90]))
    assert seen == [[90, 90], [30, 30], [0, 0]]


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_a_run_in_a_batch_is_the_run_alone(name):
    process = GaussianProcess(SCHEDULES["cosine"](100))
    timesteps = spaced_timesteps(100, 10)
    denoise = bent_denoiser(process)
    batch = SAMPLERS[name](
        process, denoise, (3, 16, 7), [seeded(4), seeded(5), seeded(6)], timesteps
    )
    alone = SAMPLERS[name](process, denoise, (1, 16, 7), [seeded(5)], timesteps)
    torch.testing.assert_close(batch[1:2], alone, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(batch[0], batch[1], atol=1e-3)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_all_noise_comes_from_the_generator(name):
    process = GaussianProcess(SCHEDULES["cosine"](50))
    denoise = bent_denoiser(process)
    first, same, other = (
        SAMPLERS[name](process, denoise, (2, 3), seeded(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.allclose(first, other, atol=1e-3)


def test_clipping_holds_both_sides():
    predict = clipped(lambda xt, t: xt)
    xt = torch.tensor([[-3.0, -0.5, 0.5, 3.0]])
    assert predict(xt, torch.tensor([0])).tolist() == [[-1.0, -0.5, 0.5, 1.0]]


def test_spaced_timesteps_by_hand():
    assert spaced_timesteps(100, 10).tolist() == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert spaced_timesteps(100, 4, "trailing").tolist() == [24, 49, 74, 99]
    assert spaced_timesteps(100, 3).tolist() == [0, 33, 66]
    assert spaced_timesteps(5, 5).tolist() == spaced_timesteps(5, 5, "trailing").tolist()


@pytest.mark.parametrize("steps", [0, 101])
def test_more_inference_than_training_steps_are_refused(steps):
    with pytest.raises(ValueError, match=f"between 1 and .*100, got {steps}"):
        spaced_timesteps(100, steps)


def test_unknown_spacing_and_eta_out_of_range_are_refused():
    process = GaussianProcess(SCHEDULES["cosine"](10))
    with pytest.raises(ValueError, match="spacing 'even' is unknown"):
        spaced_timesteps(100, 10, "even")
    with pytest.raises(ValueError, match=r"eta must be between 0 and 1, got 1\.5"):
        sample_ddim(process, bent_denoiser(process), (1, 1), seeded(), eta=1.5)
