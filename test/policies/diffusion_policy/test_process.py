"""Learned and other forward processes, variances and the bound, of a whole policy."""

import math

import pytest
import torch
from small_policy import network

from ddpm_controller.diffusion.samplers import SAMPLERS
from ddpm_controller.policies.diffusion_policy.bound import policy_bound
from ddpm_controller.policies.diffusion_policy.denoiser import Denoiser
from ddpm_controller.policies.diffusion_policy.loss import denoising_loss, schedule_loss


def batch(size=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (size, 2, 16, 20, 3), generator=generator, dtype=torch.uint8)
    return {
        "values": {
            "joint_state": torch.rand(size, 2, 2, generator=generator) * 0.08,
            "camera": images,
        },
        "actions": torch.rand(size, 8, 2, generator=generator) * 0.08,
        "mask": torch.ones(size, 8, dtype=torch.bool),
    }


def bound_of(net, examples, **options):
    with torch.no_grad():
        return policy_bound(net.eval(), examples, torch.Generator().manual_seed(0), **options)


def taught(net, x0, cond, mask, generator):
    """One gradient of the schedule."""
    schedule_loss(net.unet, net.config, net.forward_process, x0, cond, mask, generator).backward()


def sampled(net, cond, name="ddim"):
    process = net.forward_process(cond)
    denoiser = Denoiser(net.eval().unet, net.config, process, cond)
    with torch.no_grad():
        return SAMPLERS[name](
            process, denoiser.predict_x0, (len(cond), 8, 2), torch.Generator().manual_seed(0)
        )


@pytest.mark.parametrize("kind", ["scalar", "element"])
def test_a_schedule_that_has_learned_nothing_yet_changes_nothing(kind):
    plain, learned = network(), network(forward_process=kind)
    learned.begin_with(plain.state_dict())
    cond = plain.encode(batch()["values"]).detach()
    # alpha_bar goes by way of its logarithm, in float64; chunks are float32.
    torch.testing.assert_close(sampled(learned, cond), sampled(plain, cond), atol=1e-5, rtol=0)
    wanted, found = (bound_of(net, batch()).total for net in (plain, learned))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["scalar", "element"])
def test_the_bound_teaches_the_schedule_and_nothing_else(kind):
    net = network(forward_process=kind)
    examples = batch()
    x0 = net.action_normalizer(examples["actions"])
    cond = net.encode(examples["values"])
    generator = torch.Generator().manual_seed(0)
    taught(net, x0, cond, examples["mask"], generator)
    moved = {
        name
        for name, weight in net.named_parameters()
        if weight.grad is not None and weight.grad.abs().sum() > 0
    }
    assert moved
    assert all(name.startswith("forward_process.schedule.") for name in moved), moved


@pytest.mark.parametrize("kind", ["scalar", "element"])
def test_the_error_of_denoising_does_not_teach_the_schedule(kind):
    """Else it would learn to leave the noise out."""
    net = network(forward_process=kind)
    examples = batch()
    x0 = net.action_normalizer(examples["actions"])
    cond = net.encode(examples["values"])
    process = net.forward_process(cond)
    t = torch.tensor([0, 5, 10, 19])
    generator = torch.Generator().manual_seed(0)
    loss, _ = denoising_loss(
        net.denoise, net.config, process, x0, t, cond, examples["mask"], generator
    )
    loss.backward()
    assert all(weight.grad is None for weight in net.forward_process.parameters())
    assert net.unet.out.bias.grad.abs().sum() > 0


def test_updates_on_the_bound_lower_the_bound_of_a_held_denoiser():
    net = network(forward_process="scalar", variance="fixed_large", bound_steps=5)
    examples = batch(16)
    before = bound_of(net, examples, num_steps=5, draws=20).per_dimension()
    optimizer = torch.optim.Adam(net.forward_process.parameters(), lr=0.05)
    x0 = net.action_normalizer(examples["actions"])
    cond = net.encode(examples["values"]).detach()
    for seed in range(60):
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(seed)
        taught(net, x0, cond, examples["mask"], generator)
        optimizer.step()
    after = bound_of(net, examples, num_steps=5, draws=20).per_dimension()
    assert after < before - 0.03  # nats; the noise of both estimates is below 0.01


def test_another_observation_changes_every_step_of_the_bound():
    net = network(prediction="x0", clip_x0=False)  # at T - 1 an x0 from epsilon is clipped
    examples = batch()
    other = {**examples, "values": {**examples["values"], "joint_state": torch.zeros(4, 2, 2)}}
    here, there = bound_of(net, examples), bound_of(net, other)
    assert ((here.steps - there.steps).abs().amax(dim=(1, 2, 3)) > 0).all()
    torch.testing.assert_close(here.prior, there.prior)  # knows the chunk and the schedule only


def test_the_bound_of_wider_units_is_larger_by_the_logarithm_of_their_width():
    net = network()
    wide = network()
    wide.action_normalizer.half_range *= 10.0
    examples = batch()
    moved = {**examples, "actions": examples["actions"] * 10.0}
    wide.action_normalizer.centre *= 10.0
    difference = bound_of(wide, moved).total - bound_of(net, examples).total
    torch.testing.assert_close(
        difference, torch.full_like(difference, math.log(10.0)), atol=1e-3, rtol=0
    )


