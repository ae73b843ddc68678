"""What a state that is the chunk before learns from, row by row: actions are ramps over time."""

import pytest
import torch
from small_diff_control import CHUNK_STATES, batch, network

from ddpm_controller.networks.recalled_chunk import recalled_chunk
from ddpm_controller.policies.diff_control import chunk_examples as diff_control_examples
from ddpm_controller.policies.diff_control.bound import remembering_bound
from ddpm_controller.policies.diff_control.chunk_examples import chunk_examples


def examples(net, given, seed=0):
    generator = torch.Generator().manual_seed(seed)
    found = chunk_examples(net.denoiser, net.config, given, generator)
    return found.batch, recalled_chunk(found.recalled, 8, 2)


def training(state="controlnet", **changes):
    plain = {"null_prior_share": 0.0, "prior_noise": 0.0}
    return network(state, **{**plain, **changes}).train()


def test_the_denoiser_gets_the_newest_observations_and_their_chunk():
    net = training()
    given = batch(net.config)
    now, _ = examples(net, given)
    assert now["actions"].shape == (6, 8, 2)
    assert torch.equal(now["actions"], given["actions"][:, 8:])
    assert torch.equal(now["mask"], given["mask"][:, 8:])
    assert torch.equal(now["values"]["camera"], given["values"]["camera"][:, 8:10])


def test_a_prior_is_what_the_chunk_before_says_for_the_moments_of_the_new_rows():
    """So on a demonstration it is the target itself, as far as it reaches."""
    net = training()
    now, prior = examples(net, batch(net.config, rows=64))
    target = net.denoiser.action_normalizer(now["actions"])
    torch.testing.assert_close(prior.rows, target * prior.valid, rtol=0, atol=1e-6)
    gaps = (prior.age[:, 0] * 8).round().long()
    assert sorted(set(gaps.tolist())) == [1, 2, 3, 4]  # up to n_action_steps
    assert prior.valid.sum((1, 2)).tolist() == (8 - gaps).tolist()


def test_without_the_shift_the_rows_are_those_of_an_earlier_moment():
    net = training(shift=False)
    now, prior = examples(net, batch(net.config, rows=16))
    late = (now["actions"] - net.denoiser.action_normalizer.unnormalize(prior.rows))[:, :, 0]
    rows = (prior.age * 8).round()
    torch.testing.assert_close(late, (0.01 * rows).expand(-1, 8).double(), rtol=0, atol=1e-5)
    assert prior.valid.all()


def test_there_is_no_prior_before_the_episode_had_begun():
    net = training()
    for begun, expected in ((0, {}), (2, {1, 2}), (100, {1, 2, 3, 4})):
        _, prior = examples(net, batch(net.config, rows=64, begun=begun))
        gaps = (prior.age[:, 0] * 8).round().long()
        assert set(gaps.tolist()) - {0} == set(expected)
        assert not prior.columns()[gaps == 0].any()


def test_the_end_of_an_episode_cannot_be_seen_in_the_prior():
    """Its mask tells the gap alone: else a policy would learn to stop by what it never has."""
    net = training()
    _, within = examples(net, batch(net.config, rows=16))
    _, at_end = examples(net, batch(net.config, rows=16, length=1))
    assert torch.equal(within.valid, at_end.valid)


def test_as_released_the_gap_is_fixed_and_at_the_start_the_prior_is_the_target():
    net = training("as_released")
    for begun, gap in ((0, 0), (2, 2), (100, 4)):
        now, prior = examples(net, batch(net.config, begun=begun))
        assert (prior.age * 8).round().unique().tolist() == [gap]
        if gap == 0:
            target = net.denoiser.action_normalizer(now["actions"])
            torch.testing.assert_close(prior.rows, target, rtol=0, atol=1e-6)


def test_some_priors_are_left_out_and_all_are_noisy():
    net = training(null_prior_share=0.25)
    _, prior = examples(net, batch(net.config, rows=400))
    missing = 1 - prior.exists.float().mean()
    assert missing == pytest.approx(0.25, abs=0.08)  # 3.7 deviations of 400 draws
    net = training(prior_noise=0.2)
    now, prior = examples(net, batch(net.config, rows=400))
    target = net.denoiser.action_normalizer(now["actions"])
    noise = (prior.rows - target) * prior.valid
    deviations = (noise.square().sum((1, 2)) / (2 * prior.valid.sum((1, 2)))).sqrt()
    # Uniform up to 0.2, so 0.1 in the mean, and the root of the mean square is 0.2 / sqrt(3).
    root = (noise.square().sum() / (2 * prior.valid.sum())).sqrt()
    assert root == pytest.approx(0.2 / 3**0.5, rel=0.08)
    assert deviations.mean() == pytest.approx(0.1, rel=0.1)
    assert deviations.max() < 0.4


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.74, 0.0), (0.75, 0.4), (1.0, 0.4)])
def test_late_in_the_training_some_priors_are_the_networks_own(monkeypatch, progress, share):
    net, seen = training(), []

    def sampled(denoiser, config, moments, columns, chunk, rows, generator):
        seen.append(rows)
        return torch.full((len(rows), 8, 2), 0.9)

    monkeypatch.setattr(diff_control_examples, "_sampled", sampled)
    given = {**batch(net.config, rows=300), "progress": progress}
    _, prior = examples(net, given)
    own = (prior.rows[:, 0, 0] == 0.9).float().mean()
    assert own == pytest.approx(share, abs=0.1)  # 3.5 deviations of 300 draws
    assert len(seen) == (share > 0)


