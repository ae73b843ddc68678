"""A policy in the layout of LeRobot becomes a checkpoint that plans as its numbers demand."""

import json
import re

import numpy as np
import pytest
import torch
from released_policy import (
    CONFIG,
    ENVIRONMENT,
    ROBOT,
    STATE,
    STATISTICS,
    encoder_answer,
    encoder_weights,
    unet_answer,
    write_policy,
)
from safetensors.numpy import load_file

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.cli.lerobot.import_lerobot_policy import main
from ddpm_controller.diffusion.schedules import cosine_betas
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policy import PlanSettings
from ddpm_controller.types import Observation

WINDOW = np.array([[[0.3, 0.1], [-0.8, 0.4]], [[1.0, 3.2], [4.0, 3.9]]])
THINGS = np.array([[0.5, 3.5, 6.0], [2.0, 3.1, 1.0]])
FEATURE = ("--feature", f"things={ENVIRONMENT}")


def imported(folder, *words, robot=ROBOT):
    (folder / "robot.yaml").write_text(robot)
    given = ["--robot", str(folder / "robot.yaml"), "--output", str(folder / "ours"), *words]
    return main([str(folder / "theirs"), *given])


def policy_of(folder, **settings):
    settings = PlanSettings(overrides={"seam": "switch"}, **settings)
    return DiffusionPolicy.restore(load_checkpoint(folder / "ours"), settings)


def planned(policy, states):
    window = [
        Observation(0.1 * step, {"joint_state": state, "things": things})
        for step, (state, things) in enumerate(zip(states, THINGS, strict=True))
    ]
    return policy.plan(window, policy.initial_memory(5)).traces["horizon"]


def by_hand(named, config, cond, noise):
    """DDIM with the plain formulas, in float64 but for the network: (1, 8, 2)."""
    alpha_bar, xt = torch.cumprod(1 - cosine_betas(20), 0), noise.double()
    for t, before in ((16, 12), (12, 8), (8, 4), (4, 0), (0, None)):
        epsilon = unet_answer(named, config, xt.float(), torch.tensor([t]), cond).double()
        x0 = (xt - (1 - alpha_bar[t]).sqrt() * epsilon) / alpha_bar[t].sqrt()
        x0 = x0.clamp(-1, 1)
        if before is None:
            return x0
        xt = alpha_bar[before].sqrt() * x0 + (1 - alpha_bar[before]).sqrt() * epsilon


def start_of(policy):
    """The noise that a plan begins with: what the first evaluation of the network is shown."""
    seen = []
    answer = policy.network.unet.denoise_modulated
    policy._engine = type(policy._engine)(
        "torch", lambda xt, modulation: (seen.append(xt), answer(xt, modulation))[1], ""
    )
    planned(policy, WINDOW[0])
    return seen[0]


