"""What `ddpm controller --help` prints: the parameters of a node, since ROS has no such help."""

import dataclasses
import textwrap

from ddpm_controller.ros.controller.parameters import ControllerParameters
from ddpm_controller.ros.simulation.node import SimulationParameters
from ddpm_controller.ros.trainer.node import TrainerParameters

PARAMETERS: dict[str, type] = {
    "controller": ControllerParameters,
    "trainer": TrainerParameters,
    "simulation": SimulationParameters,
}
"""Node -> dataclass of its parameters."""


def node_help(name: str) -> str:
    """Return how a node is started and what its parameters are."""
    lines = [
        f"usage: ddpm {name} [--ros-args -p NAME:=VALUE ...]\n",
        f"The ROS node `{name}`. Its parameters, with their defaults:\n",
    ]
    for field in dataclasses.fields(PARAMETERS[name]):
        lines.append(f"  {field.name}:={field.default!r}")
        lines.append(textwrap.indent(textwrap.fill(field.metadata["text"], 90), " " * 6))
    return "\n".join(lines) + "\n"
