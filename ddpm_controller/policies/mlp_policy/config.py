"""What a feedback law of a multilayer perceptron is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ddpm_controller.policies.restored import validated_config
from ddpm_controller.types import ActionSpec, StreamSpec

VALUE, GRAVITY, FROM_REST, LAST_ACTION = "value", "gravity", "from_rest", "last_action"
_LONGEST_HOLD = 50
"""Rows; longer than this no robot walks on an old answer."""


@dataclass(frozen=True)
class MlpPolicyConfig:
    """What the policy is; saved in its checkpoints.

    Attributes:
        inputs: Parts of the observation in order: ``value:STREAM``, the numbers of a stream;
            ``from_rest:STREAM``, positions of the joints less ``rest``; ``gravity:STREAM``, the
            direction of gravity in the frame of a body whose orientation the stream has, as six
            numbers; ``last_action``, the answer before this one.
        rest: Positions of the joints where the answer is 0, one per column, rad.
        action_scale: Way from ``rest`` to where the answer is 1, rad.
        hidden: Widths of the hidden layers.
        n_action_steps: Rows of a chunk, all with the newest answer, which bridge the time until
            the next one comes.
        absent: Numbers that stand in for a stream that has not come or is stale, by name: a
            requested velocity of 0 is to stand.
    """

    inputs: tuple[str, ...]
    rest: tuple[float, ...]
    action_scale: float
    hidden: tuple[int, ...] = (512, 256, 128)
    n_action_steps: int = 3
    absent: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.inputs or len(set(self.inputs)) != len(self.inputs):
            raise ValueError(f"inputs must be unique and not empty, got {list(self.inputs)}")
        for each in self.inputs:
            kind, _, stream = each.partition(":")
            if each != LAST_ACTION and (kind not in (VALUE, GRAVITY, FROM_REST) or not stream):
                raise ValueError(
                    f"inputs: {each!r} must be {LAST_ACTION}, {VALUE}:STREAM, {FROM_REST}:STREAM "
                    f"or {GRAVITY}:STREAM"
                )
        if not self.rest or not np.isfinite(self.rest).all():
            raise ValueError(f"rest must be finite numbers, got {list(self.rest)}")
        if not 0 < self.action_scale < np.inf:
            raise ValueError(f"action_scale must be above 0 and finite, got {self.action_scale}")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must be widths of at least 1, got {list(self.hidden)}")
        if not 1 <= self.n_action_steps <= _LONGEST_HOLD:
            raise ValueError(
                f"n_action_steps must be from 1 to {_LONGEST_HOLD}, got {self.n_action_steps}"
            )
        if unknown := sorted(set(self.absent) - set(self.observed)):
            raise ValueError(f"absent is for {unknown}, the inputs are {list(self.inputs)}")
        if not all(np.isfinite(each).all() for each in self.absent.values()):
            raise ValueError(f"absent must have finite numbers, got {dict(self.absent)}")

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the streams among the inputs."""
        return tuple(each.partition(":")[2] for each in self.inputs if ":" in each)


def input_sizes(
    config: MlpPolicyConfig, action_spec: ActionSpec, streams: Sequence[StreamSpec]
) -> tuple[int, ...]:
    """Return the width of every input.

    Raises:
        ValueError: Config, action and streams do not fit; with both sides.
    """
    if len(config.rest) != len(action_spec.joint_names):
        raise ValueError(
            f"rest has {len(config.rest)} numbers, the action has "
            f"{len(action_spec.joint_names)} columns"
        )
    if set(action_spec.kinds) != {"joint_position"}:
        raise ValueError(f"the answer is positions of joints, the action {action_spec.kinds}")
    found = {each.name: each for each in streams}
    if sorted(set(config.observed)) != sorted(found):
        raise ValueError(f"inputs are {list(config.inputs)}, the streams {sorted(found)}")
    for name, values in config.absent.items():
        if len(values) != len(found[name].names):
            raise ValueError(f"absent has {len(values)} numbers for {found[name].names}")
    return tuple(_size(each, action_spec, found) for each in config.inputs)


def _size(part: str, action_spec: ActionSpec, streams: Mapping[str, StreamSpec]) -> int:
    if part == LAST_ACTION:
        return len(action_spec.joint_names)
    kind, _, name = part.partition(":")
    stream = streams[name]
    if stream.kind != "vector":
        raise ValueError(f"input {part!r}: the stream has images, not numbers")
    if kind == FROM_REST and stream.names != action_spec.joint_names:
        raise ValueError(
            f"input {part!r}: the stream has {list(stream.names)}, the action "
            f"{list(action_spec.joint_names)}"
        )
    if kind == GRAVITY and len(stream.names) != 6:
        raise ValueError(
            f"input {part!r}: an orientation is six numbers, the stream has {list(stream.names)}"
        )
    return 3 if kind == GRAVITY else len(stream.names)


def config_from(values: Mapping[str, Any]) -> MlpPolicyConfig:
    """Return the config that ``dataclasses.asdict`` made ``values`` of, also by way of JSON.

    Raises:
        ValueError: If a field is unknown or breaks a rule.
    """
    return validated_config(values, MlpPolicyConfig)


@dataclass(frozen=True)
class MlpPolicySettings:
    """How a run may differ from the checkpoint: in nothing yet."""
