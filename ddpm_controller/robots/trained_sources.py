"""Where streams came from in training, beside what a policy sees of them: kept in its checkpoint.

Names, units and sizes alone do not show another field, another frame or another lens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ddpm_controller.messages.camera_view import CameraView, as_fact
from ddpm_controller.robots.outputs import JOINT_STATE
from ddpm_controller.robots.streams import RobotStream

SOURCES = "sources"
"""Key in the provenance of a checkpoint; one from before it has none, and is not compared."""
_ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class SourceComparison:
    """How the streams of a robot differ from those of the training, both sides in each line.

    Attributes:
        refused: What makes the policy see something else.
        noted: What may be the same under another name.
    """

    refused: tuple[str, ...]
    noted: tuple[str, ...]


def sources_of(
    streams: Sequence[RobotStream], views: Mapping[str, CameraView]
) -> dict[str, dict[str, Any]]:
    """Return stream -> where it comes from, for a checkpoint.

    Args:
        streams: As the robot file has them.
        views: Stream of images -> field of view, where it is known.
    """
    found = {each.spec.name: _source(each) for each in streams if not each.is_text}
    for name, view in views.items():
        found[name]["view"] = as_fact(view)
    return found


def compare_sources(
    trained: Mapping[str, Any], streams: Sequence[RobotStream]
) -> SourceComparison:
    """Compare the streams of a robot with those that a checkpoint was trained with.

    Args:
        trained: As ``sources_of``; empty for a checkpoint from before.
        streams: Streams of the robot.
    """
    refused: list[str] = []
    noted: list[str] = []
    for stream in streams:
        before = trained.get(stream.spec.name)
        if before is None:
            continue
        for key, now in _source(stream).items():
            if key not in before or before[key] == now:
                continue
            text = f"stream {stream.spec.name!r}: {key}: checkpoint {before[key]}, robot {now}"
            is_other = _OTHER.get(key, lambda before, now: False)(before[key], now)
            (refused if is_other else noted).append(text)
    return SourceComparison(tuple(refused), tuple(noted))


def _source(stream: RobotStream) -> dict[str, Any]:
    if stream.spec.kind == "image":
        _, _, rows, columns = stream.seen_part
        return {
            "message_size": list(stream.message_size),
            "crop": list(stream.seen_part),
            "aspect": round(columns / rows, 4),
        }
    source: dict[str, Any] = {"type": stream.type}
    if stream.frames is not None:
        source["frames"] = list(stream.frames)
    if stream.fields:
        source["fields"] = [each for field in stream.fields for each in field.names]
        signs = [list(f.reference) for f in stream.fields if f.form in ("component", "vector")]
        return source | ({"reference": signs[0]} if signs else {})
    return source | ({"field": stream.field} if stream.type == JOINT_STATE else {})


def _have_other_ends(before: Sequence[str], now: Sequence[str]) -> bool:
    """Return whether two lists of fields end differently: pose.x and pose.pose.x are the same."""
    return [each.split(".")[-1] for each in before] != [each.split(".")[-1] for each in now]


_OTHER = {
    "field": lambda before, now: True,
    "reference": lambda before, now: True,
    "fields": _have_other_ends,
    "aspect": lambda before, now: abs(now / before - 1) > _ASPECT_TOLERANCE,
}
"""Key -> whether a difference makes the policy see something else; another key is only noted."""
