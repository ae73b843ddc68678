import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.schedules import cosine_betas
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
    answer = training_target(process, x0, noise, t, prediction)
    # At t = 99 alpha_bar is 2e-7: an error of 1e-16 in x_t is 1e-12 in x_0.
    torch.testing.assert_close(x0_from(process, answer, xt, t, prediction), x0, rtol=0, atol=1e-9)


def test_targets_by_hand():
    """alpha_bar 0.64: scales 0.8 and 0.6. x0 = 1, noise = -2."""
    process = GaussianProcess(torch.tensor([0.36], dtype=torch.float64))
    t, x0, noise = torch.tensor([0]), torch.tensor([[1.0]]), torch.tensor([[-2.0]])
    assert training_target(process, x0, noise, t, "epsilon").item() == -2.0
    assert training_target(process, x0, noise, t, "x0").item() == 1.0
    assert training_target(process, x0, noise, t, "v").item() == pytest.approx(-1.6 - 0.6)
    xt = torch.tensor([[-0.4]])  # 0.8 - 1.2
    assert x0_from(process, noise, xt, t, "epsilon").item() == pytest.approx(1.0)
    assert x0_from(process, torch.tensor([[-2.2]]), xt, t, "v").item() == pytest.approx(1.0)
    assert x0_from(process, torch.tensor([[2.2]]), xt, t, "v").item() == pytest.approx(-1.64)


def test_an_unknown_prediction_is_refused():
    process = GaussianProcess(cosine_betas(10))
    one, t = torch.ones(1, 1), torch.tensor([0])
    with pytest.raises(ValueError, match="'noise' is unknown"):
        training_target(process, one, one, t, "noise")
    with pytest.raises(ValueError, match="'noise' is unknown"):
        x0_from(process, one, one, t, "noise")
