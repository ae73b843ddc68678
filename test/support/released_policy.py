"""A tiny diffusion policy as LeRobot saves it, and its U-Net in plain functions of torch."""

import json
import math

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn.functional import (
    conv1d,
    conv2d,
    conv_transpose1d,
    group_norm,
    linear,
    max_pool2d,
    mish,
)

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
SIZES = {STATE: 2, ENVIRONMENT: 3, ACTION: 2}
CONFIG = {
    "type": "diffusion",
    "n_obs_steps": 2,
    "horizon": 8,
    "n_action_steps": 4,
    "input_features": {
        STATE: {"type": "STATE", "shape": [2]},
        ENVIRONMENT: {"type": "ENV", "shape": [3]},
    },
    "output_features": {ACTION: {"type": "ACTION", "shape": [2]}},
    "down_dims": [8, 16, 16],
    "kernel_size": 3,
    "n_groups": 4,
    "diffusion_step_embed_dim": 8,
    "use_film_scale_modulation": True,
    "noise_scheduler_type": "DDIM",
    "num_train_timesteps": 20,
    "beta_schedule": "squaredcos_cap_v2",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "prediction_type": "epsilon",
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "num_inference_steps": 5,
}
MODES = {"STATE": "MIN_MAX", "ACTION": "MIN_MAX"}
STATISTICS = {
    f"{STATE}.min": [-1.0, 0.0],
    f"{STATE}.max": [1.0, 0.5],
    f"{STATE}.mean": [0.1, 0.2],
    f"{STATE}.std": [0.5, 0.1],
    f"{ENVIRONMENT}.min": [0.0, 3.0, 0.0],
    f"{ENVIRONMENT}.max": [5.0, 4.0, 7.0],
    f"{ACTION}.min": [-2.0, 0.3],
    f"{ACTION}.max": [2.0, 0.3],  # the second never moved
    f"{ACTION}.q01": [-1.0, 0.3],
    f"{ACTION}.q99": [1.5, 0.3],
}
ROBOT = """
robot: tiny
streams:
  joint_state: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [one, two],
    units: [rad, m], rate_hz: 10.0, max_age_s: 0.3}
  things: {topic: things, type: sensor_msgs/msg/JointState, names: [x, y, z], units: [m, m, m],
    rate_hz: 10.0, max_age_s: 0.3}
action: {topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [one, two],
  units: [rad, m], period_s: 0.1}
"""


def weights(config=CONFIG, cond_dim=10, action_dim=2):
    """Return random weights of the U-Net by their released names."""
    generator = torch.Generator().manual_seed(3)
    found, E = {}, config["diffusion_step_embed_dim"]
    widths, k = config["down_dims"], config["kernel_size"]

    def layer(name, *shape, outputs=None):
        found[f"{name}.weight"] = 0.4 * torch.randn(*shape, generator=generator)
        found[f"{name}.bias"] = 0.4 * torch.randn(outputs or shape[0], generator=generator)

    def conv_block(name, inputs, outputs):
        layer(f"{name}.block.0", outputs, inputs, k)
        layer(f"{name}.block.1", outputs)

    def block(name, inputs, outputs):
        conv_block(f"{name}.conv1", inputs, outputs)
        conv_block(f"{name}.conv2", outputs, outputs)
        rows = 2 * outputs if config["use_film_scale_modulation"] else outputs
        layer(f"{name}.cond_encoder.1", rows, E + cond_dim)
        if inputs != outputs:
            layer(f"{name}.residual_conv", outputs, inputs, 1)

    def pair(name, inputs, outputs):
        block(f"{name}.0", inputs, outputs)
        block(f"{name}.1", outputs, outputs)

    layer("diffusion_step_encoder.1", 4 * E, E)
    layer("diffusion_step_encoder.3", E, 4 * E)
    for level, (before, width) in enumerate(zip([action_dim, *widths], widths, strict=False)):
        pair(f"down_modules.{level}", before, width)
        if width is not widths[-1] or level < len(widths) - 1:
            layer(f"down_modules.{level}.2", width, width, 3)
    pair("mid_modules", widths[-1], widths[-1])
    for step, level in enumerate(range(len(widths) - 1, 0, -1)):
        before = widths[level - 1]
        pair(f"up_modules.{step}", 2 * widths[level], before)
        layer(f"up_modules.{step}.2", before, before, 4)
    conv_block("final_conv.0", widths[0], widths[0])
    layer("final_conv.1", action_dim, widths[0], 1)
    return found


