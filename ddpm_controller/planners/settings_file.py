"""The YAML file that describes a planner: its search, its rollouts and what it observes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import mujoco

from ddpm_controller.given_files import one_line, parsed_yaml
from ddpm_controller.planners.config import (
    PlannerConfig,
    SearchSettings,
    StateSource,
    overridden_search,
    planner_config_from,
    preset,
)
from ddpm_controller.types import StreamSpec

_PLAIN = ("solver", "requests", "acceleration", "perturbed", "keyframe", "scale")
_KEYS = ("preset", "search", "state", *_PLAIN)


def planner_config_of(
    text: str,
    model: mujoco.MjModel,
    streams: Sequence[StreamSpec],
    changes: Mapping[str, float | str],
    method: str = "",
) -> PlannerConfig:
    """Return the config that a YAML text describes; the digests are still empty.

    Where elements of the state are the name of a stream, its elements count: those named as the
    joints, with ``_velocity`` or without, or all of them for a floating body.

    Args:
        text: Text of the file.
        model: Model of the planner.
        streams: Streams of the robot.
        changes: Settings of the search in place of those of the file, by name.
        method: Preset in place of the file's; empty: as the file has it.

    Raises:
        ValueError: A key is unknown, with those that are known, or a value breaks a rule.
    """
    values = parsed_yaml(text)
    if not isinstance(values, dict):
        raise ValueError(f"a planner's file has the keys {list(_KEYS)}, got {one_line(values)}")
    if unknown := sorted(map(str, set(values) - set(_KEYS))):
        raise ValueError(
            f"keys {unknown} are unknown to a planner's file, which has {list(_KEYS)}"
        )
    search = _search(values, method, changes)
    state = _state(values.get("state", {}), model, streams)
    plain = {name: values[name] for name in _PLAIN if name in values}
    digests = {"model_sha256": "", "task_sha256": ""}
    return planner_config_from({**digests, **plain, "search": asdict(search), "state": state})


def _search(
    values: Mapping[str, Any], method: str, changes: Mapping[str, float | str]
) -> SearchSettings:
    given = values.get("search", {})
    if not isinstance(given, dict):
        raise ValueError(f"search must have settings by name, got {one_line(given)}")
    name = method or str(values.get("preset", "mppi"))
    known = {each.name for each in fields(SearchSettings)}
    of_file = {} if method else given  # the file's numbers are for its own method
    if unknown := sorted(set(of_file) - known):
        raise ValueError(f"search: {unknown} are unknown; there are {sorted(known)}")
    return overridden_search(preset(name, {}), {**of_file, **changes})


def _state(given: Any, model: mujoco.MjModel, streams: Sequence[StreamSpec]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"state must have elements by name, got {one_line(given)}")
    known = [each.name for each in fields(StateSource)]
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"state: {unknown} are unknown; there are {known}")
    return {name: _elements(name, each, model, streams) for name, each in given.items()}


def _elements(part: str, given: Any, model: mujoco.MjModel, streams: Sequence[StreamSpec]) -> Any:
    if part == "velocity_frame" or not isinstance(given, str):
        return given
    names = {each.name: each.names for each in streams}
    if given not in names:
        raise ValueError(f"state: {part}: no stream {given!r}; there are {sorted(names)}")
    if part not in ("joint_positions", "joint_velocities"):
        return [f"{given}/{name}" for name in names[given]]
    found = []
    for index in range(model.njnt):
        if model.jnt_type[index] == mujoco.mjtJoint.mjJNT_FREE:
            continue
        joint = model.joint(index).name
        element = next((x for x in (joint, f"{joint}_velocity") if x in names[given]), None)
        if element is None:
            raise ValueError(
                f"state: {part}: the model has the joint {joint!r}, the stream {given!r} only "
                f"{list(names[given])}"
            )
        found.append(f"{given}/{element}")
    return found
