from functools import partial

import pytest
import torch

from ddpm_controller.networks.control_branch import BranchAlongChain, ControlledUnet1d
from ddpm_controller.networks.prior_unet1d import PriorUnet1d
from ddpm_controller.networks.recalled_chunk import (
    RecalledChunk,
    recalled_chunk,
    recalled_dim,
    shifted,
)
from ddpm_controller.networks.unet1d import ConditionalUnet1d

HORIZON, ACTIONS, SEEN = 8, 3, 5
make = partial(
    ConditionalUnet1d,
    action_dim=ACTIONS,
    channels=(8, 16),
    kernel_size=3,
    num_groups=4,
    timestep_dim=8,
)


def controlled(trained=False, as_released=False, **sizes):
    """With ``trained`` every weight is random, as after a training; else as at birth."""
    torch.manual_seed(0)
    base = make(cond_dim=SEEN, **sizes)
    unet = ControlledUnet1d(base, horizon=HORIZON, as_released=as_released)
    if trained:
        for each in unet.branch.parameters():
            each.data.normal_(std=0.2)
    return unet


def with_prior():
    torch.manual_seed(0)
    return PriorUnet1d(make(cond_dim=SEEN + 1, input_dim=2 * ACTIONS + 1), horizon=HORIZON)


def question(rows=3, gap=2.0, null=()):
    """Return xt, t, cond with a chunk before of ``gap`` rows ago; rows of ``null`` lack it."""
    generator = torch.Generator().manual_seed(1)
    xt = torch.randn(rows, HORIZON, ACTIONS, generator=generator)
    chunk = torch.randn(rows, HORIZON, ACTIONS, generator=generator)
    kept = torch.tensor([row not in null for row in range(rows)])
    prior = shifted(chunk, torch.full((rows,), gap)).where(kept)
    seen = torch.randn(rows, SEEN, generator=generator)
    return xt, torch.arange(rows), torch.cat([seen, prior.columns()], dim=1)


def planned(unet, xt, t, cond, scale=None):
    modulation = unet.time_modulation(t) + unet.cond_modulation(cond)
    with torch.no_grad():
        if scale is None:
            return unet.denoise_modulated(xt, modulation)
        if isinstance(unet, PriorUnet1d):
            return unet.scaled(xt, modulation, scale)
        return unet.asked(xt, modulation, scale)[0]


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("answers", [1, 2])
def test_at_birth_the_branch_changes_nothing_at_all(answers, hidden):
    """Bit for bit, also at other scales; in training but for rounding, for layers that learn
    have sums of their own. The base's weights are random.
    """
    unet = controlled(answers=answers, cond_hidden=hidden)
    xt, t, cond = question()
    with torch.no_grad():
        expected = unet.base(xt, t, cond[:, :SEEN])
    assert expected.abs().max() > 0.1
    for scale in (1.0, 0.5, 1.5, 0.0):
        assert torch.equal(planned(unet, xt, t, cond, scale), expected)
    torch.testing.assert_close(unet(xt, t, cond), expected, rtol=0, atol=1e-5)


def test_a_branch_that_learned_changes_the_answer():
    """Else the test above would pass without a branch."""
    unet, (xt, t, cond) = controlled(trained=True), question()
    assert (planned(unet, xt, t, cond) - unet.base(xt, t, cond[:, :SEEN])).abs().max() > 0.1


def test_the_copy_has_the_weights_that_the_base_has_when_it_is_asked():
    unet = controlled()
    for each in unet.base.parameters():
        each.data.normal_()
    unet.copy_base()
    _, t, cond = question()
    seen = cond[:, :SEEN]
    of_base = unet.base.time_modulation(t) + unet.base.cond_modulation(seen)
    of_branch = unet.branch.time_modulation(t) + unet.branch.cond_modulation(seen)
    size = of_branch.shape[1]
    assert torch.equal(of_branch, of_base[:, :size])
    for name in ("down", "shorten", "middle"):
        theirs = getattr(unet.base, name).state_dict()
        for key, weight in getattr(unet.branch, name).state_dict().items():
            assert torch.equal(weight, theirs[key]), (name, key)


@pytest.mark.parametrize("as_released", [False, True])
def test_without_a_chunk_before_a_plan_is_the_bases_bit_for_bit(as_released):
    """The whole batch, and single rows of it up to the rounding of a batch."""
    unet = controlled(trained=True, as_released=as_released)
    xt, t, cond = question(null=(0, 1, 2))
    assert torch.equal(planned(unet, xt, t, cond), unet.base(xt, t, cond[:, :SEEN]))
    xt, t, cond = question(null=(1,))
    expected = unet.base(xt, t, cond[:, :SEEN])
    answer = planned(unet, xt, t, cond)
    assert torch.equal(answer[1], expected[1])
    assert (answer[0] - expected[0]).abs().max() > 0.01


