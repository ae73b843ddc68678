"""What is in a checkpoint: a folder with ``manifest.json`` and safetensors weights, or none.

Never a pickle. The manifest names the weights file and carries its digest and its own, so a
truncated or edited checkpoint is refused. Replacing a checkpoint replaces the manifest in one
step, after the weights that it names are on disk: a reader, or a writer that is killed, finds the
old checkpoint or the new one.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from ddpm_controller.given_files import file_content, one_line, parsed_json
from ddpm_controller.types import ActionSpec, StreamSpec

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
OUT_OF_DISTRIBUTION_NAME = "out_of_distribution.safetensors"
"""May lie beside the manifest: what was measured with a finished checkpoint, and names it."""
DEPARTURE_LIMIT_NAME = "departure_limit.json"
"""Likewise."""
ACTION_STATISTICS = "action"
"""Key of the action in ``Manifest.statistics``, beside the names of the streams."""
MOST_MANIFEST_BYTES = 8 << 20
"""A manifest that this package writes has about 0.1 MB."""
_WEIGHT_TYPES = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool}
)
"""What networks of this package hold; from another type weights would be rounded silently."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used or written; the text has the reason and the remedy."""


class Manifest(BaseModel):
    """Everything about a checkpoint but its weights.

    Attributes:
        format_version: Version of this file.
        kind: Key of ``systems.SYSTEMS``.
        config: What the policy is, as its config dataclass saves it.
        action_spec: What one row of a chunk commands.
        streams: What the policy observes, with names, order, units and rates.
        statistics: Stream name, or ``action`` -> ``{"min": [...], "max": [...]}``, SI units.
        provenance: What it was trained on and how.
        library_versions: What it was written with.
        weights_file: Name of the weights beside the manifest; empty for a system that has none.
        weights_sha256: Digest of that file; empty without one.
        manifest_sha256: Digest of this manifest without this field; the checkpoint's hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    kind: str
    config: dict[str, Any]
    action_spec: ActionSpec
    streams: tuple[StreamSpec, ...]
    statistics: dict[str, dict[str, list[float]]]
    provenance: dict[str, Any]
    library_versions: dict[str, str]
    weights_file: str
    weights_sha256: str
    manifest_sha256: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read from disk and verified."""

    manifest: Manifest
    weights: Mapping[str, Tensor]
    folder: Path

    @property
    def hash(self) -> str:
        """The digest that names this checkpoint: of its manifest, and so of its weights."""
        return self.manifest.manifest_sha256


def save_checkpoint(
    folder: Path | str,
    *,
    kind: str,
    config: Mapping[str, Any],
    action_spec: ActionSpec,
    streams: tuple[StreamSpec, ...],
    statistics: Mapping[str, Mapping[str, list[float]]],
    provenance: Mapping[str, Any],
    weights: Mapping[str, Tensor] | None,
) -> str:
    """Write a checkpoint, replacing the one in ``folder`` in one step; return its hash.

    ``weights`` is None for a system that has none.

    Raises:
        CheckpointError: If weights are not finite or writing fails. What was there stays.
    """
    folder = Path(folder)
    content, digest = None, ""
    if weights is not None:
        _refuse_not_finite(weights, f"checkpoint not written to {folder}")
        tensors = {name: each.detach().cpu().contiguous() for name, each in weights.items()}
        content = save_tensors(tensors)
        digest = hashlib.sha256(content).hexdigest()
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        kind=kind,
        config=dict(config),
        action_spec=action_spec,
        streams=streams,
        statistics={name: dict(each) for name, each in statistics.items()},
        provenance=dict(provenance),
        library_versions=_library_versions(),
        weights_file=f"weights-{digest[:12]}.safetensors" if digest else "",
        weights_sha256=digest,
        manifest_sha256="",
    )
    fields = json.loads(manifest.model_dump_json())
    fields["manifest_sha256"] = _manifest_digest(fields)
    text = json.dumps(fields, indent=2, allow_nan=False) + "\n"
    _write_both(folder, manifest.weights_file, content, text.encode())
    return str(fields["manifest_sha256"])


