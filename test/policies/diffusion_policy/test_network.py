import dataclasses
import json

import pytest
import small_policy
import torch
from small_policy import ACTION_SPEC, STATISTICS, STREAMS

from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig, config_from
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.types import ActionSpec, StreamSpec

CONFIG = dataclasses.replace(small_policy.CONFIG, image_shift_pixels=2)


def network(**changes):
    return small_policy.network(**{"image_shift_pixels": 2, **changes})


def batch(size=3):
    generator = torch.Generator().manual_seed(1)
    return {
        "values": {
            "joint_state": torch.rand(size, 2, 2, generator=generator) * 0.08,
            "camera": torch.randint(
                256, (size, 2, 16, 20, 3), generator=generator, dtype=torch.uint8
            ),
        },
        "actions": torch.rand(size, 8, 2, generator=generator) * 0.08,
        "mask": torch.ones(size, 8, dtype=torch.bool),
    }


def loss_of(net, examples, seed=0, **options):
    return net.loss(examples, torch.Generator().manual_seed(seed), **options)


def test_the_condition_has_every_stream_at_every_step():
    net = network()
    examples = batch()
    cond = net.encode(examples["values"])
    assert cond.shape == (3, 2 * 2 + 2 * 2 * 4)
    # The vector comes first: normalized by its own limits, the older observation first.
    expected = torch.stack(
        [
            examples["values"]["joint_state"][..., 0] / 2,
            examples["values"]["joint_state"][..., 1] / 0.04 - 1,
        ],
        -1,
    ).flatten(1)
    torch.testing.assert_close(cond[:, :4], expected)


def test_an_image_is_encoded_the_same_wherever_it_stands():
    net = network()
    values = batch()["values"]
    values["camera"][:, 1] = values["camera"][:, 0]
    points = net.encode(values)[:, 4:]
    torch.testing.assert_close(points[:, :8], points[:, 8:])


def test_a_perfect_denoiser_has_no_loss_whatever_it_predicts():
    """The answer is worked out from x_t, which only works if x_t and t belong together."""
    for prediction in ("epsilon", "x0", "v"):
        net = network(prediction=prediction)
        examples = batch()
        x0 = net.action_normalizer(examples["actions"])

        def perfect(xt, t, cond, net=net, x0=x0, prediction=prediction):
            signal, spread = net.forward_process.fixed.scales(t, xt)
            clean = x0.repeat_interleave(4, dim=0)
            noise = (xt - signal * clean) / spread
            answers = {"epsilon": noise, "x0": clean, "v": signal * noise - spread * clean}
            return answers[prediction], None

        net.denoise = perfect
        assert loss_of(net, examples, noise_draws=4).item() < 1e-8


def test_a_silent_denoiser_loses_the_variance_of_the_noise():
    net = network()
    net.denoise = lambda xt, t, cond: (torch.zeros_like(xt), None)
    # 3 * 400 * 16 squares of N(0, 1): standard error 1 %.
    assert loss_of(net, batch(), noise_draws=400).item() == pytest.approx(1.0, abs=0.04)


def test_timesteps_are_uniform_for_any_number_of_draws():
    for draws in (1, 4):
        net = network()
        seen = []

        def record(xt, t, cond, seen=seen):
            seen.append(t)
            return xt, None

        net.denoise = record
        for seed in range(40):
            loss_of(net.eval(), batch(50), seed, noise_draws=draws)
        counts = torch.bincount(torch.cat(seen), minlength=20)
        assert counts.shape == (20,)
        expected = counts.sum().item() / 20
        # Five standard deviations of a binomial count.
        assert (counts - expected).abs().max().item() < 5 * expected**0.5


def test_many_draws_share_one_encoding_and_pair_up_with_their_own_example():
    net = network()
    calls = []
    net.encoders["camera"].register_forward_hook(lambda *arguments: calls.append(1))
    seen = []

    def record(xt, t, cond):
        seen.append(cond)
        return xt, None

    net.denoise = record
    examples = batch()
    loss_of(net.eval(), examples, noise_draws=3)
    assert len(calls) == 1
    cond = net.encode(examples["values"])
    torch.testing.assert_close(seen[0], cond[[0, 0, 0, 1, 1, 1, 2, 2, 2]])