def test_rows_beyond_the_episode_do_not_count_in_the_bound():
    examples = batch()
    examples["mask"][:, 5:] = False
    bound = bound_of(network(), examples)
    torch.testing.assert_close(bound.per_dimension(), bound.total[:, :5].mean())


def test_a_variance_is_learned_beside_what_was_learned_before():
    plain, net = network(), network(variance="learned_range")
    net.begin_with(plain.state_dict())
    xt, t = torch.randn(4, 8, 2), torch.tensor([0, 5, 10, 19])
    cond = plain.encode(batch()["values"])
    answer, fraction = net.denoise(xt, t, cond)
    torch.testing.assert_close(answer, plain.denoise(xt, t, cond)[0])
    torch.testing.assert_close(fraction, torch.full_like(fraction, 0.5))  # half-way between


def test_the_bound_teaches_the_variance_without_moving_the_mean():
    without, within = (network(variance="learned_range", bound_weight=w) for w in (0.0, 1.0))
    gradients = []
    for net in (without, within):
        net.loss(batch(), torch.Generator().manual_seed(0)).backward()
        gradients.append(net.unet.out.bias.grad)
    torch.testing.assert_close(gradients[0][:2], gradients[1][:2])
    assert gradients[0][2:].abs().sum() == 0
    assert (gradients[1][2:].abs() > 0).all()


def test_loss_aware_timesteps_remember_in_training_only_and_travel_with_the_weights():
    net = network(timestep_sampling="loss_second_moment")
    net.eval().loss(batch(), torch.Generator().manual_seed(0))
    assert net.timesteps.counts.sum() == 0
    net.train().loss(batch(), torch.Generator().manual_seed(0), 3)
    assert net.timesteps.counts.sum() == 12
    assert "timesteps.losses" in net.state_dict()


def test_without_signal_at_the_end_the_velocity_is_predicted():
    with pytest.raises(ValueError, match="prediction must be 'v' or 'x0' with zero_terminal_snr"):
        network(zero_terminal_snr=True)
    net = network(zero_terminal_snr=True, prediction="v")
    assert net.forward_process.fixed.alpha_bar[-1] < 1e-9
    assert torch.isfinite(sampled(net, net.encode(batch()["values"]).detach())).all()


def recorded(period_s=0.1, names=("two", "one"), tail=0.6):
    """Noise of the two joints, of which one has a memory and the other heavy tails."""
    return {
        "kind": "recorded_noise",
        "format_version": 1,
        "names": list(names),
        "units": ["m", "rad"],
        "period_s": period_s,
        "mean": [0.0, 0.0],
        "scale": [0.01, 0.2],
        "reflection": [[0.0, 0.8]],
        "correlation": [[1.0, 0.0], [0.0, 1.0]],
        "shapes_innovations": True,
        "elements": {"kind": "sinh_arcsinh", "skew": [0.0, 0.0], "tail": [tail, 1.0]},
    }


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_sampler_denoises_recorded_noise(name):
    net = network(forward_process="recorded", noise=recorded())
    chunk = sampled(net, net.encode(batch()["values"]).detach(), name)
    assert torch.isfinite(chunk).all()
    assert chunk.abs().max() <= 1.0


def test_recorded_noise_has_the_memory_of_its_joint():
    """The names of the file count, not its order."""
    net = network(forward_process="recorded", noise=recorded())
    process = net.forward_process(torch.zeros(1, 1))
    x0, noise = torch.zeros(4000, 8, 2), torch.randn(4000, 8, 2)
    xt = process.sample(x0, torch.zeros(4000, dtype=torch.long), noise)
    one, two = (torch.corrcoef(xt[:, 3:5, joint].T)[0, 1].item() for joint in (0, 1))
    assert one == pytest.approx(0.8, abs=0.04)  # of 4000 pairs: standard error below 0.016
    assert two == pytest.approx(0.0, abs=0.06)


def test_recorded_noise_trains_and_has_a_bound():
    net = network(forward_process="recorded", noise=recorded())
    loss = net.loss(batch(), torch.Generator().manual_seed(0))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(bound_of(net, batch()).total).all()


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (None, "noise belongs to forward_process 'recorded' and only to it"),
        (recorded(period_s=0.02), "rows 0.02 s apart, the actions are of 0.1 s"),
        (recorded(names=("two", "three")), r"no noise was fitted for \['one'\]"),
        ({"kind": "other"}, "not a noise file"),
    ],
)
def test_noise_that_does_not_fit_is_refused(noise, message):
    with pytest.raises(ValueError, match=message):
        network(forward_process="recorded", noise=noise)


def test_a_schedule_that_leaves_signal_at_the_end_is_a_warning_with_the_number():
    good, bad = network(), network(schedule="linear_unscaled")
    assert good.terminal_facts().warning == ""
    facts = bad.terminal_facts()
    assert facts.alpha_bar == pytest.approx(bad.forward_process.fixed.alpha_bar[-1].item())
    # Of +-1: half of alpha_bar (1 - 1) - log(1 - alpha_bar), Ho et al. 2020, Sec. 4.
    assert facts.prior_nats == pytest.approx(-0.5 * math.log1p(-facts.alpha_bar))
    assert f"{100 * facts.alpha_bar:.2g} % of the signal" in facts.warning
    assert f"alpha_bar_T = {facts.alpha_bar:.2g}" in str(facts)
