import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.schedules import cosine_betas, zero_terminal_snr
from ddpm_controller.diffusion.targets import training_target, x0_from

PREDICTIONS = pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])


@PREDICTIONS
def test_the_right_answer_leads_back_to_x0_at_every_timestep(prediction):
    process = GaussianProcess(cosine_betas(100))
    generator = torch.Generator().manual_seed(0)
    t = torch.arange(100)
    x0 = torch.randn(100, 4, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(100, 4, 3, generator=generator, dtype=torch.float64)
    xt = process.sample(x0, t, noise)
    answer = training_target(process, x0, xt, t, prediction)
    # At t = 99 alpha_bar is 2e-7: an error of 1e-16 in x_t is 1e-12 in x_0.
    torch.testing.assert_close(x0_from(process, answer, xt, t, prediction), x0, rtol=0, atol=1e-9)


def test_targets_by_hand():
    """alpha_bar 0.64: scales 0.8 and 0.6. x0 = 1, noise = -2."""
    process = GaussianProcess(torch.tensor([0.36], dtype=torch.float64))
    t, x0, noise = torch.tensor([0]), torch.tensor([[1.0]]), torch.tensor([[-2.0]])
    xt = torch.tensor([[-0.4]])  # 0.8 - 1.2
    assert training_target(process, x0, xt, t, "epsilon").item() == pytest.approx(-2.0)
    assert training_target(process, x0, xt, t, "x0").item() == 1.0
    assert training_target(process, x0, xt, t, "v").item() == pytest.approx(-1.6 - 0.6)
    assert x0_from(process, noise, xt, t, "epsilon").item() == pytest.approx(1.0)
    assert x0_from(process, torch.tensor([[-2.2]]), xt, t, "v").item() == pytest.approx(1.0)
    assert x0_from(process, torch.tensor([[2.2]]), xt, t, "v").item() == pytest.approx(-1.64)


def test_the_noise_that_is_learned_is_the_noise_that_x_has():
    """A process may shape its noise: what counts is x_t, of which the network must find x_0."""

    class Skewed(GaussianProcess):
        def sample(self, x0, t, noise):
            return super().sample(x0, t, noise.sinh())

    process = Skewed(cosine_betas(10))
    generator = torch.Generator().manual_seed(0)
    t, noise = torch.arange(10), torch.randn(10, 3, generator=generator).double()
    x0 = torch.randn(10, 3, generator=generator).double()
    xt = process.sample(x0, t, noise)
    target = training_target(process, x0, xt, t, "epsilon")
    torch.testing.assert_close(target, noise.sinh())
    torch.testing.assert_close(x0_from(process, target, xt, t, "epsilon"), x0)


def test_the_noise_is_no_answer_where_no_signal_is_left():
    process = GaussianProcess(zero_terminal_snr(cosine_betas(20)))
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 2, 3, generator=generator)
    t = torch.tensor([3, 19])
    xt = process.sample(x0, t, noise)
    with pytest.raises(ValueError, match=r"is 1e-05, at t = 19: predict 'v' or 'x0'"):
        x0_from(process, noise, xt, t, "epsilon")
    x0_from(process, noise, xt, t - 1, "epsilon")
    for prediction in ("v", "x0"):
        answer = training_target(process, x0, xt, t, prediction)
        # Float32; with epsilon an error of 1e-7 in x_t would be one of 0.01 here.
        torch.testing.assert_close(
            x0_from(process, answer, xt, t, prediction), x0, rtol=0, atol=1e-5
        )


def test_every_shipped_schedule_leaves_enough_signal_for_predicting_the_noise():
    process = GaussianProcess(cosine_betas(1000))
    t, xt = torch.tensor([999]), torch.ones(1, 2)
    assert torch.isfinite(x0_from(process, xt, xt, t, "epsilon")).all()


def test_an_unknown_prediction_is_refused():
    process = GaussianProcess(cosine_betas(10))
    one, t = torch.ones(1, 1), torch.tensor([0])
    with pytest.raises(ValueError, match="'noise' is unknown"):
        training_target(process, one, one, t, "noise")
    with pytest.raises(ValueError, match="'noise' is unknown"):
        x0_from(process, one, one, t, "noise")


def test_shapes_that_broadcasting_would_hide_are_refused():
    process = GaussianProcess(cosine_betas(10))
    rows, t = torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)
    for function in (training_target, x0_from):
        with pytest.raises(ValueError, match=r"do not fit: \[\(4, 1\), \(4, 2\), \(4,\)\]"):
            function(process, rows[:, :1], rows, t, "v")
        with pytest.raises(ValueError, match=r"do not fit: .*\(2,\)\]"):
            function(process, rows, rows, t[:2], "v")
