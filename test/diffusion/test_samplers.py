import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.guidance import clipped
from ddpm_controller.diffusion.samplers import (
    SAMPLERS,
    sample_consistency,
    sample_ddim,
    sample_ddpm,
)
from ddpm_controller.diffusion.schedules import SCHEDULES
from ddpm_controller.diffusion.timesteps import spaced_timesteps
from ddpm_controller.diffusion.variances import step_variance

MEAN = torch.tensor([0.5, -0.3])
SPREAD = torch.tensor([0.2, 0.6])
SAMPLES = 20_000
LENGTHS = {"linear": 1000, "cosine": 400}  # a linear chain needs more steps for the same spread
EVERY = pytest.mark.parametrize("name", sorted(SAMPLERS))


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


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_ddpm_reproduces_a_gaussian_in_mean_and_spread(schedule):
    process = GaussianProcess(SCHEDULES[schedule](LENGTHS[schedule]))
    samples = sample_ddpm(process, gaussian_denoiser(process), (SAMPLES, 2), seeded())
    # The spread's standard error is 0.5 %; such chains are too narrow by under 1 %.
    assert_mean_and_spread(samples, 0.025)


@pytest.mark.parametrize(
    ("schedule", "eta"), [("linear", 0.0), ("cosine", 0.0), ("cosine", 0.5), ("linear", 1.0)]
)
def test_ddim_reproduces_a_gaussian_in_mean_and_spread(schedule, eta):
    process = GaussianProcess(SCHEDULES[schedule](LENGTHS[schedule]))
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


@EVERY
def test_a_certain_denoiser_is_believed_whatever_the_noise(name):
    process = GaussianProcess(SCHEDULES["cosine"](100))
    answer = torch.tensor([[0.25, -0.75]])
    for spacing in ("leading", "trailing"):
        timesteps = spaced_timesteps(100, 7, spacing)
        samples = SAMPLERS[name](
            process, lambda xt, t: answer.expand_as(xt), (5, 2), seeded(), timesteps
        )
        torch.testing.assert_close(samples, answer.expand(5, 2))


@EVERY
def test_the_denoiser_sees_timesteps_of_the_trained_process_from_noisy_to_clean(name):
    process = GaussianProcess(SCHEDULES["cosine"](100))
    seen = []

    def predict_x0(xt, t):
        seen.append(t.tolist())
        return xt * 0

    SAMPLERS[name](process, predict_x0, (2, 1), seeded(), torch.tensor([0, 30, 90]))
    # Heun's method looks where each step leads, and then goes there.
    visited = [90, 30, 30, 0, 0] if name in ("heun", "edm") else [90, 30, 0]
    assert seen == [[t, t] for t in visited]


@EVERY
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


