"""LeRobot makes policies of several kinds, saves them, and plans with each.

Run with the Python of an environment that has LeRobot, as `lerobot_policy.py` does:

    PYTHON benchmarks/lerobot_policy_peer.py FOLDER SEED

Below FOLDER there is a folder for each policy, as LeRobot saves it, and in it what it was given
and what it planned, `plans.npz`. The noise comes from a generator of torch with SEED: first that
of the start, then that of each step.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peer_environment import declare_operators

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
PUSHT = {STATE: (2,), ENVIRONMENT: (16,), ACTION: (2,)}
CAMERAS = ("observation.images.camera_fixed", "observation.images.camera_wrist")
ARM = {STATE: (7,), **dict.fromkeys(CAMERAS, (3, 64, 64)), ACTION: (7,)}
PICTURES = "observation.images"
Shapes = dict[str, tuple[int, ...]]
SMALL: dict[str, Any] = {"down_dims": (32, 64, 128), "diffusion_step_embed_dim": 32}
CASES: dict[str, dict[str, Any]] = {
    "as_default": {},
    "ddim_mean_std": {
        "noise_scheduler_type": "DDIM",
        "num_inference_steps": 10,
        "modes": "MEAN_STD",
    },
    "ddim_sample_quantiles_bias_only": {
        "noise_scheduler_type": "DDIM",
        "num_inference_steps": 5,
        "prediction_type": "sample",
        "use_film_scale_modulation": False,
        "n_groups": 4,
        "kernel_size": 3,
        "down_dims": (16, 32),
        "modes": "QUANTILES",
    },
    "ddpm_linear_unclipped": {
        "beta_schedule": "linear",
        "num_inference_steps": 20,
        "clip_sample": False,
        "n_obs_steps": 3,
        "modes": "MIN_MAX",
    },
    "ddim_unclipped": {
        "noise_scheduler_type": "DDIM",
        "num_inference_steps": 20,
        "clip_sample": False,
        "down_dims": (16, 32, 32, 64),
        "modes": "IDENTITY",
    },
    "pictures": {"shapes": ARM},
    "pictures_cropped_apart": {
        "shapes": ARM,
        "use_separate_rgb_encoder_per_camera": True,
        "crop_shape": (57, 50),
        "spatial_softmax_num_keypoints": 16,
        "noise_scheduler_type": "DDIM",
        "num_inference_steps": 10,
        "modes": "MIN_MAX",
    },
}


def main() -> None:
    """Make every policy and plan with it."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    declare_operators()
    for number, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(number)
        _made(folder / name, dict(case), seed)


@torch.no_grad()
def _made(folder: Path, case: dict[str, Any], seed: int) -> None:
    from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    from lerobot.policies.diffusion.processor_diffusion import make_diffusion_pre_post_processors

    mode = case.pop("modes", "")
    if mode:
        kinds = ("STATE", "ENV", "ACTION", "VISUAL")
        case["normalization_mapping"] = {kind: NormalizationMode(mode) for kind in kinds}
    shapes = case.pop("shapes", PUSHT)
    types = {STATE: FeatureType.STATE, ENVIRONMENT: FeatureType.ENV, ACTION: FeatureType.ACTION}
    features = {
        name: PolicyFeature(types.get(name, FeatureType.VISUAL), shape)
        for name, shape in shapes.items()
    }
    action = {ACTION: features.pop(ACTION)}
    config = DiffusionConfig(
        input_features=features,
        output_features=action,
        device="cpu",
        push_to_hub=False,
        **{**SMALL, **case},
    )
    policy = DiffusionPolicy(config).eval()
    for weight in policy.parameters():
        weight += 0.05 * torch.randn_like(weight)  # so that biases and norms count too
    before, after = make_diffusion_pre_post_processors(config, _statistics(shapes))
    for each in (policy, before, after):
        each.save_pretrained(folder)
    _planned(folder, policy, before, after, seed)


def _statistics(shapes: Shapes) -> dict[str, dict[str, torch.Tensor]]:
    found = {}
    for name, shape in shapes.items():
        size = (3, 1, 1) if name in CAMERAS else shape
        low = 0.2 * torch.rand(size) if name in CAMERAS else -torch.rand(size) - 0.2
        high = torch.rand(size) + 0.3
        found[name] = {"min": low, "max": high, "mean": (low + high) / 2, "std": (high - low) / 4}
        found[name] |= {"q01": 0.9 * low, "q99": 0.9 * high}
    if ENVIRONMENT not in shapes:
        return found
    found[ENVIRONMENT]["min"][3] = found[ENVIRONMENT]["max"][3] = 0.25  # it never moved
    for name in ("mean", "q01", "q99"):
        found[ENVIRONMENT][name][3] = 0.25
    found[ENVIRONMENT]["std"][3] = 0.0
    return found


def _planned(folder: Path, policy: Any, before: Any, after: Any, seed: int) -> None:
    config, statistics = policy.config, before.steps[-1].stats
    windows, observations = {}, []
    for name, feature in config.input_features.items():
        drawn = torch.rand(config.n_obs_steps, *feature.shape)
        if name in CAMERAS:
            windows[name] = (255 * drawn).round() / 255
            continue
        low, high = (torch.as_tensor(statistics[name][end]) for end in ("min", "max"))
        windows[name] = low + (high - low) * drawn
    for step in range(config.n_obs_steps):
        observations.append(before({name: window[step] for name, window in windows.items()}))
    batch = {name: torch.stack([each[name] for each in observations], 1) for name in windows}
    if config.image_features:
        batch[PICTURES] = torch.stack([batch[name] for name in config.image_features], dim=-4)
    cond = policy.diffusion._prepare_global_conditioning(batch)
    generator = torch.Generator().manual_seed(seed)
    shape = (1, config.horizon, *config.action_feature.shape)
    noise = torch.randn(shape, generator=generator)
    t = torch.tensor([config.num_train_timesteps // 2])
    answer = policy.diffusion.unet(noise, t, global_cond=cond)
    normalized = policy.diffusion.conditional_sample(
        1, global_cond=cond, noise=noise, generator=generator
    )
    np.savez(
        folder / "plans.npz",
        **windows,
        noise=noise,
        t=t,
        answer=answer,
        normalized=normalized,
        horizon=after(normalized),
    )


if __name__ == "__main__":
    main()