def test_masked_rows_are_not_learned_from():
    """What a padded row holds does not matter for how the others are scored."""
    net = network()
    examples = batch()
    net.denoise = lambda xt, t, cond: (torch.zeros_like(xt), None)
    examples["mask"][:, 5:] = False
    loss = loss_of(net, examples).item()
    whole = {**examples, "mask": torch.ones(3, 8, dtype=torch.bool)}
    assert loss != loss_of(net, whole).item()
    examples["actions"][:, 5:] = 77.0
    assert loss == loss_of(net, examples).item()


def test_the_loss_is_a_function_of_the_generator():
    net = network()
    assert (
        loss_of(net, batch())
        == loss_of(net, batch())
        == net(batch(), torch.Generator().manual_seed(0))
    )
    assert loss_of(net, batch()) != loss_of(net, batch(), seed=1)


def test_images_are_shifted_in_training_only():
    net = network(image_shift_pixels=2)
    still = network(image_shift_pixels=0)
    net.denoise = still.denoise = lambda xt, t, cond: (xt + cond.sum(), None)
    assert loss_of(net.train(), batch()) != loss_of(still.train(), batch())
    assert loss_of(net.eval(), batch()) == loss_of(still.eval(), batch())


def test_every_weight_learns_and_statistics_are_no_weights():
    net = network()
    loss_of(net, batch()).backward()
    idle = [
        name for name, each in net.named_parameters() if each.grad is None or not each.grad.any()
    ]
    assert idle == []
    assert set(net.state_dict()) == {name for name, _ in net.named_parameters()}


def test_statistics_that_do_not_fit_are_refused():
    for statistics in (
        {"action": STATISTICS["action"]},
        {**STATISTICS, "action": {"min": [0.0], "max": [1.0]}},
    ):
        with pytest.raises(ValueError, match="statistics need 2 values of"):
            DiffusionPolicyNetwork(CONFIG, ACTION_SPEC, STREAMS, statistics)


def test_the_default_network_is_small_enough_to_ship():
    """30 MB of float32 are 7.5 million weights."""
    streams = (
        StreamSpec("joint_state", "vector", (7,), 50.0, tuple("abcdefg"), ("rad",) * 7),
        StreamSpec("camera_fixed", "image", (96, 96, 3), 25.0),
        StreamSpec("camera_wrist", "image", (96, 96, 3), 25.0),
    )
    limits = {"min": [0.0] * 7, "max": [1.0] * 7}
    net = DiffusionPolicyNetwork(
        DiffusionPolicyConfig(),
        ActionSpec(tuple("abcdefg"), ("rad",) * 7, 0.1),
        streams,
        {"joint_state": limits, "action": limits},
    )
    assert 4 * sum(each.numel() for each in net.parameters()) < 30e6


def test_a_config_survives_json():
    config = dataclasses.replace(CONFIG, prediction="v", schedule="linear")
    assert config_from(json.loads(json.dumps(dataclasses.asdict(config)))) == config
    with pytest.raises(ValueError, match=r"unknown fields \['horizons'\]"):
        config_from({"horizons": 16})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon": 9}, "horizon 9 must be divisible by 2"),
        ({"n_action_steps": 8}, r"between 1 and 7 = horizon 8 - n_obs_steps 2 \+ 1, got 8"),
        ({"n_action_steps": 0}, "got 0"),
        ({"n_obs_steps": 0}, "n_obs_steps must be at least 1"),
        ({"image_shift_pixels": -1}, "image_shift_pixels must not be below 0"),
        ({"num_inference_steps": 21}, "between 1 and num_train_timesteps = 20, got 21"),
        ({"schedule": "quadratic"}, "schedule must be one of .*'cosine'.*got 'quadratic'"),
        ({"sampler": "euler"}, "sampler must be one of .*got 'euler'"),
        ({"prediction": "noise"}, "prediction must be one of .*got 'noise'"),
        ({"spacing": "even"}, "spacing must be one of .*got 'even'"),
        ({"channels": (8, 18)}, r"channels \[18\] must be divisible by num_groups = 4"),
    ],
)
def test_a_config_that_breaks_a_rule_is_refused_with_value_and_rule(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)
