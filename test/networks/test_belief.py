import math

import pytest
import torch

from ddpm_controller.networks.belief import BeliefEncoder, HistoryEncoder

CELLS = pytest.mark.parametrize("cell", ["gru", "lstm", "transformer"])


def encoder(cell="gru"):
    torch.manual_seed(0)
    return HistoryEncoder(feature_dim=3, action_dim=2, size=8, cell=cell, reach=7).eval()


def run(length=7, rows=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, length, 3, generator=generator)
    actions = torch.randn(rows, length, 2, generator=generator)
    return features, actions


def valid_from(first, length=7):
    return torch.arange(length)[None] >= torch.tensor(first)[:, None]


def stepped(mine, features, actions, first):
    state = mine.begin(1)
    for k in range(first, features.shape[0]):
        state = mine.advance(state, features[k : k + 1], actions[k : k + 1])
    return mine.read(state)[0]


@CELLS
def test_a_whole_sequence_says_what_its_steps_say(cell):
    mine, (features, actions) = encoder(cell), run()
    first = [0, 2, 6, 3]
    beliefs = mine(features, actions, valid_from(first))
    for row, begun in enumerate(first):
        for last in range(begun, 7):
            alone = stepped(mine, features[row, : last + 1], actions[row, : last + 1], begun)
            # Sums of float32 in another order.
            torch.testing.assert_close(beliefs[row, last], alone, rtol=0, atol=4e-6)


@CELLS
def test_what_was_before_a_run_began_changes_nothing(cell):
    mine, (features, actions) = encoder(cell), run()
    valid = valid_from([3, 3, 3, 3])
    beliefs = mine(features, actions, valid)
    features[:, :3], actions[:, :3] = 9.0, float("nan")
    assert torch.equal(mine(features, actions, valid), beliefs)
    assert torch.equal(beliefs[:, :3], torch.zeros(4, 3, 8))


def test_an_action_that_is_not_known_is_not_an_action_of_zero():
    mine, (features, _) = encoder(), run()
    state = mine.begin(4)
    unknown = mine.advance(state, features[:, 0], torch.full((4, 2), float("nan")))
    zero = mine.advance(state, features[:, 0], torch.zeros(4, 2))
    assert torch.isfinite(unknown).all()
    assert (unknown - zero).abs().max() > 1e-3


@CELLS
def test_a_gradient_reaches_the_first_observation_from_the_last_belief(cell):
    mine, (features, actions) = encoder(cell), run()
    features.requires_grad_(True)
    mine(features, actions, valid_from([0, 2, 0, 0]))[:, -1, 0].sum().backward()
    assert (features.grad[0, 0] != 0).all()
    assert (features.grad[1, :2] == 0).all()


def test_a_transformer_forgets_the_beginning_of_a_long_run():
    """As if the run had begun with the first of the ticks that are attended to."""
    mine, (features, actions) = encoder("transformer"), run(length=9, rows=1)
    long, longer, whole, short = (
        stepped(mine, features[0], actions[0], first) for first in (0, 1, 2, 3)
    )
    assert torch.equal(long, whole)
    assert torch.equal(longer, whole)
    assert (short - whole).abs().max() > 1e-3
    with pytest.raises(ValueError, match="9 ticks are more than the 7 attended to"):
        mine(features, actions, valid_from([0], length=9))


def test_runs_of_different_length_go_on_side_by_side():
    mine, (features, actions) = encoder("transformer"), run()
    states = mine.begin(4)
    for k in range(3):
        states[k + 1 :] = mine.advance(states[k + 1 :], features[k + 1 :, k], actions[k + 1 :, k])
    together = mine.read(mine.advance(states, features[:, 5], actions[:, 5]))
    for row in range(4):
        alone = mine.advance(states[[row]], features[[row], 5], actions[[row], 5])
        torch.testing.assert_close(together[row], mine.read(alone)[0], rtol=0, atol=1e-6)


def test_the_past_that_a_belief_tells_costs_its_squared_error_where_there_was_one():
    torch.manual_seed(0)
    mine = BeliefEncoder(feature_dim=3, action_dim=2, size=8, past_steps=3)
    (features, actions), valid = run(length=3, rows=2), valid_from([0, 1], length=3)
    actions[0, 0], actions[1, :2] = float("nan"), float("nan")  # nothing is executed before
    beliefs = mine(features, actions, valid)
    squares = []
    for row, tick, back in [(0, 1, 0), (0, 2, 0), (0, 2, 1), (1, 2, 0)]:
        told = mine.past(beliefs[row, tick]).reshape(3, 2)[back]
        squares += ((told - actions[row, tick - back]) ** 2).tolist()
    loss = mine.past_loss(beliefs, actions)
    assert loss.item() == pytest.approx(sum(squares) / len(squares), rel=1e-5)
    loss.backward()
    assert mine.cells.weight_hh_l0.grad.abs().sum() > 0


def test_the_future_that_a_belief_tells_costs_its_squared_error_where_there_is_one():
    torch.manual_seed(0)
    mine = BeliefEncoder(feature_dim=3, action_dim=2, size=8, future_steps=2)
    (features, actions), valid = run(length=3, rows=2), valid_from([0, 1], length=3)
    wanted = torch.rand(2, 4, 2)
    wanted[1, 3] = float("nan")  # this episode ends
    beliefs = mine(features, actions, valid)
    squares = []
    for row, tick, ahead in [
        *((0, tick, ahead) for tick in range(3) for ahead in range(2)),
        *((1, tick, ahead) for tick in (1, 2) for ahead in range(2)),
    ]:
        told = mine.future(beliefs[row, tick]).reshape(2, 2)[ahead]
        squares += ((told - wanted[row, tick + ahead]) ** 2).tolist()
    known = [each for each in squares if each == each]
    assert len(known) == len(squares) - 2
    loss = mine.future_loss(beliefs, wanted, valid)
    assert loss.item() == pytest.approx(sum(known) / len(known), rel=1e-5)
    loss.backward()
    assert mine.cells.weight_hh_l0.grad.abs().sum() > 0


def test_what_is_expected_is_learned_aside_and_costs_what_a_gaussian_costs():
    torch.manual_seed(0)
    mine = BeliefEncoder(feature_dim=3, action_dim=2, size=8)
    features, actions = run(length=3, rows=2)
    valid = valid_from([0, 1], length=3)
    beliefs = mine(features, actions, valid)
    loss = mine.expectation_loss(beliefs, features, valid)
    nats = []
    for row, k in ((0, 0), (0, 1), (1, 1)):  # of run 1 the belief of row 0 is none
        mean, log_deviation = mine.expected(beliefs[row, k])
        gaussian = torch.distributions.Normal(mean, log_deviation.exp())
        nats.append(-gaussian.log_prob(features[row, k + 1]).mean())
    assert math.isclose(loss.item(), torch.stack(nats).mean().item(), rel_tol=1e-5)
    loss.backward()
    assert mine.inputs.weight.grad is None
    assert (mine.ahead.weight.grad != 0).any()