def _write_both(folder: Path, weights_file: str, weights: bytes | None, manifest: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (OUT_OF_DISTRIBUTION_NAME, DEPARTURE_LIMIT_NAME):
            (folder / name).unlink(missing_ok=True)  # of the one before
        if weights is not None:
            write_atomically(folder / weights_file, weights)
        write_atomically(folder / MANIFEST_NAME, manifest)
    except OSError as error:
        raise CheckpointError(
            f"{folder}: the checkpoint could not be written ({error}); the one before is intact. "
            f"Make room or choose another folder and try again"
        ) from error
    _remove_leftovers(folder, weights_file)


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        CheckpointError: If it is missing, unfinished, truncated, edited, of another format
            version, or has weights that are not finite or of another type.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    if not manifest.weights_file:
        return Checkpoint(manifest, {}, folder)
    if Path(manifest.weights_file).name != manifest.weights_file:
        raise CheckpointError(
            f"{folder / MANIFEST_NAME}: weights_file {one_line(manifest.weights_file)!r} must be "
            "the name of a file beside it: copy the whole folder again"
        )
    path = folder / manifest.weights_file
    try:
        content = file_content(path)
    except FileNotFoundError:
        # A writer may have replaced the checkpoint between the two reads; twice, and the manifest
        # is the same again.
        if (newer := load_manifest(folder)) != manifest or path.exists():
            return load_checkpoint(folder)
        raise CheckpointError(
            f"{folder}: weights file {newer.weights_file} is missing; copy the whole folder again"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    if hashlib.sha256(content).hexdigest() != manifest.weights_sha256:
        raise CheckpointError(
            f"{path}: the weights ({len(content)} bytes) are truncated or changed: sha256 is not "
            f"{manifest.weights_sha256[:12]}... as the manifest has it; copy the folder again"
        )
    try:
        weights = load_tensors(content)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: not a safetensors file ({one_line(error)})") from error
    _refuse_other_types(weights, str(path))
    _refuse_not_finite(weights, str(path))
    return Checkpoint(manifest, weights, folder)


def load_manifest(folder: Path | str) -> Manifest:
    """Read and verify the manifest only, quickly.

    Raises:
        CheckpointError: If it is missing, unreadable, edited or of another format version.
    """
    path = Path(folder) / MANIFEST_NAME
    try:
        fields = parsed_json(file_content(path, MOST_MANIFEST_BYTES).decode())
    except (FileNotFoundError, NotADirectoryError):
        found = "an unfinished or foreign folder" if Path(folder).is_dir() else "no such folder"
        raise CheckpointError(
            f"{folder}: no checkpoint here ({found}): {MANIFEST_NAME} is missing; give the "
            f"folder that training wrote, for example .../checkpoints/best"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable manifest ({one_line(error)}); copy the checkpoint again"
        ) from error
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {one_line(version)} but this release reads {FORMAT_VERSION}; "
            f"train again or use the release that wrote it"
        )
    if fields.get("manifest_sha256") != _manifest_digest(fields):
        raise CheckpointError(
            f"{path}: the manifest was changed after training (its digest does not fit its text);"
            f" restore the original, and change settings by ROS parameters instead"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        raise CheckpointError(f"{path}: not a valid manifest: {one_line(error)}") from error


def refuse_mismatch(
    manifest: Manifest,
    streams: tuple[StreamSpec, ...],
    action_spec: ActionSpec,
    problems: Sequence[str] = (),
) -> None:
    """Raise unless the robot has every stream and exactly the action that the policy learned.

    The robot may have more streams. Rates are not compared: streams are sampled by time.

    Args:
        manifest: That of the checkpoint.
        streams: Streams of the robot.
        action_spec: Action of the robot.
        problems: What else does not fit, a line each with both sides.

    Raises:
        CheckpointError: With both lists.
    """
    robot = {stream.name: stream for stream in streams}
    lines = []
    for wanted in manifest.streams:
        have = robot.get(wanted.name)
        if have is None or _essence(have) != _essence(wanted):
            lines.append(f"stream {wanted.name!r}: checkpoint {_essence(wanted)}")
            lines.append(f"  robot {_essence(have) if have else f'has only {sorted(robot)}'}")
    learned, commanded = asdict(manifest.action_spec), asdict(action_spec)
    for name, value in learned.items():
        if value != commanded[name]:
            lines += [f"action {name}: checkpoint {value}", f"  robot {commanded[name]}"]
    lines += problems
    if lines:
        raise CheckpointError(
            "the checkpoint does not fit the robot; use one trained for it or correct the robot "
            "file:\n" + "\n".join(lines)
        )


def _essence(stream: StreamSpec) -> str:
    elements = [f"{name} [{unit}]" for name, unit in zip(stream.names, stream.units, strict=True)]
    if stream.depth_range_m is not None:
        elements.append(f"of depth {list(stream.depth_range_m)} m")
    wraps = f"wraps {', '.join(stream.wraps)}" if stream.wraps else ""
    return f"{stream.kind} {stream.shape} {', '.join(elements)} {wraps}".rstrip()


def _manifest_digest(fields: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in fields.items() if name != "manifest_sha256"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _refuse_not_finite(weights: Mapping[str, Tensor], where: str) -> None:
    wrong = [name for name, each in weights.items() if not bool(torch.isfinite(each).all())]
    if wrong:
        raise CheckpointError(
            f"{where}: {len(wrong)} of {len(weights)} weights are not finite, first {wrong[0]!r}; "
            f"the training diverged: use an earlier checkpoint or a lower learning rate"
        )


def _refuse_other_types(weights: Mapping[str, Tensor], where: str) -> None:
    for name, each in weights.items():
        if each.dtype not in _WEIGHT_TYPES:
            known = sorted(str(kind).removeprefix("torch.") for kind in _WEIGHT_TYPES)
            raise CheckpointError(
                f"{where}: weight {name!r} is of type {str(each.dtype).removeprefix('torch.')}, "
                f"which is none of {known}: save the checkpoint with float32"
            )


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``path`` so that it has all of ``content`` or stays as it was, even after a crash."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name is on disk too
    finally:
        os.close(folder)


def _remove_leftovers(folder: Path, weights_file: str) -> None:
    """Remove weights that no manifest names, and what a killed writer left."""
    for pattern in ("weights-*.safetensors", ".weights-*", f".{MANIFEST_NAME}.*"):
        for path in folder.glob(pattern):
            if path.name != weights_file:
                with contextlib.suppress(OSError):  # the new checkpoint is whole all the same
                    path.unlink()


def _library_versions() -> dict[str, str]:
    names = ("numpy", "pydantic", "safetensors", "torch")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **versions}
