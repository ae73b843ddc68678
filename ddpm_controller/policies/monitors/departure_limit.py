"""How far joints usually are from what was planned: beyond that a policy's state starts afresh.

Learned on episodes that were held out from training, and kept beside the checkpoint.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_controller.checkpoint import (
    DEPARTURE_LIMIT_NAME,
    MOST_MANIFEST_BYTES,
    CheckpointError,
    write_atomically,
)
from ddpm_controller.given_files import file_content, parsed_json
from ddpm_controller.policy import DEPARTURE_UNIT, DepartureLimit, TrainingRange
from ddpm_controller.types import ActionSpec

FLOOR = 0.1
"""Smallest unit as a share of half a joint's range. A joint that hardly moves in demonstrations
departs by far more once a policy plans it: with 1e-3, 6 of 25 plans on reach started afresh for
nothing."""


def fit_departure_limit(
    measured: np.ndarray,
    expected: np.ndarray,
    half_range: np.ndarray,
    quantile: float,
    margin: float,
) -> DepartureLimit:
    """Return usual departures of each joint, and ``margin`` times a quantile of the largest.

    The margin is there because a few hundred plans show little of one in a thousand, and because
    a state that starts afresh for nothing has forgotten the task.

    Args:
        measured: (N, Da), SI units.
        expected: (N, Da), what had been planned for the same moments.
        half_range: (Da,) of the actions.
        quantile: In (0, 1].
        margin: At least 1.

    Raises:
        ValueError: If there is nothing to learn from, or a number is out of range.
    """
    if measured.shape != expected.shape or not len(measured):
        raise ValueError(
            f"measured and expected rows must be alike, got {measured.shape} and {expected.shape}"
        )
    if not 0 < quantile <= 1 or not 1 <= margin < np.inf:
        raise ValueError(
            f"need a quantile in (0, 1] and a margin of at least 1, got {quantile} and {margin}"
        )
    departures = np.abs(measured - expected)
    usual = np.sqrt(np.mean(departures**2, axis=0))
    scale = np.maximum(usual, FLOOR * half_range)
    largest = (departures / scale).max(axis=1)
    # At least one usual departure: what is exact in a recording need not be so on a robot.
    return DepartureLimit(scale, margin * max(float(np.quantile(largest, quantile)), 1.0))


def asked_departure_limit(
    known: TrainingRange | None, learned: DepartureLimit | None, above: float | None
) -> DepartureLimit | None:
    """Return the limit that a deployment asks for.

    Args:
        known: Training range of the policy, which gives the units where none were learned.
        learned: What lies beside its checkpoint.
        above: The limit; None: the learned one, infinite: none.

    Raises:
        ValueError: The units are not known.
    """
    if above is None:
        return learned
    if math.isinf(above):
        return None
    if learned is not None:
        return DepartureLimit(learned.scale, above)
    return DepartureLimit(DEPARTURE_UNIT * half_range_of(known), above)


def half_range_of(known: TrainingRange | None) -> np.ndarray:
    """Return half the range of each joint's commands in training, (Da,), above 0.

    Raises:
        ValueError: The policy does not know it.
    """
    if known is None:
        raise ValueError(
            "the checkpoint lacks the range of its actions, so what a usual departure is "
            "cannot be known: set monitor.reset_state_above to never"
        )
    half: np.ndarray = (known.action_high - known.action_low) / 2
    largest = float(half.max()) or 1.0
    return np.where(half > 0, half, largest)  # a joint that never moved


def save_departure_limit(
    folder: Path, checkpoint_hash: str, spec: ActionSpec, limit: DepartureLimit, source: str
) -> None:
    """Write the file beside the manifest of the checkpoint with ``checkpoint_hash``.

    The checkpoint keeps its hash, since this changes none of its plans. The file names the
    checkpoint that it belongs to, and carries its own digest.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    content: dict[str, Any] = {
        "checkpoint_sha256": checkpoint_hash,
        "joint_names": list(spec.joint_names),
        "scale": limit.scale.tolist(),
        "limit": limit.limit,
        "source": source,
    }
    content["sha256"] = _digest(content)
    write_atomically(
        folder / DEPARTURE_LIMIT_NAME, (json.dumps(content, indent=2) + "\n").encode()
    )


def load_departure_limit(
    folder: Path, checkpoint_hash: str, spec: ActionSpec
) -> DepartureLimit | None:
    """Return what was learned for this checkpoint; None when nothing was.

    Raises:
        CheckpointError: The file is damaged, or of another checkpoint.
    """
    path = folder / DEPARTURE_LIMIT_NAME
    remedy = "remove it, or make it again with `ddpm fit-state-reset`"
    if not path.exists():
        return None
    try:
        content = parsed_json(file_content(path, MOST_MANIFEST_BYTES).decode())
        known, digest = content["checkpoint_sha256"], content.pop("sha256")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error!r}); {remedy}") from error
    if known != checkpoint_hash:
        raise CheckpointError(
            f"{path}: is for checkpoint {str(known)[:12]}, this one is {checkpoint_hash[:12]}; "
            f"{remedy}"
        )
    if digest != _digest(content) or content["joint_names"] != list(spec.joint_names):
        raise CheckpointError(f"{path}: was damaged or changed; {remedy}")
    return DepartureLimit(np.array(content["scale"]), float(content["limit"]))


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
