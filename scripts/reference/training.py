"""The page of the training recipe, with the config of every system."""

import dataclasses
from pathlib import Path
from typing import get_type_hints

from tables import fields_table, summary

from ddpm_controller.systems import SYSTEMS
from ddpm_controller.training.config import TrainingConfig


def page(root: Path) -> str:
    """Return the page."""
    lines = [
        "# Training recipe",
        "",
        "What a training is: `config/training/<recipe>.yaml`, for `ddpm train --config`. `policy` "
        "is a mapping with the fields of its `kind`, below. An unknown key is refused.",
        "",
        fields_table(TrainingConfig),
    ]
    parts: dict[str, type] = {}
    for kind, system in SYSTEMS.items():
        lines += [f"## policy, of kind {kind}", "", summary(system.config), ""]
        lines += [fields_table(system.config)]
        parts |= _parts(system.config)
    configs = [system.config for system in SYSTEMS.values()]
    for name, part in sorted(parts.items()):
        if part not in configs:
            lines += [f"## {name}", "", summary(part), "", fields_table(part)]
    return "\n".join(lines)


def _parts(kind: type) -> dict[str, type]:
    """Return the dataclasses that are fields of a dataclass, by their names, and theirs."""
    found: dict[str, type] = {}
    for hint in get_type_hints(kind).values():
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            found |= {hint.__name__: hint} | _parts(hint)
    return found