def test_training_shows_the_branch_rows_without_a_chunk_before_too():
    unet = controlled(trained=True)
    xt, t, cond = question(null=(0, 1, 2))
    assert not torch.equal(unet(xt, t, cond), unet.base(xt, t, cond[:, :SEEN]))


@pytest.mark.parametrize("make", [lambda: controlled(trained=True), with_prior])
def test_the_scale_goes_from_no_prior_through_the_trained_answer_and_beyond(make):
    unet, (xt, t, cond) = make(), question()
    _, _, without = question(null=(0, 1, 2))
    null = planned(unet, xt, t, without)
    given = planned(unet, xt, t, cond)
    assert (given - null).abs().max() > 0.01
    for scale in (0.0, 0.3, 1.5):
        expected = null + scale * (given - null)
        answer = planned(unet, xt, t, cond, scale)
        torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(planned(unet, xt, t, without, scale), null)


def test_a_scale_of_zero_asks_the_base_alone(monkeypatch):
    unet = controlled(trained=True)
    monkeypatch.setattr(unet.branch, "forward", lambda *arguments: pytest.fail("it was asked"))
    planned(unet, *question(), scale=0.0)


@pytest.mark.parametrize("make", [lambda: controlled(trained=True), with_prior])
@pytest.mark.parametrize("column", ["row", "validity", "age"])
def test_rows_validity_and_age_of_the_chunk_before_all_matter(make, column):
    unet, (xt, t, cond) = make(), question()
    changed = cond.clone()
    place = {"row": SEEN, "validity": SEEN + HORIZON * ACTIONS, "age": -1}[column]
    changed[:, place] += 0.5
    difference = (unet(xt, t, changed) - unet(xt, t, cond)).abs().max()
    assert difference > 1e-4
    if column != "row":
        unet.told = False
        assert torch.equal(unet(xt, t, changed), unet(xt, t, cond))


@pytest.mark.parametrize("make", [lambda: controlled(trained=True), with_prior])
def test_planning_computes_what_training_does(make):
    unet, (xt, t, cond) = make(), question()
    torch.testing.assert_close(planned(unet, xt, t, cond), unet(xt, t, cond), rtol=1e-5, atol=1e-6)


def test_the_base_does_not_learn_and_all_of_the_branch_does():
    unet, (xt, t, cond) = controlled(trained=True), question()
    unet(xt, t, cond).square().sum().backward()
    learning = {name for name, each in unet.named_parameters() if each.grad is not None}
    assert learning == {name for name, _ in unet.named_parameters() if name.startswith("branch.")}
    assert all(each.grad.any() for each in unet.branch.parameters())


def test_at_birth_the_closed_layers_learn_first():
    """Zeros that cannot learn would close the branch for ever."""
    unet, (xt, t, cond) = controlled(), question()
    unet(xt, t, cond).square().sum().backward()
    for layer in (*unet.branch.of_skips, unet.branch.of_middle):
        assert layer.weight.grad.any()


