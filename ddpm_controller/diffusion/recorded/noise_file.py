"""Recorded noise as a small JSON file that recipes and the controller can name."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_controller.diffusion.recorded.colouring import Colouring
from ddpm_controller.diffusion.recorded.element_maps import ElementMap, ScaleMixture, SinhArcsinh
from ddpm_controller.diffusion.recorded.noise_map import NoiseMap
from ddpm_controller.diffusion.recorded.recorded_noise import RecordedNoise
from ddpm_controller.given_files import file_text, one_line, parsed_json

KIND = "recorded_noise"
FORMAT_VERSION = 1
_MOST_BYTES = 16 << 20
_FIELDS = {
    *("kind", "format_version", "names", "units", "period_s", "mean", "scale"),
    *("reflection", "correlation", "shapes_innovations", "elements", "provenance"),
}
_ELEMENTS = {"sinh_arcsinh": {"skew", "tail"}, "scale_mixture": {"weights", "scales"}}


class NoiseFileError(ValueError):
    """A noise file that cannot be used; the text names the file, the reason and the remedy."""


@dataclass(frozen=True, eq=False)
class NoiseFile:
    """What a noise file has.

    Attributes:
        noise: The fitted noise.
        provenance: What it was fitted on and how well it fits; plain values.
        hash: sha256 of the content, which names it.
    """

    noise: RecordedNoise
    provenance: Mapping[str, Any]
    hash: str


def save_noise(path: Path | str, noise: RecordedNoise, provenance: Mapping[str, Any]) -> str:
    """Write a noise file in one step and return its hash. Numbers come back bit for bit.

    Raises:
        NoiseFileError: If it cannot be written.
    """
    path = Path(path)
    fields = noise_fields(noise) | {"provenance": dict(provenance)}
    text = json.dumps(fields, indent=1, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise NoiseFileError(f"{path}: cannot be written ({error}); choose another") from error
    return _digest(fields)


def load_noise(path: Path | str) -> NoiseFile:
    """Read and validate a noise file.

    Raises:
        NoiseFileError: If it is missing, not one, of another version, or breaks a rule.
    """
    path = Path(path)
    try:
        fields = parsed_json(file_text(path, _MOST_BYTES))
    except OSError as error:
        raise NoiseFileError(
            f"{path}: cannot be read ({error.strerror}); `ddpm fit-noise` writes such a file"
        ) from None
    except ValueError as error:
        raise NoiseFileError(
            f"{path}: not JSON ({one_line(error)}); fit the noise again"
        ) from None
    try:
        noise = noise_from_fields(fields)
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise NoiseFileError(f"{path}: {one_line(error)}") from None
    return NoiseFile(noise, fields.get("provenance", {}), _digest(fields))


def noise_fields(noise: RecordedNoise) -> dict[str, Any]:
    """Return the noise as plain values, for JSON."""
    elements = noise.noise_map.elements
    if isinstance(elements, SinhArcsinh):
        shape = {"kind": "sinh_arcsinh", "skew": elements.skew, "tail": elements.tail}
    elif isinstance(elements, ScaleMixture):
        shape = {"kind": "scale_mixture", "weights": elements.weights, "scales": elements.scales}
    else:
        raise NoiseFileError(f"a map of {type(elements).__name__} has no place in a noise file")
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "names": list(noise.names),
        "units": list(noise.units),
        "period_s": noise.period_s,
        "mean": noise.mean.tolist(),
        "scale": noise.scale.tolist(),
        "reflection": noise.noise_map.colouring.reflection.tolist(),
        "correlation": noise.noise_map.colouring.correlation.tolist(),
        "shapes_innovations": noise.noise_map.shapes_innovations,
        "elements": {
            name: each.tolist() if isinstance(each, Tensor) else each
            for name, each in shape.items()
        },
    }


def noise_from_fields(fields: Any) -> RecordedNoise:
    """Return the noise of what ``noise_fields`` gave.

    Raises:
        ValueError: With what is wrong and the rule.
    """
    if not isinstance(fields, dict) or fields.get("kind") != KIND:
        raise ValueError(
            f"not a noise file: its kind must be {KIND!r}; `ddpm fit-noise` writes one"
        )
    if fields.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"format version {fields.get('format_version')} but this release reads "
            f"{FORMAT_VERSION}: fit the noise again"
        )
    _refuse_other_fields(fields, _FIELDS - {"provenance"}, _FIELDS, "the file")
    columns = len(fields["names"])
    reflection = _table(fields["reflection"], "reflection", (None, columns))
    correlation = _table(fields["correlation"], "correlation", (columns, columns))
    if not bool((torch.linalg.eigvalsh(correlation) > 0).all()):
        raise ValueError(f"correlation must be positive definite, got {correlation.tolist()}")
    innovations = fields["shapes_innovations"]
    if not isinstance(innovations, bool):
        raise ValueError(f"shapes_innovations must be true or false, got {innovations!r}")
    elements = _elements(fields["elements"], columns)
    return RecordedNoise(
        names=tuple(str(name) for name in fields["names"]),
        units=tuple(str(unit) for unit in fields["units"]),
        period_s=float(fields["period_s"]),
        mean=_table(fields["mean"], "mean", (columns,)),
        scale=_table(fields["scale"], "scale", (columns,)),
        noise_map=NoiseMap(Colouring(reflection, correlation), elements, innovations),
    )


def _elements(fields: Any, columns: int) -> ElementMap:
    kind = fields.get("kind") if isinstance(fields, dict) else fields
    if kind not in _ELEMENTS:
        raise ValueError(f"elements must be one of {sorted(_ELEMENTS)}, got {kind!r}")
    wanted = _ELEMENTS[kind] | {"kind"}
    _refuse_other_fields(fields, wanted, wanted, f"elements of kind {kind}")
    if kind == "sinh_arcsinh":
        skew, tail = (_table(fields[name], name, (columns,)) for name in ("skew", "tail"))
        return SinhArcsinh(skew, tail)
    weights, scales = (_table(fields[n], n, (None, columns)) for n in ("weights", "scales"))
    return ScaleMixture(weights, scales)


def _table(value: Any, name: str, shape: tuple[int | None, ...]) -> Tensor:
    table = torch.tensor(value, dtype=torch.float64)
    if shape[0] is None and table.numel() == 0:
        table = table.reshape(0, *[size or 0 for size in shape[1:]])
    fits = table.ndim == len(shape) and all(
        size in (None, have) for size, have in zip(shape, table.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must be ({wanted}), one per name, got {tuple(table.shape)}")
    if not bool(torch.isfinite(table).all()):
        raise ValueError(f"{name} must be finite, got {value}")
    return table


def _refuse_other_fields(fields: Any, needed: set[str], allowed: set[str], where: str) -> None:
    missing, foreign = sorted(needed - set(fields)), sorted(set(fields) - allowed)
    if missing or foreign:
        raise ValueError(f"{where} lacks {missing} and has {foreign} that nothing reads")


def _digest(fields: Mapping[str, Any]) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