def unet_answer(named, config, xt, t, cond):
    """Return what the released U-Net answers: (B, Tp, Da), (B,), (B, Dc) -> (B, Tp, Da)."""
    half, levels = config["diffusion_step_embed_dim"] // 2, len(config["down_dims"])

    def of(name):
        return named[f"{name}.weight"], named[f"{name}.bias"]

    def conv_block(x, name, groups):
        x = conv1d(x, *of(f"{name}.block.0"), padding=config["kernel_size"] // 2)
        return mish(group_norm(x, groups, *of(f"{name}.block.1")))

    def block(x, name):
        out = conv_block(x, f"{name}.conv1", config["n_groups"])
        film = linear(mish(features), *of(f"{name}.cond_encoder.1"))[:, :, None]
        if config["use_film_scale_modulation"]:
            scale, bias = film.chunk(2, dim=1)
            out = scale * out + bias
        else:
            out = out + film
        out = conv_block(out, f"{name}.conv2", config["n_groups"])
        residual = f"{name}.residual_conv"
        return out + (conv1d(x, *of(residual)) if f"{residual}.weight" in named else x)

    phase = t[:, None] * torch.exp(torch.arange(half) * -math.log(10_000) / (half - 1))
    steps = linear(torch.cat([phase.sin(), phase.cos()], 1), *of("diffusion_step_encoder.1"))
    steps = linear(mish(steps), *of("diffusion_step_encoder.3"))
    features = torch.cat([steps, cond], dim=1)
    x, kept = xt.transpose(1, 2), []
    for level in range(levels):
        x = block(block(x, f"down_modules.{level}.0"), f"down_modules.{level}.1")
        kept.append(x)
        if level < levels - 1:
            x = conv1d(x, *of(f"down_modules.{level}.2"), stride=2, padding=1)
    x = block(block(x, "mid_modules.0"), "mid_modules.1")
    for step in range(levels - 1):
        x = torch.cat([x, kept.pop()], dim=1)
        x = block(block(x, f"up_modules.{step}.0"), f"up_modules.{step}.1")
        x = conv_transpose1d(x, *of(f"up_modules.{step}.2"), stride=2, padding=1)
    x = conv_block(x, "final_conv.0", 8)  # whatever n_groups is
    return conv1d(x, *of("final_conv.1")).transpose(1, 2)


def encoder_weights(num_keypoints):
    """Return random weights of the encoder of pictures by their released names."""
    generator = torch.Generator().manual_seed(4)
    found = {}

    def conv(name, outputs, inputs, k):
        weight = torch.randn(outputs, inputs, k, k, generator=generator)
        found[f"{name}.weight"] = weight * (2 / (inputs * k * k)) ** 0.5

    def norm(name, width):
        found[f"{name}.weight"] = 1 + 0.1 * torch.randn(width, generator=generator)
        found[f"{name}.bias"] = 0.1 * torch.randn(width, generator=generator)

    conv("backbone.0", 64, 3, 7)
    norm("backbone.1", 64)
    before = 64
    for level, width in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name = f"backbone.{4 + level}.{block}"
            for number, inputs in ((1, before), (2, width)):
                conv(f"{name}.conv{number}", width, inputs, 3)
                norm(f"{name}.bn{number}", width)
            if before != width:
                conv(f"{name}.downsample.0", width, before, 1)
                norm(f"{name}.downsample.1", width)
            before = width
    conv("pool.nets", num_keypoints, 512, 1)
    found["pool.nets.weight"] *= 8  # so that some place counts most
    size = 2 * num_keypoints
    found["pool.nets.bias"] = torch.randn(num_keypoints, generator=generator)
    found["pool.pos_grid"] = torch.zeros(1, 2)
    found["out.weight"] = torch.randn(size, size, generator=generator)
    found["out.bias"] = torch.randn(size, generator=generator)
    return found


def encoder_answer(named, seen):
    """Return what the encoder finds in pictures (B, 3, H, W), normalized and cropped: (B, 2 K)."""

    def normed(x, name):
        weight = named[f"{name}.weight"]
        return group_norm(x, len(weight) // 16, weight, named[f"{name}.bias"])

    x = normed(conv2d(seen, named["backbone.0.weight"], stride=2, padding=3), "backbone.1").relu()
    x = max_pool2d(x, 3, 2, 1)
    for level in range(4):
        for block in range(2):
            name = f"backbone.{4 + level}.{block}"
            stride = 2 if level and not block else 1
            out = conv2d(x, named[f"{name}.conv1.weight"], stride=stride, padding=1)
            out = conv2d(
                normed(out, f"{name}.bn1").relu(), named[f"{name}.conv2.weight"], padding=1
            )
            if f"{name}.downsample.0.weight" in named:
                x = conv2d(x, named[f"{name}.downsample.0.weight"], stride=stride)
                x = normed(x, f"{name}.downsample.1")
            x = (x + normed(out, f"{name}.bn2")).relu()
    x = conv2d(x, named["pool.nets.weight"], named["pool.nets.bias"])
    shares, (height, width) = x.flatten(2).softmax(2).view(x.shape), x.shape[2:]
    across = (shares.sum(2) * torch.linspace(-1, 1, width)).sum(2)
    down = (shares.sum(3) * torch.linspace(-1, 1, height)).sum(2)
    points = torch.stack([across, down], dim=2).flatten(1)
    return linear(points, named["out.weight"], named["out.bias"]).relu()


def write_policy(
    folder,
    *,
    older=False,
    modes=MODES,
    statistics=STATISTICS,
    encoder=None,
    cond_dim=10,
    **changes,
):
    """Write a policy and return its weights and config; ``older``: as before LeRobot 0.4."""
    config = {**CONFIG, **changes}
    folder.mkdir(parents=True, exist_ok=True)
    named = weights(config, cond_dim)
    tensors = {f"diffusion.rgb_encoder.{n}": each.numpy() for n, each in (encoder or {}).items()}
    tensors |= {f"diffusion.unet.{name}": each.numpy() for name, each in named.items()}
    arrays = {name: np.array(each, np.float32) for name, each in statistics.items()}
    if older:
        config["normalization_mapping"] = dict(modes)
        for name, each in arrays.items():
            feature, _, statistic = name.rpartition(".")
            part = "unnormalize_outputs" if feature == ACTION else "normalize_inputs"
            tensors[f"{part}.buffer_{feature.replace('.', '_')}.{statistic}"] = each
    else:
        for part, step in (("pre", "normalizer"), ("post", "unnormalizer")):
            name = f"policy_{part}processor"
            state = f"{name}_step_1_{step}_processor.safetensors"
            settings = {"eps": 1e-8, "features": {}, "norm_map": dict(modes)}
            normalizing = {
                "registry_name": f"{step}_processor",
                "config": settings,
                "state_file": state,
            }
            device = {"registry_name": "device_processor", "config": {"device": "cpu"}}
            text = json.dumps({"name": name, "steps": [device, normalizing]})
            (folder / f"{name}.json").write_text(text)
            save_file(arrays, folder / state)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return named, config