def test_as_released_the_prior_is_added_to_the_chunk_and_the_skips_are_open():
    """The published defect: the base's answer is lost before the first update."""
    unet, (xt, t, cond) = controlled(as_released=True), question()
    assert (unet.branch.hint, len(unet.branch.of_skips)) == (None, 0)
    answer, base = unet(xt, t, cond), unet.base(xt, t, cond[:, :SEEN])
    assert (answer - base).norm() / base.norm() > 0.1
    moved = cond.clone()
    moved[:, SEEN : SEEN + HORIZON * ACTIONS] += 0.7
    # The branch sees the sum alone.
    of = [unet.branch.time_modulation(t) + unet.branch.cond_modulation(cond[:, :SEEN])] * 2
    prior = recalled_chunk(cond[:, SEEN:], HORIZON, ACTIONS)
    shifted_prior = recalled_chunk(moved[:, SEEN:], HORIZON, ACTIONS)
    one = unet.branch(xt + 0.7, of[0], prior)
    other = unet.branch(xt, of[1], shifted_prior)
    for a, b in zip(one.skips, other.skips, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_a_chunk_moves_to_the_moments_of_the_new_rows():
    chunk = torch.arange(8.0)[None, :, None].expand(2, 8, 1)
    moved = shifted(chunk, torch.tensor([3.0, 2.5]))
    assert moved.rows[0, :, 0].tolist() == [3, 4, 5, 6, 7, 0, 0, 0]
    assert moved.valid[0, :, 0].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert moved.rows[1, :, 0].tolist() == [2.5, 3.5, 4.5, 5.5, 6.5, 0, 0, 0]
    assert moved.age[:, 0].tolist() == [0.375, 0.3125]
    assert shifted(chunk, torch.tensor([8.0, 7.0])).exists.tolist() == [False, True]
    still = shifted(chunk, torch.tensor([3.0, 2.5]), shift=False)
    assert torch.equal(still.rows, chunk)
    assert still.age[:, 0].tolist() == [0.375, 0.3125]


def test_columns_are_the_chunk_and_back():
    chunk = torch.randn(2, HORIZON, ACTIONS)
    prior = shifted(chunk, torch.tensor([3.0, 1.0]))
    columns = prior.columns()
    assert columns.shape == (2, recalled_dim(HORIZON, ACTIONS))
    for one, other in zip(prior, recalled_chunk(columns, HORIZON, ACTIONS), strict=True):
        assert torch.equal(one, other)
    none = prior.where(torch.tensor([True, False]))
    assert none.exists.tolist() == [True, False]
    assert not none.columns()[1].any()
    assert isinstance(none, RecalledChunk)


def test_the_two_halves_of_a_unet_are_the_whole():
    torch.manual_seed(0)
    unet = make(cond_dim=SEEN)
    xt, t, cond = question()
    modulation = unet.time_modulation(t) + unet.cond_modulation(cond[:, :SEEN])
    down, up = unet.split_modulation(modulation)
    assert torch.equal(unet.decoded(unet.encoded(xt, down), up), unet(xt, t, cond[:, :SEEN]))


def along_chain(unet, every, timesteps, xt, cond, scale=1.0):
    """Return the answers along a chain, and at which steps the branch was asked."""
    asked, plain = [], unet.added
    unet.added = lambda *arguments: asked.append(1) or plain(*arguments)
    along, answers, when = BranchAlongChain(unet, scale, every), [], []
    for step, t in enumerate(timesteps):
        of_time = unet.time_modulation(torch.full((len(xt),), t))
        with torch.no_grad():
            answers.append(along(xt + 0.1 * step, t, of_time + unet.cond_modulation(cond)))
        if asked:
            when.append(step)
            asked.clear()
    del unet.added
    return answers, when


def test_along_a_chain_the_branch_is_asked_at_every_kth_step_and_anew_for_the_next_chain():
    unet, (xt, _, cond) = controlled(trained=True), question()
    timesteps = [9, 7, 5, 3, 9, 7, 5]
    exact, asked = along_chain(unet, 1, timesteps, xt, cond)
    assert asked == list(range(7))
    for step, t in enumerate(timesteps):
        expected = planned(unet, xt + 0.1 * step, torch.full((3,), t), cond)
        assert torch.equal(exact[step], expected)
    sparing, asked = along_chain(unet, 2, timesteps, xt, cond)
    assert asked == [0, 2, 4, 6]
    for step in range(7):
        assert torch.equal(sparing[step], exact[step]) == (step in asked)
    assert along_chain(unet, 3, timesteps, xt, cond)[1] == [0, 3, 4]


@pytest.mark.parametrize("scale", [0.4, 1.5])
def test_between_two_steps_a_scaled_transition_is_what_it_was_and_the_base_answers(scale):
    """Also in a batch in which a run has no chunk before."""
    unet, (xt, _, cond) = controlled(trained=True), question(null=(1,))
    kept = torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    seen, timesteps = cond[:, :SEEN], [9, 7, 5, 3, 9, 7]
    answers, asked = along_chain(unet, 3, timesteps, xt, cond, scale)
    assert asked == [0, 3, 4]
    for step, t in enumerate(timesteps):
        at = torch.full((3,), t)
        base = unet.base(xt + 0.1 * step, at, seen)
        if step in asked:
            transition = kept * (unet(xt + 0.1 * step, at, cond) - base)
        assert transition.abs().max() > 0.1
        expected = base + scale * transition
        torch.testing.assert_close(answers[step], expected, rtol=1e-5, atol=1e-5)


def test_along_a_chain_a_scaled_branch_that_has_learned_nothing_changes_nothing():
    unet, (xt, _, cond) = controlled(), question()
    answers, _ = along_chain(unet, 2, [9, 7], xt, cond, 0.5)
    for step, t in enumerate([9, 7]):
        expected = unet.base(xt + 0.1 * step, torch.full((3,), t), cond[:, :SEEN])
        assert torch.equal(answers[step], expected)


def test_along_a_chain_without_a_chunk_before_it_is_the_base():
    unet = controlled(trained=True)
    xt, _, cond = question(null=(0, 1, 2))
    answers, _ = along_chain(unet, 2, [9, 7], xt, cond)
    for step, t in enumerate([9, 7]):
        expected = unet.base(xt + 0.1 * step, torch.full((3,), t), cond[:, :SEEN])
        assert torch.equal(answers[step], expected)