def test_a_chunk_of_its_own_is_sampled_at_the_earlier_moment_given_the_one_before(monkeypatch):
    net = training(own_chunks_share=1.0)
    asked = []

    def sampled(denoiser, config, moments, columns, chunk, rows, generator):
        asked.append((moments, recalled_chunk(columns, 8, 2), rows))
        return torch.zeros(len(rows), 8, 2)

    monkeypatch.setattr(diff_control_examples, "_sampled", sampled)
    given = {**batch(net.config, rows=32, begun=5), "progress": 1.0}
    given["values"]["joint_state"] = (
        torch.arange(10.0)[None, :, None].expand(32, 10, 2).clone()
    )  # which moment it is
    _, prior = examples(net, given)
    ((moments, before, rows),) = asked
    assert rows.tolist() == list(range(32))
    gap = (prior.age[:, 0] * 8).round().long()
    newest = moments["values"]["joint_state"][:, -1, 0].long()
    assert newest.tolist() == (9 - gap).tolist()
    earlier = (before.age[:, 0] * 8).round().long()
    assert bool((gap + earlier <= 5).all())  # none is recalled from before the episode
    chunk = net.denoiser.action_normalizer.unnormalize(before.rows)[:, 0, 0]
    exists = before.exists
    assert exists.any()
    assert not exists.all()
    torch.testing.assert_close(
        chunk[exists], 0.01 * (newest[exists] - 1).clamp(min=4).double(), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_a_held_out_loss_is_that_of_running_it_with_its_own_chunks(monkeypatch, state):
    net = training(state, null_prior_share=1.0).eval()
    monkeypatch.setattr(
        diff_control_examples,
        "_sampled",
        lambda denoiser, config, moments, columns, chunk, rows, generator: torch.full(
            (len(rows), 8, 2), 0.9
        ),
    )
    _, prior = examples(net, batch(net.config))
    assert bool((prior.rows[prior.valid.expand(-1, -1, 2) == 1] == 0.9).all())
    assert prior.exists.all()


def own_chunk(state, columns, chunk, **changes):
    """A chunk that the network samples for two rows, with the noise of one seed."""
    net = network(state, policy={"clip_x0": True}, **changes).eval()
    given = batch(net.config, rows=2, begun=2)
    values = {name: each[:, 4:6] for name, each in given["values"].items()}
    return diff_control_examples._sampled(
        net.denoiser,
        net.config,
        {"values": values},
        columns,
        chunk,
        torch.tensor([0, 1]),
        torch.Generator().manual_seed(3),
    )


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_a_sampled_chunk_depends_on_what_is_recalled(state):
    chunk, columns = torch.zeros(2, 8, 2), torch.zeros(2, 8 * 3 + 1)
    own = own_chunk(state, columns, chunk)
    assert own.shape == (2, 8, 2)
    assert own.abs().max() <= 1.0
    other = columns.clone()
    other[:, 16:] = 1.0
    assert not torch.equal(own, own_chunk(state, other, chunk))


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_a_sampled_chunk_keeps_more_of_the_demonstrated_one_the_less_noise_it_gets(state):
    columns, steps = torch.zeros(2, 8 * 3 + 1), {"own_chunk_steps": 8}

    def told_apart(level):
        ends = [
            own_chunk(state, columns, torch.full((2, 8, 2), end), own_chunk_level=level, **steps)
            for end in (-0.5, 0.5)
        ]
        return (ends[1] - ends[0]).abs().mean()

    assert told_apart(1.0) < told_apart(0.3)


@pytest.mark.parametrize("state", CHUNK_STATES)
@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_the_loss_follows_from_the_generator_and_teaches_what_is_to_learn(state, progress):
    net = network(state).train()
    given = {**batch(net.config), "progress": progress}
    losses = [net.loss(given, torch.Generator().manual_seed(seed), 2) for seed in (1, 1, 2)]
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])
    losses[0].backward()
    for name, each in net.named_parameters():
        assert (each.grad is not None and bool(each.grad.any())) == each.requires_grad, name


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_the_bound_is_finite_and_needs_no_progress(state):
    net = network(state).eval()
    with torch.no_grad():
        bound = remembering_bound(net, batch(net.config), torch.Generator().manual_seed(0))
    assert bool(torch.isfinite(bound.per_dimension()))
