import pytest
import torch

from ddpm_controller.diffusion.timestep_sampling import LossAwareTimesteps


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def warm(losses: list[float], history: int = 10, uniform: float = 0.001) -> LossAwareTimesteps:
    timesteps = LossAwareTimesteps(len(losses), history, uniform)
    t = torch.arange(len(losses))
    for _ in range(history):
        timesteps.record(t, torch.tensor(losses))
    return timesteps


def test_chances_are_even_until_every_timestep_has_its_history():
    timesteps = LossAwareTimesteps(3, history=2)
    timesteps.record(torch.tensor([0, 0, 1, 1, 2]), torch.tensor([1.0, 1.0, 5.0, 5.0, 9.0]))
    assert timesteps.probabilities().tolist() == [1 / 3] * 3
    t, weights = timesteps.draw(1000, generator())
    assert weights.tolist() == [1.0] * 1000
    assert set(t.tolist()) == {0, 1, 2}
    timesteps.record(torch.tensor([2]), torch.tensor([9.0]))
    assert timesteps.probabilities().argmax() == 2


def test_chances_follow_the_second_moment_by_hand():
    """sqrt(E[L^2]): losses 3 and 4 make sqrt(12.5), twice 1 makes 1."""
    timesteps = LossAwareTimesteps(2, history=2, uniform=0.001)
    timesteps.record(torch.tensor([0, 0, 1, 1]), torch.tensor([3.0, 4.0, 1.0, 1.0]))
    share = 12.5**0.5 / (12.5**0.5 + 1)
    expected = [0.999 * share + 0.0005, 0.999 * (1 - share) + 0.0005]
    assert timesteps.probabilities().tolist() == pytest.approx(expected)


def test_a_timestep_without_loss_is_still_drawn():
    chances = warm([0.0, 1.0], uniform=0.1).probabilities()
    assert chances.tolist() == pytest.approx([0.05, 0.95])
    assert warm([0.0, 0.0]).probabilities().tolist() == [0.5, 0.5]


def test_weighted_losses_have_the_mean_of_uniform_timesteps():
    losses = torch.tensor([8.0, 1.0, 0.5, 0.1])
    timesteps = warm(losses.tolist(), uniform=0.01)
    t, weights = timesteps.draw(20_000, generator())
    weighted = weights * losses[t]
    # Four standard errors; uniform draws would have one that is 20 times as large.
    assert abs(float(weighted.mean() - losses.mean())) < 4 * float(weighted.std()) / 20_000**0.5
    assert float(weighted.std()) < 0.2 * float(losses.std())
    share = torch.bincount(t, minlength=4) / 20_000
    torch.testing.assert_close(share.double(), timesteps.probabilities(), rtol=0, atol=0.015)


def test_only_the_newest_losses_count():
    timesteps = warm([1.0, 1.0], history=3)
    timesteps.record(torch.tensor([0, 0, 0]), torch.tensor([7.0, 8.0, 9.0]))
    assert sorted(timesteps.losses[0].tolist()) == [7.0, 8.0, 9.0]
    timesteps.record(torch.tensor([0]), torch.tensor([2.0]))
    assert sorted(timesteps.losses[0].tolist()) == [2.0, 8.0, 9.0]
    assert timesteps.losses[1].tolist() == [1.0] * 3


def test_one_batch_may_hold_a_timestep_more_often_than_its_history():
    timesteps = LossAwareTimesteps(2, history=3)
    losses = torch.arange(1.0, 9.0)
    timesteps.record(torch.tensor([1, 0, 1, 1, 0, 1, 1, 0]), losses)
    assert sorted(timesteps.losses[1].tolist()) == [4.0, 6.0, 7.0]
    assert sorted(timesteps.losses[0].tolist()) == [2.0, 5.0, 8.0]
    one_by_one = LossAwareTimesteps(2, history=3)
    for t, loss in zip([1, 0, 1, 1, 0, 1, 1, 0], losses, strict=True):
        one_by_one.record(torch.tensor([t]), loss[None])
    assert torch.equal(one_by_one.losses, timesteps.losses)
    assert torch.equal(one_by_one.counts, timesteps.counts)


def steps(timesteps: LossAwareTimesteps, source: torch.Generator, count: int) -> list[list[int]]:
    """A training whose loss depends on t and on what it has drawn."""
    seen = []
    for _ in range(count):
        t, weights = timesteps.draw(8, source)
        timesteps.record(t, (t + 1.0) ** 2 * torch.rand(8, generator=source))
        seen.append([*t.tolist(), *weights.tolist()])
    return seen


def test_a_training_that_goes_on_from_its_state_draws_bit_for_bit_the_same():
    source = generator(7)
    through = LossAwareTimesteps(4, history=3)
    steps(through, source, 12)
    state = {name: value.clone() for name, value in through.state_dict().items()}
    random = source.get_state()
    expected = steps(through, source, 12)
    resumed, again = LossAwareTimesteps(4, history=3), generator()
    resumed.load_state_dict(state)
    again.set_state(random)
    assert steps(resumed, again, 12) == expected
    assert any(weight != 1.0 for row in expected for weight in row[8:])  # past the even start
    assert torch.equal(resumed.losses, through.losses)


def test_what_does_not_fit_is_refused():
    timesteps = LossAwareTimesteps(4)
    with pytest.raises(ValueError, match="losses must be finite, those at t = \\[3\\]"):
        timesteps.record(torch.tensor([1, 3]), torch.tensor([1.0, float("nan")]))
    assert int(timesteps.counts.sum()) == 0
    with pytest.raises(ValueError, match="must be \\(B,\\) both"):
        timesteps.record(torch.tensor([1, 3]), torch.ones(3))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        LossAwareTimesteps(0)
    with pytest.raises(ValueError, match="uniform must be above 0"):
        LossAwareTimesteps(4, uniform=0.0)
