"""All that changes during a training, saved so that a killed training resumes with the same bits.

One safetensors file, replaced atomically: at every moment there is either the old state or the
new one. Random numbers are functions of the seed and the step (``training.batches``), so the
number of updates done is the whole state of the generators, the schedule and the epochs.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ddpm_controller.data.atomic_files import write_atomically
from ddpm_controller.training.config import (
    TrainingConfig,
    TrainingError,
    training_config_from,
)
from ddpm_controller.training.ema import Ema
from ddpm_controller.types import ActionSpec

Fingerprint = Mapping[str, Any]
"""What must be equal for a training to resume: recipe, data, streams and action. JSON values."""

NUMBERS = ("step", "best_validation_loss", "loss_sum", "gradient_norm_sum")


@dataclass
class TrainingState:
    """What an update changes.

    Attributes:
        network: In training mode.
        ema: Its average.
        optimizer: AdamW over the network's parameters.
        step: Updates done.
        best_validation_loss: Infinity before the first validation.
        loss_sum: Sum over the updates since the last line of the log.
        gradient_norm_sum: Likewise.
    """

    network: nn.Module
    ema: Ema
    optimizer: torch.optim.Optimizer
    step: int = 0
    best_validation_loss: float = math.inf
    loss_sum: float = 0.0
    gradient_norm_sum: float = 0.0


_BEFORE = {"stay_at_end": False}
"""What a release did that did not know of the choice, where it is another than the default."""

_STREAM_BEFORE: dict[str, Any] = {"depth_range_m": None, "wraps": []}
"""What a stream was to a release that did not know of the field."""


def save_state(state: TrainingState, path: Path, fingerprint: Fingerprint) -> None:
    """Replace the file at ``path``, with everything on the disk before it takes the name.

    Raises:
        OSError: If it cannot be written; the old file is then as it was.
    """
    numbers = {name: getattr(state, name) for name in NUMBERS}
    facts = {"numbers": numbers, "fingerprint": fingerprint}  # JSON keeps every bit of a float
    content = save(_tensors(state), metadata={"state": json.dumps(facts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def load_state(state: TrainingState, path: Path, fingerprint: Fingerprint) -> bool:
    """Fill ``state`` from the file at ``path``; False when there is none.

    Raises:
        TrainingError: If the file is damaged, or belongs to another recipe, other data or another
            release, whose network had other weights; the message lists what differs.
    """
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path} is damaged ({error}); delete it to start from the beginning: the "
            "checkpoints beside it stay"
        ) from error
    _refuse_another(facts["fingerprint"], fingerprint, path)
    _refuse_other_weights(state, tensors, path)
    _fill(state, tensors)
    for name in NUMBERS:
        setattr(state, name, facts["numbers"][name])
    return True


def _refuse_another(saved: Fingerprint, wanted: Fingerprint, path: Path) -> None:
    wanted = json.loads(json.dumps(wanted))  # tuples become lists
    saved, wanted = _of_training(_completed(saved)), _of_training(wanted)
    differing = [
        f"{key}: {saved.get(key)} there, {wanted.get(key)} here"
        for key in sorted(set(saved) | set(wanted))
        if saved.get(key) != wanted.get(key)
    ]
    if differing:
        raise TrainingError(
            f"{path} belongs to another training; choose another output folder or delete it. "
            f"What differs: {'; '.join(differing)}"
        )


def _refuse_other_weights(state: TrainingState, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise where the network of the release that saved a state had other weights."""
    own = {name: tuple(each.shape) for name, each in state.network.state_dict().items()}
    here: dict[str, tuple[int, ...] | None] = {
        f"{of}.{name}": own[name] for of in ("network", "average") for name in own
    }
    here |= {name: _moment(name, own) for name in tensors if name.startswith("optimizer.")}
    there = {name: tuple(each.shape) for name, each in tensors.items()}
    names = sorted({*here, *there})
    differing = [name for name in names if here.get(name) != there.get(name)]
    if differing:
        first = differing[0]
        raise TrainingError(
            f"{path} is of another release, whose network had other weights, and cannot be "
            f"resumed: {first} is {there.get(first)} there and {here.get(first)} here, and "
            f"{len(differing) - 1} more differ; choose another output folder, and begin with what "
            f"was learned: --initial-checkpoint {path.parents[1] / 'checkpoints' / 'last'}"
        )


def _moment(name: str, own: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the shape of what the optimizer keeps of a parameter; None: there is no such one."""
    _, key, parameter = name.split(".", 2)
    return () if key == "step" and parameter in own else own.get(parameter)


def _completed(saved: Fingerprint) -> Fingerprint:
    """Return a fingerprint with what its release did not know yet, as it did without."""
    # In a fingerprint, streams are those of the robot and not the recipe's names.
    names = {field.name for field in fields(TrainingConfig)} - {"streams"}
    if "policy" not in saved:
        return saved
    try:
        known = {k: v for k, v in saved.items() if k in names}
        config = training_config_from({**_BEFORE, **known})
    except ValueError:
        return saved  # of another kind or broken: reported as it is
    streams = [{**_STREAM_BEFORE, **stream} for stream in saved.get("streams", ())]
    rest = {**_without(saved, "policy"), "streams": streams}
    if "action_spec" in saved:
        rest["action_spec"] = asdict(ActionSpec(**saved["action_spec"]))
    completed: Fingerprint = json.loads(json.dumps({**asdict(config), **rest}))
    return completed


def _of_training(fingerprint: Fingerprint) -> Fingerprint:
    """Return a fingerprint without what only a run of the policy would notice."""
    return {
        name: _of_training(value) if isinstance(value, dict) else value
        for name, value in fingerprint.items()
        if name != "seam"
    }


def _without(values: Fingerprint, name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    tensors = {f"network.{k}": v for k, v in state.network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.ema.network.state_dict().items()}
    for name, parameter in state.network.named_parameters():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _fill(state: TrainingState, tensors: Mapping[str, Tensor]) -> None:
    for prefix, network in (("network.", state.network), ("average.", state.ema.network)):
        network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
    parameters = dict(state.network.named_parameters())
    for full_name, value in tensors.items():
        if not full_name.startswith("optimizer."):
            continue
        _, key, name = full_name.split(".", 2)
        parameter = parameters[name]
        if value.shape == parameter.shape:
            # The fused AdamW walks through memory: moments must lie there as the weights do.
            value = torch.empty_like(parameter).copy_(value)
        state.optimizer.state[parameter][key] = value.to(parameter.device)
