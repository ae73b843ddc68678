"""Names and words of a controller's parameters, live and in the bags of every release.

In Python a parameter is a field with a flat name; to ROS most are in a group. Where a value is
another's choice or has no bound, a word is given for it.
"""

import math
from collections.abc import Mapping
from typing import Any

AS_CHECKPOINT, AS_ROBOT_FILE = "as_checkpoint", "as_robot_file"
ANY, NEVER, NONE = "any", "never", "none"
OVERRIDES = "policy.overrides"
"""Settings of the policy in place of its checkpoint's."""

NAMES: Mapping[str, str] = {
    "state_denoiser": "policy.state_denoiser",
    "policy_overrides": OVERRIDES,
    "replan_period_s": "policy.replan_period_s",
    "deadline_aware": "policy.deadline_aware",
    "min_inference_steps": "policy.min_inference_steps",
    "n_action_steps": "chunk.n_action_steps",
    "fade_s": "chunk.fade_s",
    "chunk_position_tolerance": "chunk.position_tolerance",
    "chunk_velocity_tolerance": "chunk.velocity_tolerance",
    "pictures": "chunk.pictures",
    "start_margin": "start.margin",
    "start_distance": "start.distance",
    "approach_slowly": "start.approach_slowly",
    "approach_share": "start.approach_share",
    "stop_s": "stop.duration_s",
    "max_age_s": "stop.max_age_s",
    "silence_s": "stop.silence_s",
    "lead_s": "command.lead_s",
    "stream": "command.stream",
    "stream_past_s": "command.stream_past_s",
    "stream_lead_s": "command.stream_lead_s",
    "stream_begin_s": "command.stream_begin_s",
    "stream_stamp": "command.stream_stamp",
    "stream_carries": "command.stream_carries",
    "command_process": "command.process",
    "command_standby": "command.standby",
    "command_priority": "command.priority",
    "reset_state_above": "monitor.reset_state_above",
    "stop_out_of_distribution": "monitor.stop_out_of_distribution",
    "out_of_distribution_plans": "monitor.out_of_distribution_plans",
    "stop_not_followed": "monitor.stop_not_followed",
    "follow_lag_s": "monitor.follow_lag_s",
    "follow_patience_s": "monitor.follow_patience_s",
    "follow_repeats": "monitor.follow_repeats",
}
"""Field -> ROS name of what is in a group; every other field is its own name. Earlier releases
had the fields as ROS names."""
WORDS: Mapping[str, Mapping[str, float | None]] = {
    "checkpoint": {NONE: None},
    "state_denoiser": {NONE: None},
    "n_action_steps": {AS_CHECKPOINT: None},
    "max_age_s": {AS_ROBOT_FILE: None},
    "lead_s": {AS_ROBOT_FILE: None},
    "start_margin": {ANY: math.inf},
    "start_distance": {AS_CHECKPOINT: None, ANY: math.inf},
    "reset_state_above": {AS_CHECKPOINT: None, NEVER: math.inf},
    "command_priority": {NONE: None},
}
"""Field -> word -> value that it stands for."""
_EARLIER: Mapping[str, Mapping[float | str, str]] = {
    "checkpoint": {"": NONE},
    "state_denoiser": {"": NONE},
    "n_action_steps": {0: AS_CHECKPOINT},
    "max_age_s": {0: AS_ROBOT_FILE},
    "lead_s": {-1: AS_ROBOT_FILE},
    "start_margin": {-1: ANY},
    "start_distance": {0: AS_CHECKPOINT, -1: ANY},
    "reset_state_above": {0: NEVER, -1: AS_CHECKPOINT},
    "command_priority": {0: NONE},
}
"""Field -> empty text or sign of a number, as earlier releases had it -> word."""


def values_from(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return field -> value of recorded parameters, whichever release has recorded them.

    Args:
        recorded: ROS name -> value; a name that is not known is kept.
    """
    fields = {name: field for field, name in NAMES.items()}
    found = {}
    for name, value in recorded.items():
        field = fields.get(name, name)
        given = _word_of_earlier(name, value) if field == name else value
        found[field] = WORDS.get(field, {}).get(given, given) if isinstance(given, str) else given
    return found


def given_as(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ROS name -> what is given for it, the reverse of ``values_from``."""
    return {NAMES.get(field, field): word_of(field, value) for field, value in values.items()}


def word_of(field: str, value: Any) -> Any:
    """Return the word that stands for ``value``, or ``value`` where there is none."""
    return next((w for w, meant in WORDS.get(field, {}).items() if meant == value), value)


def _word_of_earlier(field: str, value: Any) -> Any:
    if field not in _EARLIER:
        return value
    kind = value if isinstance(value, str) else (value > 0) - (value < 0)
    return _EARLIER[field].get(kind, value)
