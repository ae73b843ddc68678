import pytest
import torch
from small_noise import ELEMENTS, small_map

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.samplers import SAMPLERS
from ddpm_controller.diffusion.schedules import cosine_betas
from ddpm_controller.diffusion.shaped import (
    ShapedProcess,
    falling_strengths,
    matching_timestep,
)

BASE = GaussianProcess(cosine_betas(50))
STEPS = torch.tensor([0, 9, 19, 29, 39, 49])


def shaped_process(elements="scale_mixture", innovations=True, full_until=10):
    strengths = falling_strengths(50, full_until)
    return ShapedProcess(BASE, small_map(elements, innovations), strengths)


def chunks(num=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, 8, 2, generator=generator).double()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("elements", sorted(ELEMENTS))
@pytest.mark.parametrize("innovations", [True, False])
def test_the_noise_is_found_again_at_every_timestep(elements, innovations):
    process = shaped_process(elements, innovations)
    t, x0, eps = torch.arange(50), 0.3 * chunks(seed=1), chunks()
    xt = process.sample(x0, t, eps)
    # Division by the spread of t = 0, 0.02, amplifies rounding fifty times.
    torch.testing.assert_close(process.noise_from(xt, x0, t), eps, rtol=0, atol=1e-9)
    # 1 / signal is 4e4 at the last t of the cosine schedule.
    torch.testing.assert_close(process.x0_from(xt, eps, t), x0, rtol=0, atol=1e-9)


def test_without_strength_it_is_the_gaussian_process_bit_for_bit():
    plain = ShapedProcess(BASE, small_map(), torch.zeros(50).double())
    t, x0, eps = torch.arange(50), chunks(seed=1), chunks()
    assert torch.equal(plain.sample(x0, t, eps), BASE.sample(x0, t, eps))
    xt = BASE.sample(x0, t, eps)
    assert torch.equal(plain.noise_from(xt, x0, t), BASE.noise_from(xt, x0, t))
    assert torch.equal(plain.renewal(t, x0), BASE.renewal(t, x0))
    assert torch.equal(plain.log_slope(eps, t), torch.zeros_like(eps))
    assert torch.equal(plain.prior((3, 8, 2), seeded()), BASE.prior((3, 8, 2), seeded()))


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_sampler_runs_and_without_strength_gives_the_plain_sample(name):
    def predict(process):
        def predict_x0(xt, t):
            signal, noise = process.scales(t, xt)
            return torch.tanh(2 * signal * xt) * 0.8 + 0.1 * noise

        return predict_x0

    plain = ShapedProcess(BASE, small_map(), torch.zeros(50).double())
    process = shaped_process()
    shape = (4, 8, 2)
    same = SAMPLERS[name](plain, predict(plain), shape, seeded(), STEPS)
    expected = SAMPLERS[name](BASE, predict(BASE), shape, seeded(), STEPS)
    # Float32 rounding of six steps that are computed in another order.
    torch.testing.assert_close(same, expected, rtol=1e-4, atol=1e-5)
    other = SAMPLERS[name](process, predict(process), shape, seeded(), STEPS)
    assert torch.isfinite(other).all()
    assert other.shape == shape
    answer = torch.tensor([[[0.25, -0.5]]]).expand(shape)
    certain = SAMPLERS[name](process, lambda xt, t: answer, shape, seeded(), STEPS)
    torch.testing.assert_close(certain, answer, rtol=1e-4, atol=1e-5)


