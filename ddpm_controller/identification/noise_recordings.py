"""Residuals of bags, and of the MATLAB file of a real arm. No rclpy."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import find_bags
from ddpm_controller.identification.residuals import (
    ResidualChoice,
    ResidualError,
    Residuals,
    against_command,
    against_derivative,
    against_smooth,
    refuse_not_finite,
    row_period,
    thinned,
)
from ddpm_controller.robots.robot import Robot
from ddpm_controller.types import Episode, StreamSpec, measuring_stream

OnProgress = Callable[[int, int], None]
"""Called with the recordings read and the recordings in all."""

_COLUMNS = {"position": "pos", "velocity": "vel", "force": "F"}
_UNITS = {"position": "m", "velocity": "m/s", "force": "N"}
_RATE_WINDOW = 101


def residuals_of_bags(
    paths: Sequence[Path],
    robot: Robot,
    choice: ResidualChoice,
    on_progress: OnProgress = lambda done, total: None,
) -> list[Residuals]:
    """Return the residuals of every episode, on the policy's clock.

    Raises:
        ResidualError: If the robot has no such stream or joint, or an episode cannot be used.
        BagError: If no bag can be read.
    """
    stream = stream_of(robot, choice.stream)
    names = _kept(stream, choice.joints)
    if choice.against == "command":
        missing = [name for name in names if name not in robot.action_spec.joint_names]
        if missing:
            raise ResidualError(
                f"{missing} are not commanded, which are {list(robot.action_spec.joint_names)}: "
                "choose other joints, or the residual against a smooth fit"
            )
    episodes = read_episodes(find_bags(paths), robot, progress=on_progress)
    units = tuple(stream.units[stream.names.index(name)] for name in names)
    return [
        Residuals(
            _episode_values(episode, stream, names, robot, choice),
            names,
            units,
            robot.action_spec.period_s,
            Path(episode.source).name,
        )
        for episode in episodes
        if len(episode) >= (choice.window if choice.against == "smooth" else choice.lag + 1)
    ]


def measured_values(episode: Episode, stream: StreamSpec, names: Sequence[str]) -> np.ndarray:
    """Return the columns ``names`` of a stream, (N, D)."""
    return episode.values[stream.name][:, [stream.names.index(name) for name in names]]


def residuals_of_matlab(path: Path, choice: ResidualChoice) -> list[Residuals]:
    """Return the residuals of each recording in a MATLAB file of pos, vel and F, each (3, T).

    Position and force are taken against a smooth fit, velocity against the derivative of
    position. The time between rows follows from position and velocity.

    Raises:
        ResidualError: If it cannot be read, lacks a field, or a recording cannot be used.
    """
    found = []
    for number, record in enumerate(_records(path), start=1):
        source = f"{path.name}#{number}"
        rows = {field: _rows(record, name, source) for field, name in _COLUMNS.items()}
        try:
            period_s = row_period(rows["position"], rows["velocity"], _RATE_WINDOW)
            values = _matlab_values({k: thinned(v, choice.every) for k, v in rows.items()}, choice)
        except ResidualError as error:
            raise ResidualError(f"{source}: {error}") from None
        names = tuple(f"{choice.field}_{axis}" for axis in "xyz")
        units = (_UNITS[choice.field],) * 3
        found.append(Residuals(values, names, units, period_s * choice.every, source))
    return found


def _matlab_values(rows: Mapping[str, np.ndarray], choice: ResidualChoice) -> np.ndarray:
    if choice.field == "velocity":
        return against_derivative(rows["velocity"], rows["position"], choice.window)
    return against_smooth(rows[choice.field], choice.window)


def _records(path: Path) -> Sequence[Any]:
    try:
        from scipy.io import loadmat  # type: ignore[import-untyped]  # an extra
    except ImportError:
        raise ResidualError(
            f"{path}: MATLAB files are read with scipy, which is not installed: pip install scipy"
        ) from None
    try:
        content = loadmat(path)
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise ResidualError(f"{path}: not a readable MATLAB file ({error})") from None
    structures = {
        name: value
        for name, value in content.items()
        if isinstance(value, np.ndarray) and value.dtype.names
    }
    if not structures:
        raise ResidualError(f"{path}: no structure of recordings, only {sorted(content)}")
    name, recordings = next(iter(structures.items()))
    missing = sorted(set(_COLUMNS.values()) - set(recordings.dtype.names))
    if missing:
        raise ResidualError(
            f"{path}: {name} has no field {missing}, it has {list(recordings.dtype.names)}"
        )
    return list(recordings.ravel())


def _rows(record: Any, name: str, source: str) -> np.ndarray:
    """Return a field as (T, 3) float64."""
    values = np.asarray(record[name], dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != 3:
        raise ResidualError(f"{source}: {name} must be (3, T), got {values.shape}")
    refuse_not_finite(values.T, f"{source}, {name}")
    return values.T


def stream_of(robot: Robot, name: str) -> StreamSpec:
    """Return a vector stream by name, or the one that measures the commanded joints.

    Raises:
        ResidualError: If the robot has none such.
    """
    vectors = {each.name: each for each in robot.stream_specs if each.kind == "vector"}
    if name:
        if name not in vectors:
            raise ResidualError(f"no vector stream {name!r}: the robot has {sorted(vectors)}")
        return vectors[name]
    wanted = robot.action_spec.joint_names
    stream = measuring_stream(robot.stream_specs, wanted)
    if stream is not None:
        return stream
    raise ResidualError(
        f"no stream measures all of {sorted(wanted)}: name one of {sorted(vectors)}"
    )


def _kept(stream: StreamSpec, joints: Sequence[str]) -> tuple[str, ...]:
    missing = [name for name in joints if name not in stream.names]
    if missing:
        raise ResidualError(f"{stream.name} has no {missing}: it has {list(stream.names)}")
    return tuple(joints) or stream.names


def _episode_values(
    episode: Episode,
    stream: StreamSpec,
    names: Sequence[str],
    robot: Robot,
    choice: ResidualChoice,
) -> np.ndarray:
    measured = measured_values(episode, stream, names)
    refuse_not_finite(measured, episode.source)
    if choice.against == "smooth":
        return against_smooth(measured, choice.window)
    columns = [robot.action_spec.joint_names.index(name) for name in names]
    return against_command(measured, episode.actions[:, columns], choice.lag)
