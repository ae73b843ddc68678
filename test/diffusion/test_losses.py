import pytest
import torch

from ddpm_controller.diffusion.bound import variational_bound
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.losses import bound_losses, hybrid_loss, simple_loss
from ddpm_controller.diffusion.schedules import cosine_betas
from ddpm_controller.diffusion.targets import training_target, x0_from


def test_the_loss_is_the_mean_squared_error():
    answer = torch.tensor([[[1.0, 2.0], [3.0, -4.0]]])
    target = torch.tensor([[[0.0, 2.0], [1.0, -1.0]]])
    assert simple_loss(answer, target).item() == pytest.approx((1 + 0 + 4 + 9) / 4)


def test_padding_counts_neither_in_the_sum_nor_in_the_number():
    answer = torch.tensor([[[1.0, 2.0], [3.0, -4.0]]], requires_grad=True)
    target = torch.tensor([[[0.0, 0.0], [1.0, -1.0]]])
    mask = torch.tensor([[True, False]])
    loss = simple_loss(answer, target, mask)
    assert loss.item() == pytest.approx((1 + 4) / 2)
    loss.backward()
    assert answer.grad is not None
    assert answer.grad[0, 1].tolist() == [0.0, 0.0]
    assert answer.grad[0, 0].tolist() == [1.0, 2.0]


def test_a_batch_of_padding_is_no_loss_and_not_a_division_by_zero():
    ones = torch.ones(1, 2, 3)
    assert simple_loss(ones, -ones, torch.zeros(1, 2, dtype=torch.bool)).item() == 0.0


def test_shapes_that_broadcasting_would_hide_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        simple_loss(torch.ones(2, 3, 1), torch.ones(2, 3, 4))
    with pytest.raises(ValueError, match="mask"):
        simple_loss(torch.ones(2, 3, 4), torch.ones(2, 3, 4), torch.ones(3, 2, dtype=torch.bool))


PROCESS = GaussianProcess(cosine_betas(10))


def noisy(count: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x_0, x_t and t of ``count`` chunks, one at every timestep in turn."""
    source = torch.Generator().manual_seed(0)
    x0 = torch.rand(count, 3, 2, generator=source, dtype=torch.float64) - 0.5
    noise = torch.randn(count, 3, 2, generator=source, dtype=torch.float64)
    t = torch.arange(count) % 10
    return x0, PROCESS.sample(x0, t, noise), t


def test_the_mean_of_bound_losses_over_all_timesteps_is_the_bound_without_its_prior():
    x0, _, t = noisy()
    x0 = x0[:1].expand(10, 3, 2)
    predicted, fraction = torch.full_like(x0, 0.1), torch.full_like(x0, 0.4)
    losses = bound_losses(PROCESS, x0, predicted, t, fraction)
    bound = variational_bound(
        PROCESS,
        lambda xt, t: torch.full_like(xt, 0.1),
        x0[:1],
        torch.Generator(),
        variance="learned_range",
        predict_fraction=lambda xt, t: torch.full_like(xt, 0.4),
    )
    torch.testing.assert_close(losses / 10, bound.steps[:, 0].mean((1, 2)))
    torch.testing.assert_close(losses.mean(), bound.steps.sum(0).mean())


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_the_hybrid_loss_is_its_two_parts(prediction):
    x0, xt, t = noisy()
    target = training_target(PROCESS, x0, xt, t, prediction)
    answer, fraction = target + 0.1, torch.full_like(x0, 0.3)
    predicted = x0_from(PROCESS, answer, xt, t, prediction)
    bound = bound_losses(PROCESS, x0, predicted, t, fraction).mean()
    hybrid = hybrid_loss(PROCESS, x0, xt, t, answer, fraction, prediction)
    assert hybrid.item() == pytest.approx(0.01 + 0.001 * bound.item())
    heavier = hybrid_loss(PROCESS, x0, xt, t, answer, fraction, prediction, weight=0.5)
    assert heavier.item() == pytest.approx(0.01 + 0.5 * bound.item())


def test_the_bound_teaches_the_variance_and_leaves_the_mean_alone():
    x0, xt, t = noisy()
    answer = torch.zeros_like(x0, requires_grad=True)
    fraction = torch.full_like(x0, 0.3, requires_grad=True)
    hybrid_loss(PROCESS, x0, xt, t, answer, fraction, "epsilon", weight=10.0).backward()
    alone = torch.zeros_like(x0, requires_grad=True)
    simple_loss(alone, training_target(PROCESS, x0, xt, t, "epsilon")).backward()
    assert torch.equal(answer.grad, alone.grad)
    assert bool((fraction.grad != 0).all())
    assert bool(torch.isfinite(fraction.grad).all())  # also at t = 0, where beta~ is 0


def test_the_best_fraction_is_the_one_that_fits_the_error():
    """The bound is least where Sigma is beta~ plus the squared error of the mean."""
    x0, _, t = noisy()
    error = 0.3
    exact = PROCESS.posterior(torch.full_like(x0, error), torch.zeros_like(x0), t)[0].square()
    losses = [
        bound_losses(PROCESS, x0, x0 - error, t, torch.full_like(x0, fraction))
        for fraction in torch.linspace(0, 1, 41).tolist()
    ]
    best = torch.linspace(0, 1, 41).double()[torch.stack(losses).argmin(0)]
    for index in (2, 5, 8):
        small, large = PROCESS.posterior_variance[index], PROCESS.betas[index]
        wanted = (small + exact[index, 0, 0]).log()
        expected = (wanted - small.log()) / (large.log() - small.log())
        # The grid is 0.025 wide; beyond its ends an end is the best.
        assert float(best[index]) == pytest.approx(float(expected.clamp(0, 1)), abs=0.0126)


def test_padding_is_not_in_the_bound_loss():
    x0, _, t = noisy()
    mask = torch.ones(10, 3, dtype=torch.bool)
    mask[:, 2] = False
    mask[4] = False
    fraction = torch.full_like(x0, 0.3)
    got = bound_losses(PROCESS, x0, 0 * x0, t, fraction, mask)
    shorter = bound_losses(PROCESS, x0[:, :2], 0 * x0[:, :2], t, fraction[:, :2])
    assert got[4].item() == 0.0
    torch.testing.assert_close(got[[0, 1, 5, 9]], shorter[[0, 1, 5, 9]])
    answer = 0 * x0
    hybrid = hybrid_loss(PROCESS, x0, x0, t, answer, fraction, "x0", mask)
    assert hybrid.item() == pytest.approx(
        simple_loss(answer, x0, mask).item() + 0.001 * got.mean().item()
    )