def test_stochastic_steps_of_a_sampler_keep_the_shape_of_the_noise():
    """An ideal denoiser of one known x0: x_t must be the recorded noise, not a Gaussian, at t."""
    process = shaped_process(full_until=30)
    seen = {}

    def predict_x0(xt, t):
        seen[int(t[0])] = xt
        return torch.zeros_like(xt)

    visited = torch.tensor([20, 35, 49])
    SAMPLERS["ddpm"](process, predict_x0, (4_000, 8, 2), seeded(), visited)
    t = torch.full((4_000,), 20)
    _, spread = BASE.scales(t, seen[20])
    sampled = (seen[20] / spread).double()
    drawn = process.noise_map.forward(chunks(4_000, seed=3))
    for moment in (2, 4):
        ratio = sampled.pow(moment).mean((0, 1)) / drawn.pow(moment).mean((0, 1))
        # Fourth moments of a heavy tail: standard errors of up to 10 %. A Gaussian's is a sixth.
        torch.testing.assert_close(ratio, torch.ones(2).double(), rtol=0.4, atol=0)
    memory = (sampled[:, 1:] * sampled[:, :-1]).mean((0, 1))
    expected = (drawn[:, 1:] * drawn[:, :-1]).mean((0, 1))
    # Products of heavy tails: draws of four seeds lie between 0.88 and 0.99. White noise has 0.
    torch.testing.assert_close(memory, expected, rtol=0, atol=0.15)


def test_the_noisiest_timestep_is_standard_normal_and_the_least_noisy_recorded():
    process = shaped_process()
    eps = chunks()
    last = torch.full((50,), 49)
    assert torch.equal(process.shaped(eps, last), eps)
    first = torch.zeros(50).long()
    torch.testing.assert_close(process.shaped(eps, first), process.noise_map.forward(eps))
    assert not torch.allclose(process.shaped(eps, first), eps, atol=0.1)


def test_a_part_of_the_timesteps_keeps_their_strengths():
    process = shaped_process()
    kept = torch.tensor([0, 20, 40])
    part = process.respaced(kept)
    x0, eps = chunks(3, 1), chunks(3)
    torch.testing.assert_close(
        part.sample(x0, torch.arange(3), eps), process.sample(x0, kept, eps)
    )
    torch.testing.assert_close(part.log_slope(eps, torch.arange(3)), process.log_slope(eps, kept))
    # It begins with the noise of t = 40, which still has some shape.
    plain = BASE.prior((3, 8, 2), seeded())
    torch.testing.assert_close(
        part.prior((3, 8, 2), seeded()), process.shaped(plain, torch.full((3,), 40))
    )


def test_log_slope_is_the_derivative_of_the_elementwise_part():
    process = shaped_process(innovations=False)
    eps, t = chunks(3), torch.tensor([0, 20, 49])
    at = process.noise_map.at(process.strengths[t])
    coloured = at.colouring.forward(eps).requires_grad_()
    (slope,) = torch.autograd.grad(at.elements.forward(coloured).sum(), coloured)
    torch.testing.assert_close(process.log_slope(eps, t).exp(), slope, rtol=1e-9, atol=1e-9)


def test_strengths_by_hand():
    strengths = falling_strengths(5, 1)
    # Half a cosine over the three steps after t = 1.
    assert strengths.tolist() == pytest.approx([1.0, 1.0, 0.75, 0.25, 0.0])
    assert strengths[-1] == 0.0
    assert falling_strengths(1).tolist() == [0.0]
    with pytest.raises(ValueError, match="T - 2 = 3, got 4"):
        falling_strengths(5, 4)


def test_the_matching_timestep_has_the_recorded_amount_of_noise():
    for wanted in (3, 17, 40):
        ratio = ((1 - BASE.alpha_bar[wanted]) / BASE.alpha_bar[wanted]).sqrt().item()
        assert matching_timestep(BASE, ratio) == wanted
    with pytest.raises(ValueError, match="above 0, got 0"):
        matching_timestep(BASE, 0)


@pytest.mark.parametrize(
    ("strengths", "message"),
    [
        (torch.ones(50).double(), "the last strength must be 0"),
        (torch.linspace(0, 1, 50).double(), "never rise"),
        (torch.zeros(49).double(), r"must be \(50,\) float64"),
        (torch.zeros(50), r"must be \(50,\) float64"),
        (torch.full((50,), 2.0).double(), "between 0 and 1"),
    ],
)
def test_strengths_that_break_a_rule_are_refused(strengths, message):
    with pytest.raises(ValueError, match=message):
        ShapedProcess(BASE, small_map(), strengths)
