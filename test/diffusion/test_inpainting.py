import math

import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.inpainting import prefix_weights, replaced, rtc_guided
from ddpm_controller.diffusion.samplers import SAMPLERS, sample_ddim, sample_ddpm
from ddpm_controller.diffusion.schedules import cosine_betas
from ddpm_controller.diffusion.timesteps import spaced_timesteps

PROCESS = GaussianProcess(cosine_betas(40))
SHAPE = (3, 6, 2)
SLOPE, SHIFT = 0.35, 0.1


def linear(xt, t):
    """A denoiser whose Jacobian is known: x0 = M_t x + c, mixing neighbouring rows."""
    mixed = xt + SLOPE * xt.roll(1, dims=1)
    return mixed * (1 - t.to(xt) / 100)[:, None, None] + SHIFT


def generator():
    return torch.Generator().manual_seed(3)


def target():
    return torch.linspace(-0.8, 0.8, math.prod(SHAPE)).reshape(SHAPE)


def test_weights_are_those_of_the_paper_by_hand():
    """RTC, Eq. 5 with H = 6, d = 2, s = 2: c = 2/3 and 1/3 on rows 2 and 3."""
    exp = [c * (math.exp(c) - 1) / (math.e - 1) for c in (2 / 3, 1 / 3)]
    for schedule, between in (("ones", [1, 1]), ("linear", [2 / 3, 1 / 3]), ("exp", exp)):
        weights = prefix_weights(6, 2, 4, schedule)
        assert weights.tolist() == pytest.approx([1, 1, *between, 0, 0], abs=1e-12)


def test_weights_never_rise_and_may_be_all_or_nothing():
    for schedule in ("ones", "linear", "exp"):
        for frozen in range(7):
            weights = prefix_weights(8, frozen, 6, schedule)
            assert (weights.diff() <= 0).all()
            assert (weights[:frozen] == 1).all()
            assert (weights[6:] == 0).all()
        assert (prefix_weights(8, 8, 8, schedule) == 1).all()
        assert (prefix_weights(8, 0, 0, schedule) == 0).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((8, -1, 4), "frozen -1, overlap 4, horizon 8"),
        ((8, 5, 4), "frozen 5, overlap 4"),
        ((8, 2, 9), "overlap 9, horizon 8"),
    ],
)
def test_rows_out_of_order_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        prefix_weights(*rows)
    with pytest.raises(ValueError, match="schedule 'cubic' is unknown: use one of"):
        prefix_weights(8, 2, 4, "cubic")


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_a_weight_of_one_gives_the_target_exactly_and_of_zero_the_plain_sample(name):
    sampler = SAMPLERS[name]
    weight = torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0, 0.0])[:, None]
    # Some samplers mix neighbouring rows of nothing: rows of weight 0 hear of the others only
    # through the denoiser, so a denoiser of its own row leaves them as they were.
    own_row = lambda xt, t: 0.8 * xt * (1 - t.to(xt) / 100)[:, None, None]  # noqa: E731
    steps = spaced_timesteps(40, 8)
    plain = sampler(PROCESS, own_row, SHAPE, generator(), steps)
    held = sampler(PROCESS, replaced(own_row, target(), weight), SHAPE, generator(), steps)
    assert torch.equal(held[:, :2], target()[:, :2])
    assert torch.equal(held[:, 3:], plain[:, 3:])
    assert not torch.allclose(held[:, 2], plain[:, 2])


def test_what_is_held_reaches_the_other_rows_through_the_denoiser():
    weight = prefix_weights(6, 2, 2)[:, None]
    steps = spaced_timesteps(40, 8)
    plain = sample_ddim(PROCESS, linear, SHAPE, generator(), steps)
    held = sample_ddim(PROCESS, replaced(linear, target(), weight), SHAPE, generator(), steps)
    # Row 2 is made of row 1, which is held far from where it would have gone.
    assert ((held - plain)[:, 2].abs() > 0.01).any()


