"""The consistency loss against functions that are known in closed form; nothing is trained."""

import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.samplers import sample_ddim
from ddpm_controller.diffusion.schedules import SCHEDULES, zero_terminal_snr
from ddpm_controller.diffusion.targets import x0_from
from ddpm_controller.policies.consistency_policy.loss import consistency_loss, consistency_target

MEAN, SPREAD = torch.tensor([0.5, -0.3]).double(), torch.tensor([0.2, 0.6]).double()
T = 100


def process(steps=T):
    return GaussianProcess(SCHEDULES["cosine"](steps))


def teacher_of(gaussian):
    """E[x0 | xt] for x0 ~ N(MEAN, SPREAD^2)."""

    def predict_x0(xt, t):
        signal, noise = gaussian.scales(t, xt)
        gain = signal * SPREAD**2 / (signal**2 * SPREAD**2 + noise**2)
        return MEAN + gain * (xt - signal * MEAN)

    return predict_x0


def exact(gaussian):
    """The end of the way of the probability flow from x_t: the same quantile of the data."""

    def consistency(xt, t):
        signal, noise = gaussian.scales(t, xt)
        deviation = (signal**2 * SPREAD**2 + noise**2).sqrt()
        return MEAN + SPREAD * (xt - signal * MEAN) / deviation

    return consistency


def end_of_chain(gaussian, stride):
    """The end of the teacher's DDIM with this stride, asked step by step."""
    teacher = teacher_of(gaussian)

    def consistency(xt, t):
        ends = []
        for row, start in zip(xt, t.tolist(), strict=True):
            timesteps = torch.arange(start, -1, -stride).flip(0)
            at_start = FromThere(gaussian, row[None])
            ends.append(sample_ddim(at_start, teacher, (1, *row.shape), seeded(), timesteps))
        return torch.cat(ends)

    return consistency


class FromThere(GaussianProcess):
    """A process whose way back begins at a given x."""

    def __init__(self, gaussian, start):
        super().__init__(gaussian.betas)
        object.__setattr__(self, "start", start)

    def prior(self, shape, generator):
        return self.start

    def respaced(self, timesteps):
        return FromThere(super().respaced(timesteps), self.start)


def seeded():
    return torch.Generator().manual_seed(0)


def noisy(gaussian, t):
    generator = seeded()
    x0 = MEAN + SPREAD * torch.randn(len(t), 4, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    return gaussian.sample(x0, t, noise)


def loss_of(gaussian, function, stride, t):
    xt = noisy(gaussian, t)
    target = consistency_target(gaussian, teacher_of(gaussian), function, xt, t, stride)
    return float(consistency_loss(function(xt, t), target))


@pytest.mark.parametrize("stride", [1, 7, 40, T])
def test_the_end_of_the_teachers_own_chain_is_a_fixed_point(stride):
    gaussian, t = process(), torch.tensor([0, 3, 39, 40, 80, 92])
    assert loss_of(gaussian, end_of_chain(gaussian, stride), stride, t) < 1e-24  # rounding
    # Another function is none, whichever way it differs.
    for shift in (-0.1, 0.1):

        def moved(xt, t, shift=shift):
            return end_of_chain(gaussian, stride)(xt, t) + shift * t[:, None, None] / T

        assert loss_of(gaussian, moved, stride, t) > 1e-7


def test_the_exact_consistency_function_is_one_as_steps_get_short():
    """The teacher's DDIM is Euler's method: the loss falls with the square of its error."""
    losses = []
    for steps in (100, 200, 400):
        gaussian = process(steps)
        t = torch.arange(steps // 10, steps * 9 // 10, steps // 20)
        losses.append(loss_of(gaussian, exact(gaussian), steps // 50, t))
    # One step's error is of second order: its square falls by 2 ** 4, here of strides of 2 %.
    assert losses[0] < 1e-4
    gaussian, t = process(400), torch.arange(40, 360, 20)
    long, short = (loss_of(gaussian, exact(gaussian), stride, t) for stride in (8, 4))
    assert 10 < long / short < 22


def test_below_the_least_noise_is_the_teachers_clean_chunk_whatever_the_target_says():
    gaussian, t = process(), torch.tensor([0, 4, 5])
    xt = noisy(gaussian, t)
    teacher = teacher_of(gaussian)
    target = consistency_target(gaussian, teacher, lambda x, t: 0 * x + 9.0, xt, t, 5)
    torch.testing.assert_close(target[:2], teacher(xt, t)[:2])
    assert (target[2] == 9.0).all()


def test_the_target_is_asked_where_one_step_of_ddim_leads():
    gaussian, t = process(), torch.tensor([30, 60])
    xt = noisy(gaussian, t)
    asked = []

    def target(xt, t):
        asked.append((xt, t))
        return xt

    consistency_target(gaussian, teacher_of(gaussian), target, xt, t, 10)
    ((stepped, at),) = asked
    assert at.tolist() == [20, 50]
    for row, start in enumerate((30, 60)):
        chain = FromThere(gaussian, xt[row : row + 1]).respaced(torch.tensor([start - 10, start]))
        x0 = teacher_of(gaussian)(xt[row : row + 1], t[row : row + 1])
        noise = chain.noise_from(xt[row : row + 1], x0, torch.tensor([1]))
        expected = chain.sample(x0, torch.tensor([0]), noise)[0]
        torch.testing.assert_close(stepped[row], expected)


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_where_there_is_no_noise_the_consistency_function_is_the_identity(prediction):
    """The boundary condition, whatever the network answers: x - spread answer, spread to 0."""
    alpha_bar = torch.tensor([1 - 1e-12, 0.5], dtype=torch.float64)
    gaussian = GaussianProcess.from_alpha_bar(alpha_bar)
    xt, answer = torch.randn(2, 3, 4, 2, generator=seeded(), dtype=torch.float64)
    t = torch.zeros(3, dtype=torch.int64)
    torch.testing.assert_close(x0_from(gaussian, answer, xt, t, prediction), xt, atol=1e-5, rtol=0)
    further = x0_from(gaussian, answer, xt, t + 1, prediction)
    assert (further - xt).abs().max() > 0.1


def test_prediction_v_has_the_scalings_of_consistency_models():
    """Song et al. 2023, Eq. 5 and App. C with sigma_data 1 and no least sigma, by hand.

    For x = x_t / signal and sigma = spread / signal: x / (sigma^2 + 1) and sigma / sqrt(sigma^2
    + 1) of minus the answer.
    """
    gaussian, t = process(), torch.tensor([0, 10, 60, 99])
    xt, answer = torch.randn(2, 4, 4, 2, generator=seeded(), dtype=torch.float64)
    signal, spread = gaussian.scales(t, xt)
    sigma = spread / signal
    expected = xt / signal / (sigma**2 + 1) - sigma / (sigma**2 + 1).sqrt() * answer
    torch.testing.assert_close(x0_from(gaussian, answer, xt, t, "v"), expected)


def test_without_a_signal_left_prediction_v_still_jumps():
    gaussian = GaussianProcess(zero_terminal_snr(SCHEDULES["linear"](T)))
    t = torch.tensor([T - 1])
    xt, answer = torch.randn(2, 1, 4, 2, generator=seeded())
    torch.testing.assert_close(x0_from(gaussian, answer, xt, t, "v"), -answer, atol=1e-4, rtol=0)


def test_padding_does_not_count():
    answer, target = torch.zeros(2, 4, 2), torch.ones(2, 4, 2)
    mask = torch.tensor([[True, True, False, False], [True, False, False, False]])
    target[~mask] = 99.0
    assert float(consistency_loss(answer, target, mask)) == 1.0
