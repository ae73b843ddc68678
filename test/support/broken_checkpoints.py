"""Ways to make a checkpoint one that must be refused."""

import json
from pathlib import Path

from ddpm_controller.checkpoint import load_manifest, save_checkpoint


def truncate(folder: Path) -> None:
    """Weights cut while they were copied."""
    (weights,) = folder.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])


def edit(folder: Path) -> None:
    """A manifest changed by hand."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["config"]["n_action_steps"] = 3
    path.write_text(json.dumps(manifest))


def rename_joints(folder: Path) -> None:
    """A checkpoint that is right in itself, for another arm."""
    fields = load_manifest(folder).model_dump()
    spec, streams = load_manifest(folder).action_spec, load_manifest(folder).streams
    names = tuple(f"other_{name}" for name in spec.joint_names)
    object.__setattr__(spec, "joint_names", names)
    kept = ("kind", "config", "statistics", "provenance")
    save_checkpoint(
        folder,
        **{key: fields[key] for key in kept},
        action_spec=spec,
        streams=streams,
        weights={},
    )