@EVERY
def test_all_noise_comes_from_the_generator(name):
    process = GaussianProcess(SCHEDULES["cosine"](50))
    denoise = bent_denoiser(process)
    first, same, other = (
        SAMPLERS[name](process, denoise, (2, 3), seeded(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.allclose(first, other, atol=1e-3)


def recorded(sampler, process, denoise, shape, **options):
    """What the denoiser was shown, from noisy to clean, and then the sample."""
    seen = []

    def predict_x0(xt, t):
        seen.append(xt)
        return denoise(xt, t)

    sample = sampler(process, predict_x0, shape, seeded(), **options)
    return [*seen, sample]


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_an_ancestral_step_has_the_posterior_mean_and_the_chosen_variance(variance):
    """Ho et al. 2020, Eq. 6-7 with the very noise that the sampler draws."""
    process = GaussianProcess(SCHEDULES["cosine"](50))
    denoise = bent_denoiser(process)
    states = recorded(sample_ddpm, process, denoise, (8, 3), variance=variance)
    generator = seeded()
    torch.testing.assert_close(states[0], torch.randn(8, 3, generator=generator))
    for step in reversed(range(1, 50)):
        t, xt = torch.full((8,), step), states[49 - step]
        mean, _ = process.posterior(denoise(xt, t), xt, t)
        added = step_variance(process, t, xt, variance).sqrt()
        expected = mean + added * torch.randn(8, 3, generator=generator)
        # Rounding of float32; a wrong coefficient shows as 1e-2.
        torch.testing.assert_close(states[50 - step], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(states[-1], denoise(states[-2], torch.full((8,), 0)))


def test_a_learned_fraction_lies_between_the_fixed_variances():
    process = GaussianProcess(SCHEDULES["cosine"](20))
    timesteps = torch.tensor([3, 9, 19])
    seen = []

    def fraction_of(value):
        def predict(xt, t):
            seen.append(t[0].item())
            return torch.full_like(xt, value)

        return predict

    def sample(variance, fraction=None):
        denoise = bent_denoiser(process)
        return sample_ddpm(process, denoise, (4, 2), seeded(), timesteps, variance, fraction)

    small, large = sample("fixed_small"), sample("fixed_large")
    for end, value in ((small, 0.0), (large, 1.0)):
        torch.testing.assert_close(sample("learned_range", fraction_of(value)), end)
    assert seen == [19, 9, 19, 9]  # names of the training; none for the step to x_0
    assert (large - small).abs().max() > 1e-2
    between = sample("learned_range", fraction_of(0.5))
    assert (between - small).abs().max() > 1e-3
    assert (between - large).abs().max() > 1e-3
    with pytest.raises(ValueError, match=r"learned_range needs a fraction of \(4, 2\), got None"):
        sample("learned_range")


def test_ddim_with_eta_one_and_ddpm_have_the_moments_of_the_chain():
    """For Gaussian data every step is affine, so mean and spread follow in closed form."""
    process = GaussianProcess(SCHEDULES["cosine"](100))
    timesteps = spaced_timesteps(100, 5)
    visited = process.respaced(timesteps)
    denoise = gaussian_denoiser(process)
    mean, variance = torch.zeros(1, 2).double(), torch.ones(1, 2).double()
    for index in reversed(range(5)):
        t, trained = torch.tensor([index]), timesteps[index : index + 1]
        centre = visited.posterior(denoise(mean, trained), mean, t)[0]
        gain = visited.posterior(denoise(mean + 1, trained), mean + 1, t)[0] - centre
        mean, variance = centre, gain**2 * variance + visited.posterior_variance[index]
    for sampler, options in ((sample_ddpm, {}), (sample_ddim, {"eta": 1.0})):
        samples = sampler(process, denoise, (SAMPLES, 2), seeded(), timesteps, **options).double()
        spread = variance[0].sqrt()
        # Four standard errors of mean and spread of 20000 draws.
        assert ((samples.mean(0) - mean[0]).abs() < 4 * spread / SAMPLES**0.5).all()
        assert ((samples.std(0) / spread - 1).abs() < 4 / (2 * SAMPLES) ** 0.5).all()
        assert (spread < 0.9 * SPREAD).all()  # five steps lose much, so this is not the data


def test_a_consistency_step_puts_new_noise_on_the_last_answer():
    process = GaussianProcess(SCHEDULES["cosine"](100))
    timesteps = torch.tensor([49, 99])
    states = recorded(
        sample_consistency, process, lambda xt, t: xt / 3, (5, 2), timesteps=timesteps
    )
    generator = seeded()
    start, fresh = (torch.randn(5, 2, generator=generator) for _ in range(2))
    torch.testing.assert_close(states[0], start)
    expected = process.sample(start / 3, torch.full((5,), 49), fresh)
    torch.testing.assert_close(states[1], expected)
    torch.testing.assert_close(states[2], states[1] / 3)
    one = sample_consistency(process, lambda xt, t: xt / 3, (5, 2), seeded(), torch.tensor([99]))
    torch.testing.assert_close(one, start / 3)


@EVERY
def test_a_schedule_for_every_element_is_each_schedule_alone(name):
    """Learned schedules give each element its own amounts: the steps must not mix them."""
    alone = [SCHEDULES[schedule](20) for schedule in ("linear", "cosine")]
    timesteps = torch.tensor([0, 4, 11, 17])
    together = torch.stack(alone, dim=1)[:, None, :]  # (T, 1, 2)

    def run(betas):
        process = GaussianProcess(betas)
        return SAMPLERS[name](process, bent_denoiser(process), (6, 2), seeded(), timesteps)

    both = run(together)
    for column, betas in enumerate(alone):
        torch.testing.assert_close(both[:, column], run(betas)[:, column])
    # One for each of the six rows, as a schedule that depends on the observation is.
    torch.testing.assert_close(run(together.expand(20, 6, 2)), both)


@EVERY
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_prediction_that_is_not_finite_is_reported_with_its_timestep(name, wrong):
    process = GaussianProcess(SCHEDULES["cosine"](100))

    def predict_x0(xt, t):
        x0 = xt * 0
        x0[0, 1] = wrong if t[0] == 30 else 0.0
        return x0

    for denoise in (predict_x0, clipped(predict_x0)):
        with pytest.raises(ValueError, match="1 of 6 are not at t = 30, where x_t reaches"):
            SAMPLERS[name](process, denoise, (3, 2), seeded(), torch.tensor([0, 30, 90]))


@EVERY
def test_a_prediction_of_another_shape_is_refused(name):
    process = GaussianProcess(SCHEDULES["cosine"](10))
    with pytest.raises(ValueError, match=r"shape of xt, \(3, 2\), got \(3, 1\) at t = 9"):
        SAMPLERS[name](process, lambda xt, t: xt[:, :1], (3, 2), seeded())


@EVERY
@pytest.mark.parametrize(
    ("timesteps", "rule"),
    [
        ([0, 30, 100], "to T - 1 = 99 or less"),
        ([-1, 30], "from 0 or more"),
        ([30, 0], "ascend"),
        ([0, 30, 30], "without repeats"),
        ([], "int64 with K at least 1"),
        ([0.0, 1.0], "int64"),
        ([[0, 1]], r"\(K,\) int64"),
    ],
)
def test_timesteps_that_break_a_rule_are_refused(name, timesteps, rule):
    process = GaussianProcess(SCHEDULES["cosine"](100))
    kind = None if any(timesteps) else torch.int64
    with pytest.raises(ValueError, match=rule):
        SAMPLERS[name](
            process,
            bent_denoiser(process),
            (1, 1),
            seeded(),
            torch.tensor(timesteps, dtype=kind),
        )


@EVERY
@pytest.mark.parametrize("shape", [(4, 5), (3, 2), (4,), (4, 2, 1)])
def test_a_shape_that_the_schedule_is_not_for_is_refused(name, shape):
    """Broadcasting would make a sample of another shape of it."""
    process = GaussianProcess(torch.full((10, 4, 2), 0.3).double())
    with pytest.raises(ValueError, match=r"does not fit the process|is not for 3 rows"):
        SAMPLERS[name](process, lambda xt, t: xt, shape, seeded())


def test_eta_out_of_range_is_refused():
    process = GaussianProcess(SCHEDULES["cosine"](10))
    for eta in (1.5, -0.1):
        with pytest.raises(ValueError, match=f"eta must be between 0 and 1, got {eta}"):
            sample_ddim(process, bent_denoiser(process), (1, 1), seeded(), eta=eta)
