"""What a diffusion policy of LeRobot is, from its config.json, in the words of ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ddpm_controller.lerobot.features import ACTION, STATE
from ddpm_controller.lerobot.libraries import LeRobotError

ENVIRONMENT = "observation.environment_state"
_SAME = {
    "n_obs_steps": "n_obs_steps",
    "horizon": "horizon",
    "n_action_steps": "n_action_steps",
    "num_train_timesteps": "num_train_timesteps",
    "down_dims": "channels",
    "kernel_size": "kernel_size",
    "n_groups": "num_groups",
    "diffusion_step_embed_dim": "timestep_embedding_dim",
    "clip_sample": "clip_x0",
}
_OTHERS = (
    *("input_features", "output_features", "noise_scheduler_type", "beta_schedule"),
    *("prediction_type", "clip_sample_range"),
)
_MOST_TIMESTEPS = 100_000
_SAMPLERS = {"DDPM": "ddpm", "DDIM": "ddim"}
_PREDICTIONS = {"epsilon": "epsilon", "sample": "x0"}
_SCHEDULES = {
    "squaredcos_cap_v2": ("cosine", None, None),
    "linear": ("linear_unscaled", (1e-4, 0.02), None),
    "scaled_linear": ("scaled_linear", (0.00085, 0.012), 1000),
    "sigmoid": ("sigmoid", (1e-4, 0.02), 1000),
}
"""Theirs -> ours, the first and last beta for which they are the same, and the timesteps."""


@dataclass(frozen=True)
class Feature:
    """One input or output.

    Attributes:
        name: Name of the feature.
        kind: Type of LeRobot: STATE, VISUAL, ENV, ACTION.
        size: Number of its values; of pictures, of their colours.
        shape: Its shape.
    """

    name: str
    kind: str
    size: int
    shape: tuple[int, ...]


def observed(config: Mapping[str, Any]) -> list[Feature]:
    """Return what the policy sees, in the order in which it is put together.

    Raises:
        LeRobotError: It has no state.
    """
    found = [_feature(name, each) for name, each in _mapping(config, "input_features").items()]
    known = {each.name: each for each in found}
    if STATE not in known:
        raise LeRobotError(f"the policy lacks {STATE!r}, it sees {sorted(known)}")
    pictures = [each for each in found if each.kind == "VISUAL"]
    rest = [known[ENVIRONMENT]] if ENVIRONMENT in known else []
    return [known[STATE], *pictures, *rest]


def commanded(config: Mapping[str, Any]) -> Feature:
    """Return what the policy answers.

    Raises:
        LeRobotError: It has no action.
    """
    outputs = _mapping(config, "output_features")
    if ACTION not in outputs:
        raise LeRobotError(f"the policy has no {ACTION!r}, it answers {sorted(outputs)}")
    return _feature(ACTION, outputs[ACTION])


def policy_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``DiffusionPolicyConfig``; what they may be it checks itself.

    Args:
        config: As config.json has it.

    Raises:
        LeRobotError: It is of another policy, lacks a key, or has a setting that ours have not.
    """
    if config.get("type") != "diffusion":
        raise LeRobotError(
            f"the policy is of type {config.get('type')!r}; only 'diffusion' is imported"
        )
    if missing := [key for key in (*_SAME, *_OTHERS) if key not in config]:
        raise LeRobotError(f"{missing} are missing: save the policy with LeRobot 0.4 or later")
    pictures = any(each.kind == "VISUAL" for each in observed(config))
    return {
        **{ours: config[theirs] for theirs, ours in _SAME.items()},
        **(_encoder_fields(config) if pictures else {}),
        "schedule": _schedule(config),
        "sampler": _chosen(config, "noise_scheduler_type", _SAMPLERS),
        "prediction": _chosen(config, "prediction_type", _PREDICTIONS),
        "num_inference_steps": _steps(config),
        "spacing": "leading",
        "ddim_noise": "predicted",
        "unet_form": "released",
        "variance": "fixed_small",
    }


def _encoder_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {"vision_backbone": "resnet18", "use_group_norm": True, "resize_shape": None}
    have = {key: config.get(key) for key in wanted}
    if have != wanted:
        raise LeRobotError(
            f"its encoder of pictures has {have}, imported is {wanted}: train on its data set, "
            "see `ddpm import-lerobot`"
        )
    return {
        "image_encoder": "resnet18",
        "image_crop": config.get("crop_shape"),
        "num_keypoints": config.get("spatial_softmax_num_keypoints"),
    }


def _chosen(config: Mapping[str, Any], key: str, known: Mapping[str, str]) -> str:
    value = config[key]
    if not isinstance(value, str) or value not in known:
        raise LeRobotError(f"{key} is {value!r}, imported are {sorted(known)}")
    return known[value]


def _schedule(config: Mapping[str, Any]) -> str:
    name, betas, timesteps = config["beta_schedule"], "beta_start beta_end", "num_train_timesteps"
    if not isinstance(name, str) or name not in _SCHEDULES:
        raise LeRobotError(f"beta_schedule is {name!r}, imported are {sorted(_SCHEDULES)}")
    ours, ends, wanted = _SCHEDULES[name]
    have = tuple(config.get(key) for key in betas.split())
    if (ends and have != ends) or (wanted and config[timesteps] != wanted):
        raise LeRobotError(
            f"beta_schedule {name!r} is imported with {betas} {ends}"
            f"{f' and {wanted} timesteps' if wanted else ''} only, the policy has {have} and "
            f"{config[timesteps]}: train it with squaredcos_cap_v2, the default of LeRobot"
        )
    if config["clip_sample"] and config["clip_sample_range"] != 1.0:
        raise LeRobotError(
            f"clip_sample_range is {config['clip_sample_range']!r}, imported is 1.0"
        )
    return ours


def _steps(config: Mapping[str, Any]) -> int:
    T = config["num_train_timesteps"]
    asked = config.get("num_inference_steps")
    steps = T if asked is None else asked
    if not isinstance(T, int) or not 1 <= T <= _MOST_TIMESTEPS:
        raise LeRobotError(f"num_train_timesteps is {T!r}, it must be 1 to {_MOST_TIMESTEPS}")
    if not isinstance(steps, int) or not 1 <= steps <= T:
        raise LeRobotError(f"num_inference_steps is {steps!r}, it must be 1 to {T}")
    if T % steps:
        fitting = [each for each in range(1, T + 1) if T % each == 0]
        raise LeRobotError(
            f"num_inference_steps {steps} does not divide num_train_timesteps {T}, so that the "
            "timesteps here would be others: write a number that does into config.json, which "
            f"changes no weight; {min(fitting, key=lambda each: abs(each - steps))} is the nearest"
        )
    return steps


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    if not isinstance(found, Mapping):
        raise LeRobotError(f"{key} is {found!r}, not a table: save the policy with LeRobot 0.4")
    return found


def _feature(name: str, fields: Any) -> Feature:
    try:
        kind, shape = str(fields["type"]), [int(each) for each in fields["shape"]]
    except (TypeError, KeyError, ValueError):
        raise LeRobotError(
            f"feature {name!r} needs a type and a shape, it has {fields!r}"
        ) from None
    is_vector, is_picture = len(shape) == 1 and shape[0] > 0, len(shape) == 3 and shape[0] == 3
    if not (is_picture if kind == "VISUAL" else is_vector):
        raise LeRobotError(
            f"feature {name!r} has the shape {shape}, imported are vectors and pictures (3, H, W)"
        )
    return Feature(name, kind, shape[0], tuple(shape))
