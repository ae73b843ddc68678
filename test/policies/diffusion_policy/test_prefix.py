"""Rows that a denoiser is given clean: never in the loss, and nothing where none are given."""

import dataclasses

import pytest
import small_diff_control
import small_policy
import torch

from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.policies.diffusion_policy import network as network_module
from ddpm_controller.policies.diffusion_policy.bound import policy_bound
from ddpm_controller.policies.diffusion_policy.prefix import Given, drawn_prefix, network_input

MOST = 5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(size=4):
    return {
        "values": {
            "joint_state": torch.rand(size, 2, 2, generator=generator(1)) * 0.08,
            "camera": torch.randint(256, (size, 2, 16, 20, 3), generator=generator(2)).byte(),
        },
        "actions": torch.rand(size, 8, 2, generator=generator(3)) * 0.08,
        "mask": torch.ones(size, 8, dtype=torch.bool),
    }


def both(**changes):
    """A network without the column, and one that began with its weights and has it."""
    plain = small_policy.network(**changes)
    given = small_policy.network(prefix_rows=MOST, **changes)
    given.begin_with(plain.state_dict())
    return plain, given


def test_given_rows_are_the_first_and_their_number_is_even_from_none_on():
    which = drawn_prefix((6000, 8), MOST, generator())
    counts = torch.bincount(which.sum(1), minlength=9)
    assert (which == (torch.arange(8) < which.sum(1, keepdim=True))).all()
    assert counts[MOST + 1 :].sum() == 0
    # Five standard deviations of a binomial count.
    assert (counts[: MOST + 1] - 1000).abs().max() < 5 * 1000**0.5


def test_a_network_sees_given_rows_clean_and_which_they_are():
    xt, rows = torch.randn(2, 4, 3), torch.randn(2, 4, 3)
    which = torch.tensor([[True, True, False, False], [False] * 4])
    seen = network_input(xt, Given(rows, which))
    assert torch.equal(seen[..., 3], which.float())
    assert torch.equal(seen[0, :2, :3], rows[0, :2])
    assert torch.equal(seen[0, 2:, :3], xt[0, 2:])
    assert torch.equal(seen[1, :, :3], xt[1])
    assert torch.equal(network_input(xt, None), network_input(xt, Given(rows, which & False)))


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("variance", ["fixed_small", "learned_range"])
def test_given_rows_never_count_in_the_loss(prediction, variance):
    """What is answered there changes neither the loss nor its gradient."""
    _, net = both(prediction=prediction, variance=variance)
    found = []
    for wrong in (0.0, 100.0):
        seen = []

        def hooked(module, inputs, answer, wrong=wrong, seen=seen):
            column = inputs[0][..., -1:]
            seen.append(column)
            return answer + wrong * column

        handle = net.unet.register_forward_hook(hooked)
        net.zero_grad()
        loss = net.loss(batch(), generator(7), noise_draws=3)
        loss.backward()
        handle.remove()
        assert 0 < seen[0].mean() < 1
        found.append((loss.item(), net.unet.out.weight.grad.clone()))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


def test_the_loss_is_the_mean_over_rows_that_are_not_given():
    net = small_policy.network(prefix_rows=MOST)
    net.denoise = lambda xt, t, cond, given: (torch.zeros_like(xt), None)
    # Were given rows in the mean as zeros, it would be 1 - 2.5 / 8; standard error 1 %.
    assert net.loss(batch(), generator(), noise_draws=400).item() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("forward_process", ["fixed", "scalar", "element"])
def test_without_given_rows_training_is_that_of_a_network_without_the_column(
    monkeypatch, forward_process
):
    none = lambda shape, most, generator: torch.zeros(shape, dtype=torch.bool)  # noqa: E731
    monkeypatch.setattr(network_module, "drawn_prefix", none)
    plain, given = both(forward_process=forward_process)
    losses = [net.loss(batch(), generator(5)) for net in (plain, given)]
    # A product with one more column of zeros adds up in another order.
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-6)
    for loss in losses:
        loss.backward()
    gradients = dict(given.named_parameters())
    for name, each in plain.named_parameters():
        other = gradients[name].grad
        if other is not None and other.shape == each.grad.shape:
            torch.testing.assert_close(other, each.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("state", ["belief", "chunk_prior", "controlnet"])
def test_a_column_of_zeros_gives_the_numbers_of_the_network_without(state):
    plain = small_diff_control.network(state)
    given = small_diff_control.network(state, policy={"prefix_rows": MOST})
    given.begin_with(plain.state_dict())
    xt, t = torch.randn(3, 8, 2, generator=generator()), torch.tensor([0, 7, 19])
    cond = torch.randn(3, plain.denoiser.cond_dim, generator=generator(1))
    which = drawn_prefix((3, 8), MOST, generator())
    with torch.no_grad():
        wanted, _ = plain.denoiser.denoise(xt, t, cond)
        for rows in (None, Given(xt, which)):
            torch.testing.assert_close(given.denoiser.denoise(xt, t, cond, rows)[0], wanted)
    answers = [net(small_diff_control.batch(net.config), generator()) for net in (given, plain)]
    assert all(torch.isfinite(each) for each in answers)


def test_the_bound_and_the_loss_of_evaluation_are_of_whole_chunks():
    plain, given = (net.eval() for net in both())
    with torch.no_grad():
        losses = [net.loss(batch(), generator(4)) for net in (plain, given)]
        bounds = [policy_bound(net, batch(), generator(4), num_steps=4) for net in (plain, given)]
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(bounds[1].steps, bounds[0].steps, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [-1, 1, 2, 8])
def test_a_number_of_rows_that_no_plan_could_use_is_refused(rows):
    text = (
        f"prefix_rows must be 0, or between n_obs_steps \\+ 1 = 3 and horizon - 1 = 7, got {rows}"
    )
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(small_policy.CONFIG, prefix_rows=rows)


def test_the_published_code_of_a_control_branch_gives_no_rows():
    given = dataclasses.replace(small_policy.CONFIG, prefix_rows=4)
    with pytest.raises(ValueError, match="which gives no rows: use prefix_rows 0, got 'as_rel"):
        DiffControlConfig(policy=given, state="as_released")
