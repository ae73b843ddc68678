import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.guidance import (
    classifier_free,
    clipped,
    cost_guided,
    dynamically_thresholded,
)
from ddpm_controller.diffusion.samplers import SAMPLERS
from ddpm_controller.diffusion.schedules import cosine_betas

T = torch.tensor([0])


def always(values):
    return lambda xt, t: torch.tensor(values, dtype=xt.dtype).expand_as(xt)


def test_clipping_holds_both_sides():
    xt = torch.tensor([[-3.0, -0.5, 0.5, 3.0]])
    assert clipped(lambda xt, t: xt)(xt, T).tolist() == [[-1.0, -0.5, 0.5, 1.0]]
    assert clipped(lambda xt, t: xt, 2.0)(xt, T).tolist() == [[-2.0, -0.5, 0.5, 2.0]]


def test_what_is_infinite_is_not_clipped_to_the_bound():
    xt = torch.tensor([[-float("inf"), 0.5, float("inf"), float("nan")]])
    for denoise in (clipped, dynamically_thresholded):
        found = denoise(lambda xt, t: xt)(xt, T)
        assert not torch.isfinite(found)[0, [0, 2, 3]].any()


def test_dynamic_thresholding_by_hand():
    """The median of 1, 2, 3, 4, 10 is 3: clipped to 3 and divided by it. Rows for themselves."""
    xt = torch.tensor([[1.0, -2.0, 3.0, -4.0, 10.0], [0.1, -0.2, 0.3, 0.4, -0.5]])
    found = dynamically_thresholded(lambda xt, t: xt, 0.5)(xt, T)
    torch.testing.assert_close(found[0], torch.tensor([1 / 3, -2 / 3, 1.0, -1.0, 1.0]))
    assert torch.equal(found[1], xt[1])  # inside [-1, 1] nothing is shrunk or stretched
    rows = dynamically_thresholded(lambda xt, t: xt, 0.5)(xt[:, None, :, None], T)
    assert torch.equal(rows[:, 0, :, 0], found)


def test_classifier_free_guidance_goes_on_from_one_denoiser_past_the_other():
    conditional, unconditional = always([[1.0, 0.5]]), always([[0.2, 0.7]])
    xt = torch.zeros(1, 2)
    for scale, expected in (
        (0.0, [0.2, 0.7]),
        (1.0, [1.0, 0.5]),
        (0.5, [0.6, 0.6]),
        (3.0, [2.6, 0.1]),
    ):
        found = classifier_free(conditional, unconditional, scale)(xt, T)
        assert found[0].tolist() == pytest.approx(expected)


def test_guided_noise_is_the_noise_of_the_guided_x0():
    """Ho & Salimans 2022, Eq. 6 is written in the noise, with w = scale - 1."""
    process = GaussianProcess(cosine_betas(10))
    t, xt = torch.tensor([6]), torch.tensor([[0.3, -1.2]]).double()
    with_, without = always([[0.9, -0.3]]), always([[0.1, 0.2]])
    noises = [process.noise_from(xt, each(xt, t), t) for each in (with_, without)]
    guided = process.noise_from(xt, classifier_free(with_, without, 2.5)(xt, t), t)
    torch.testing.assert_close(guided, 2.5 * noises[0] - 1.5 * noises[1])


def test_a_cost_moves_x0_down_its_own_slope_by_hand():
    """The cost is |x0 - 1|^2 per row: its gradient is 2 (x0 - 1)."""
    x0 = torch.tensor([[0.0, 2.0], [1.0, -1.0]])
    guided = cost_guided(lambda xt, t: x0, lambda x: (x - 1).square().sum(1), 0.1)
    expected = torch.tensor([[0.2, 1.8], [1.0, -0.6]])
    torch.testing.assert_close(guided(x0, T), expected)
    with torch.inference_mode():  # as policies plan
        torch.testing.assert_close(guided(x0 + 0, T), expected)
    assert not x0.requires_grad


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_sampler_takes_a_guided_denoiser_and_ends_at_a_lower_cost(name):
    process = GaussianProcess(cosine_betas(50))

    def cost(x0):
        return (x0 - 0.8).square().sum(1)

    def sample(scale):
        generator = torch.Generator().manual_seed(0)
        denoise = cost_guided(lambda xt, t: 0.3 * torch.tanh(xt), cost, scale)
        return SAMPLERS[name](
            process, clipped(denoise), (32, 3), generator, torch.arange(4, 50, 9)
        )

    assert cost(sample(0.2)).mean() < 0.7 * cost(sample(0.0)).mean()


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_settings_out_of_range_are_refused(value):
    denoise = always([[0.0]])
    with pytest.raises(ValueError, match="bound must be above 0, got"):
        clipped(denoise, value)
    with pytest.raises(ValueError, match="quantile must be above 0 and at most 1, got"):
        dynamically_thresholded(denoise, value)
    if value != 0.0:
        with pytest.raises(ValueError, match="scale must be finite and at least 0, got"):
            classifier_free(denoise, denoise, value)
        with pytest.raises(ValueError, match="scale must be finite and at least 0, got"):
            cost_guided(denoise, lambda x: x.sum(1), value)
    with pytest.raises(ValueError, match="at most 1, got 1.5"):
        dynamically_thresholded(denoise, 1.5)


def test_a_cost_that_is_not_one_number_per_row_or_not_differentiable_is_refused():
    x0 = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"one number per row, \(2,\), got \(\)"):
        cost_guided(lambda xt, t: x0, lambda x: x.sum(), 1.0)(x0, T)
    with pytest.raises(ValueError, match="differentiable in x0"):
        cost_guided(lambda xt, t: x0, lambda x: x.detach().sum(1), 1.0)(x0, T)
