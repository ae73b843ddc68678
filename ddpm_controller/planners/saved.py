"""A planner as a checkpoint: a folder with its manifest, model and task, and no weights."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mujoco

from ddpm_controller.checkpoint import (
    MANIFEST_NAME,
    Checkpoint,
    CheckpointError,
    Manifest,
    load_checkpoint,
    load_manifest,
    save_checkpoint,
    write_atomically,
)
from ddpm_controller.dynamics.lean import lean_model
from ddpm_controller.given_files import file_content, one_line
from ddpm_controller.planners.config import (
    PlannerConfig,
    as_saved,
    overridden_search,
    planner_config_from,
    split_overrides,
)
from ddpm_controller.planners.planner import Planner
from ddpm_controller.policy import PlanSettings, Policy
from ddpm_controller.rewards.task import Task, task_from
from ddpm_controller.types import ActionSpec, StreamSpec

KIND = "dial_mpc"
"""Kind of the checkpoints of all planners; their config names the method."""
MODEL_NAME, TASK_NAME, NOMINAL_NAME = "model.xml", "task.yaml", "nominal"
MOST_MODEL_BYTES = 8 << 20
"""A robot without meshes has about 0.02 MB."""


@dataclass(frozen=True)
class PlannerFiles:
    """What is in the folder of a planner beside its manifest.

    Attributes:
        model: MJCF of its model, in one file without assets.
        task: YAML of its task.
    """

    model: str
    task: str


def planner_files(model: Path, task: Path) -> PlannerFiles:
    """Return the files that a planner is made of.

    Raises:
        OSError: One cannot be read.
        ValueError: One is too large or no text.
    """
    return PlannerFiles(
        file_content(model, MOST_MODEL_BYTES).decode(), file_content(task, 1 << 20).decode()
    )


def model_from(mjcf: str) -> mujoco.MjModel:
    """Return the model of an MJCF text, without what its motion does not need.

    Raises:
        ValueError: It is none, or names other files.
    """
    for word in ("<include", "file=", "<plugin", "<extension"):
        if word in mjcf:
            raise ValueError(
                f"the model must be one file without assets and plugins, but it has {word!r}: "
                "take meshes and includes out; inertias are better given than computed"
            )
    try:
        return lean_model(mjcf)
    except ValueError as error:
        raise ValueError(f"the model cannot be used: {one_line(error)}") from None


def unsaved_planner(
    files: PlannerFiles,
    config: PlannerConfig,
    action_spec: ActionSpec,
    streams: tuple[StreamSpec, ...],
    nominal: Policy | None = None,
) -> Planner:
    """Return a planner of files, as ``restore_planner`` does of a checkpoint.

    Raises:
        ValueError: Model, task, action and streams do not fit each other.
    """
    task = _task_as_run(task_from(files.task), config, {})
    return Planner(config, model_from(files.model), task, action_spec, streams, nominal=nominal)


def save_planner(
    folder: Path,
    files: PlannerFiles,
    config: PlannerConfig,
    action_spec: ActionSpec,
    streams: tuple[StreamSpec, ...],
    provenance: Mapping[str, Any],
    nominal: Policy | None = None,
) -> str:
    """Write the checkpoint of a planner, which is tried before; return its hash.

    Of the streams it takes those that it reads, and those of ``nominal``, whose checkpoint is
    copied there by ``copy_nominal``.

    Raises:
        ValueError: Model, task, action and streams do not fit each other.
        CheckpointError: Writing fails.
    """
    config = replace(
        config,
        has_nominal=nominal is not None,
        model_sha256=_digest(files.model),
        task_sha256=_digest(files.task),
    )
    proposed = () if nominal is None else tuple(each.name for each in nominal.facts.streams)
    read = {*config.stream_names, *proposed}
    taken = tuple(each for each in streams if each.name in read)
    unsaved_planner(files, config, action_spec, taken, nominal)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / MODEL_NAME, files.model.encode())
        write_atomically(folder / TASK_NAME, files.task.encode())
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error})") from error
    return save_checkpoint(
        folder,
        kind=KIND,
        config=as_saved(config),
        action_spec=action_spec,
        streams=taken,
        statistics={},
        provenance=provenance,
        weights=None,
    )


def copy_nominal(source: Path, folder: Path) -> None:
    """Copy the checkpoint of the policy from whose chunk plans begin into that of a planner.

    Raises:
        CheckpointError: It cannot be copied.
    """
    manifest, target = load_checkpoint(source).manifest, folder / NOMINAL_NAME
    _refuse_nested(manifest, source)
    names = [MODEL_NAME, TASK_NAME] if manifest.kind == KIND else [manifest.weights_file]
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in (*filter(None, names), MANIFEST_NAME):
            write_atomically(target / name, file_content(source / name))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{target}: cannot be written ({error})") from error


def restore_planner(
    checkpoint: Checkpoint,
    settings: PlanSettings,
    restore: Callable[[Path, PlanSettings], Policy],
) -> Planner:
    """Return the planner of a checkpoint.

    Args:
        checkpoint: Checkpoint.
        settings: How it is run; overrides name settings of the search, and ``weight_...`` the
            weights of terms.
        restore: Restores the policy in the folder ``nominal``, if there is one.

    Raises:
        CheckpointError: A file is missing, is another one, or does not fit the config.
        ValueError: The settings break a rule of this planner.
    """
    try:
        config = planner_config_from(checkpoint.manifest.config)
    except ValueError as error:
        raise CheckpointError(f"{checkpoint.folder}: config: {error}") from error
    model_text = _verified(checkpoint.folder / MODEL_NAME, config.model_sha256)
    task_text = _verified(checkpoint.folder / TASK_NAME, config.task_sha256)
    search, weights = split_overrides(settings.overrides)
    config = replace(config, search=overridden_search(config.search, search))
    try:
        model, task = model_from(model_text), task_from(task_text)
    except ValueError as error:
        raise CheckpointError(f"{checkpoint.folder}: {error}") from error
    nominal = None
    if config.has_nominal:
        folder = checkpoint.folder / NOMINAL_NAME
        _refuse_nested(load_manifest(folder), folder)
        nominal = restore(folder, PlanSettings(device=settings.device))
    manifest = checkpoint.manifest
    return Planner(
        config,
        model,
        _task_as_run(task, config, weights),
        manifest.action_spec,
        manifest.streams,
        settings.n_action_steps,
        checkpoint.hash,
        nominal,
    )


def _refuse_nested(manifest: Manifest, folder: Path) -> None:
    if manifest.kind == KIND and manifest.config.get("has_nominal"):
        raise CheckpointError(
            f"{folder}: a planner that begins with the chunk of another policy cannot be the one "
            "from which a planner begins: take that other policy"
        )


def _task_as_run(task: Task, config: PlannerConfig, weights: Mapping[str, float]) -> Task:
    task = task.weighted(weights)
    return task.with_gait(config.search.gait) if config.search.gait else task


def _verified(path: Path, sha256: str) -> str:
    try:
        content = file_content(path, MOST_MODEL_BYTES)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({one_line(error)}); copy the whole folder again"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CheckpointError(
            f"{path}: was changed: sha256 is not {sha256[:12]}... as the manifest has it; make "
            "the planner again, or copy the folder again"
        )
    return content.decode(errors="replace")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