def test_soft_replacement_is_a_mean_of_target_and_estimate():
    weight = torch.full((1, 6, 1), 0.25)
    xt, t = torch.randn(SHAPE, generator=generator()), torch.tensor([5, 5, 5])
    soft = replaced(linear, target(), weight)(xt, t)
    torch.testing.assert_close(soft, 0.75 * linear(xt, t) + 0.25 * target())


@pytest.mark.parametrize("t", [0, 12, 30, 38])
def test_guidance_with_a_jacobian_of_one_is_the_formula_by_hand(t):
    """RTC's guided velocity in flow variables, then its x_0: another way to the same number."""
    weight = prefix_weights(6, 2, 5, "linear")[:, None].double()
    xt, steps = torch.randn(SHAPE, generator=generator()).double(), torch.full((3,), t)
    a, b = (float(PROCESS.alpha_bar[t] ** 0.5), float((1 - PROCESS.alpha_bar[t]) ** 0.5))
    tau = a / (a + b)
    x0 = linear(xt, steps)
    velocity = (x0 - xt / (a + b)) / (1 - tau)
    r_squared = (1 - tau) ** 2 / (tau**2 + (1 - tau) ** 2)
    factor = min(5.0, (1 - tau) / (tau * r_squared))
    velocity = velocity + factor * weight * (target().double() - x0)
    expected = xt / (a + b) + (1 - tau) * velocity
    guided = rtc_guided(linear, PROCESS, target(), weight)(xt, steps)
    # target() is float32, the rest float64.
    torch.testing.assert_close(guided, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("inference", [True, False])
def test_the_exact_jacobian_is_that_of_a_linear_denoiser(inference):
    """J^T v by hand: the transpose of rolling forward is rolling back."""
    weight = prefix_weights(6, 2, 5)[:, None].double()
    t = torch.full((3,), 20)
    xt = torch.randn(SHAPE, generator=generator()).double()
    a, b = (float(PROCESS.alpha_bar[20] ** 0.5), float((1 - PROCESS.alpha_bar[20]) ** 0.5))
    x0 = linear(xt, t)
    pull = weight * (target().double() - x0)
    slope = 0.8 * (pull + SLOPE * pull.roll(-1, dims=1))
    expected = x0 + b * min(2.0, 1 / (a * b)) * slope
    guide = rtc_guided(linear, PROCESS, target().double(), weight, beta=2.0, exact=True)
    with torch.inference_mode(inference):
        guided = guide(xt, t)
    torch.testing.assert_close(guided, expected, rtol=0, atol=1e-12)
    assert not guided.requires_grad


def test_both_jacobians_draw_a_sample_towards_the_target_and_zero_weight_does_not():
    weight = prefix_weights(6, 2, 5, "ones")[:, None]
    steps = spaced_timesteps(40, 8)

    def distance(predict_x0):
        drawn = sample_ddpm(PROCESS, predict_x0, SHAPE, generator(), steps)
        return float((drawn - target())[:, :2].abs().mean())

    plain = distance(linear)
    for exact in (False, True):
        guided = distance(rtc_guided(linear, PROCESS, target(), weight, exact=exact))
        assert guided < 0.6 * plain
        unguided = distance(rtc_guided(linear, PROCESS, target(), 0 * weight, exact=exact))
        assert unguided == plain


def test_what_cannot_guide_is_refused():
    wrong = torch.full((6, 1), 1.5)
    for made in (replaced, lambda *args: rtc_guided(args[0], PROCESS, *args[1:])):
        with pytest.raises(ValueError, match=r"weights must lie in \[0, 1\], got 1.5"):
            made(linear, target(), wrong)
    with pytest.raises(ValueError, match="beta must be finite and above 0, got 0"):
        rtc_guided(linear, PROCESS, target(), torch.ones(6, 1), beta=0.0)
    blind = rtc_guided(lambda xt, t: target(), PROCESS, target(), torch.ones(6, 1), exact=True)
    with pytest.raises(ValueError, match="must be differentiable in xt"):
        blind(torch.zeros(SHAPE), torch.zeros(3, dtype=torch.int64))