@pytest.mark.parametrize("older", [False, True])
def test_a_policy_plans_as_its_weights_ranges_and_steps_by_hand(tmp_path, older):
    named, config = write_policy(tmp_path / "theirs", older=older)
    assert imported(tmp_path, *FEATURE) == 0
    plan = planned(policy_of(tmp_path), WINDOW[0])
    low, high = (np.array(STATISTICS[f"{STATE}.{end}"]) for end in ("min", "max"))
    states = 2 * (WINDOW[0] - low) / (high - low) - 1
    cond = np.concatenate([states, THINGS], axis=1)  # the environment is left as it is
    cond = torch.from_numpy(cond.reshape(1, -1)).float()
    x0 = by_hand(named, config, cond, start_of(policy_of(tmp_path)))[0].numpy()
    assert (np.abs(x0[:, 0]) == 1).any()  # something is clipped,
    assert (np.abs(x0[:, 0]) < 1).any()  # and not all of it
    np.testing.assert_allclose(plan[:, 0], 2 * x0[:, 0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(plan[:, 1], 0.3, rtol=0, atol=1e-7)  # it never moved


@pytest.mark.parametrize(
    ("modes", "state", "expected"),
    [
        ({"STATE": "MEAN_STD", "ENV": "MIN_MAX"}, [0.6, 0.0], [1.0, -2.0]),
        ({"STATE": "IDENTITY", "ENV": "MIN_MAX"}, [0.6, 0.0], [0.6, 0.0]),
        ({"STATE": "MIN_MAX", "ENV": "MIN_MAX"}, [0.5, 0.5], [0.5, 1.0]),
    ],
)
def test_each_mode_normalizes_as_there_and_ranges_are_those_of_the_data(
    tmp_path, modes, state, expected
):
    write_policy(tmp_path / "theirs", modes={**modes, "ACTION": "QUANTILES"})
    assert imported(tmp_path, *FEATURE) == 0
    policy = policy_of(tmp_path)
    found = policy.network.normalizers["joint_state"](torch.tensor(state, dtype=torch.float64))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    back = policy.network.action_normalizer.unnormalize(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(back, [[-1.0, 0.3], [1.5, 0.3]], rtol=0, atol=1e-6)
    ranges = policy.facts.training_range
    np.testing.assert_allclose(ranges.state_low, [-1.0, 0.0], atol=1e-7)
    np.testing.assert_allclose(ranges.action_high, [2.0, 0.3], atol=1e-7)


def test_degrees_of_the_training_become_radians_and_metres_stay(tmp_path):
    write_policy(tmp_path / "theirs")
    assert imported(tmp_path, *FEATURE) == 0
    as_they_are = planned(policy_of(tmp_path), WINDOW[0])
    assert imported(tmp_path, *FEATURE, "--angles", "deg") == 0
    turned = planned(policy_of(tmp_path), WINDOW[0] * [np.pi / 180, 1.0])
    np.testing.assert_allclose(turned, as_they_are * [np.pi / 180, 1.0], rtol=1e-5, atol=1e-6)


def test_pictures_are_seen_as_there(tmp_path):
    """Between state and environment, normalized by colour, in the middle, by a ResNet-18."""
    encoder, mean, std = encoder_weights(4), [0.2, 0.5, 0.6], [0.3, 0.2, 0.1]
    write_policy(
        tmp_path / "theirs",
        encoder=encoder,
        cond_dim=2 * (2 + 8 + 3),
        statistics={
            **STATISTICS,
            "observation.image.mean": np.reshape(mean, (3, 1, 1)),
            "observation.image.std": np.reshape(std, (3, 1, 1)),
        },
        modes={"STATE": "MIN_MAX", "ACTION": "MIN_MAX", "VISUAL": "MEAN_STD"},
        **SEES,
    )
    words = (*FEATURE, "--feature", "eye=observation.image")
    assert imported(tmp_path, *words, robot=ROBOT.replace("action:", CAMERA)) == 0
    network = policy_of(tmp_path).network
    pictures = np.random.default_rng(0).integers(0, 256, (2, 40, 48, 3), dtype=np.uint8)
    seen = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255.0
    seen = (seen - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    expected = encoder_answer(encoder, seen[:, :, 4:37, 4:44])  # round(3.5) is 4
    values = {"joint_state": WINDOW[0], "things": THINGS, "eye": pictures}
    with torch.no_grad():
        cond = network.encode(
            {name: torch.from_numpy(each)[None] for name, each in values.items()}
        )
    assert (expected > 0.1).sum() > 4
    torch.testing.assert_close(cond[0, 4:20].view(2, 8), expected, rtol=0, atol=1e-4)
    # The columns of an observation lie side by side there, those of a stream here.
    assert [each.name for each in network.streams] == ["joint_state", "eye", "things"]
    named = load_file(tmp_path / "theirs" / "model.safetensors")
    there = named["diffusion.unet.down_modules.0.0.cond_encoder.1.weight"]
    second_picture = there[:, 8 + 13 + 2 : 8 + 13 + 10]
    found = network.unet.from_cond.weight[: len(there), 4 + 8 : 4 + 16].detach().numpy()
    np.testing.assert_array_equal(found, second_picture)


CAMERA = """  eye: {topic: eye, type: sensor_msgs/msg/Image, height: 40, width: 48, rate_hz: 10.0,
    max_age_s: 0.3}
action:"""
EYE = {"observation.image": {"type": "VISUAL", "shape": [3, 40, 48]}}
SEES = {
    "input_features": {
        ENVIRONMENT: CONFIG["input_features"][ENVIRONMENT],
        **EYE,
        STATE: CONFIG["input_features"][STATE],
    },
    "vision_backbone": "resnet18",
    "use_group_norm": True,
    "crop_shape": [33, 40],
    "spatial_softmax_num_keypoints": 4,
}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "act"}, "only 'diffusion' is imported"),
        ({**SEES, "vision_backbone": "resnet34"}, "its encoder of pictures has"),
        ({**SEES, "use_group_norm": False}, "its encoder of pictures has"),
        (SEES, "name one, as --feature STREAM=observation.image"),
        ({"input_features": {STATE: {"type": "STATE", "shape": [7]}}}, "has 7 numbers, stream"),
        ({"output_features": {"action": {"type": "ACTION", "shape": [3]}}}, "commands 3 numbers"),
        ({"output_features": {"action": {"shape": 3}}}, "needs a type and a shape"),
        ({"num_inference_steps": 6}, "does not divide"),
        ({"num_inference_steps": "6"}, "must be 1 to 20"),
        ({"beta_schedule": "linear", "beta_end": 0.5}, "train it with squaredcos_cap_v2"),
        ({"prediction_type": "velocity"}, "imported are"),
        ({"clip_sample_range": 2.0}, "imported is 1.0"),
        ({"horizon": 6}, "horizon 6 must be divisible by 4"),
        ({"down_dims": [8, 16, 4096]}, "do not fit|weights are not those|at least"),
    ],
)
def test_what_is_not_imported_is_refused_in_a_line_that_names_it(
    tmp_path, capsys, changes, reason
):
    write_policy(tmp_path / "theirs")
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    (tmp_path / "theirs" / "config.json").write_text(json.dumps({**config, **changes}))
    assert imported(tmp_path, *FEATURE) == 1
    error = capsys.readouterr().out
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert re.search(reason, error), error
    assert not (tmp_path / "ours").exists()
