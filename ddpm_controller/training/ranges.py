"""Recordings against the ranges of the checkpoint that a training begins with.

A sampler cuts its chunks at the ranges of the action, and the start gate asks for those of the
measured joints: what lies beyond could neither be commanded nor begun from.
"""

from collections.abc import Mapping, Sequence

from ddpm_controller.checkpoint import ACTION_STATISTICS, Checkpoint, CheckpointError
from ddpm_controller.networks.normalizer import SMALLEST_RANGE
from ddpm_controller.types import ActionSpec, StreamSpec

Statistics = Mapping[str, Mapping[str, list[float]]]
"""{stream or "action": {"min": [...], "max": [...]}}, SI units."""
ALLOWED_SHARE = 0.01
"""Share of a range that recordings may lie beyond ranges that are kept."""
_MOST_LINES = 24


def beyond(
    base: Statistics, found: Statistics, streams: Sequence[StreamSpec], action_spec: ActionSpec
) -> list[str]:
    """Return a line with both ranges for each element whose recordings go beyond the base's.

    Args:
        base: Ranges of the checkpoint.
        found: Ranges of the recordings.
        streams: What the policy observes.
        action_spec: What it commands.
    """
    named = {
        stream.name: ([f"{stream.name} {name}" for name in stream.names], stream.units)
        for stream in streams
    }
    joints = [f"joint {name}" for name in action_spec.joint_names]
    named = {ACTION_STATISTICS: (joints, action_spec.units), **named}
    return [
        f"{label}: base checkpoint {low:.4g}..{high:.4g} {unit}, "
        f"new recordings {least:.4g}..{most:.4g} {unit}"
        for name, (labels, units) in named.items()
        if name in base and name in found
        for label, unit, low, high, least, most in zip(
            labels, units, *_ends(base[name]), *_ends(found[name]), strict=True
        )
        if max(low - least, most - high) > _allowed(low, high)
    ]


def _ends(limits: Mapping[str, list[float]]) -> tuple[list[float], list[float]]:
    return limits["min"], limits["max"]


def _allowed(low: float, high: float) -> float:
    # What moves less than the smallest range counts as still.
    return max(ALLOWED_SHARE * (high - low), SMALLEST_RANGE)


def widened(base: Statistics, found: Statistics) -> dict[str, dict[str, list[float]]]:
    """Return the base's ranges, wide enough for the recordings too.

    What becomes -1 and 1 by itself stays: see ``networks.normalizer``.
    """
    return {
        name: {
            **each,
            "min": [*map(min, each["min"], found.get(name, each)["min"])],
            "max": [*map(max, each["max"], found.get(name, each)["max"])],
        }
        for name, each in base.items()
    }


def refuse_beyond(
    lines: Sequence[str], sources: Sequence[str], initial: Checkpoint, is_frozen: bool
) -> None:
    """Raise where recordings go beyond ranges that stay as they are.

    Args:
        lines: What goes beyond, from ``beyond``.
        sources: Names of the episodes that do.
        initial: The checkpoint that the training begins with.
        is_frozen: Whether its weights do not learn, so that its ranges cannot change.

    Raises:
        CheckpointError: With each of the lines, the episodes, and the remedy.
    """
    if not lines:
        return
    reason, remedy = (
        "initial_ranges is 'keep'",
        "set initial_ranges: follow, or leave those recordings out",
    )
    if is_frozen:
        reason = "it is a frozen base, whose ranges cannot follow"
        remedy = (
            "train the base further with these recordings (initial_checkpoint of a recipe of "
            "its own kind) and begin with the result, or leave those recordings out"
        )
    raise CheckpointError(
        f"{initial.folder}: the recordings go beyond its ranges, at which plans are cut, and "
        f"{reason}; {remedy}:\n{listed(lines)}\nin {len(sources)} episodes:\n{listed(sources)}"
    )


def listed(lines: Sequence[str]) -> str:
    """Return lines one below the other; of very many the first ones."""
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return "\n".join(f"  {line}" for line in [*lines[:_MOST_LINES], *more])
