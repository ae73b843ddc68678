"""What `ddpm controller --help` prints: the parameters of a node, since ROS has no such help."""

import importlib
import textwrap

PARAMETERS = {
    "controller": "ddpm_controller.ros.controller.parameters:ControllerParameters",
    "trainer": "ddpm_controller.ros.trainer.parameters:TrainerParameters",
    "simulation": "ddpm_controller.ros.simulation.parameters:SimulationParameters",
}
"""Node -> module and dataclass of its parameters."""


def parameters_of(node: str) -> type:
    """Return the dataclass of the parameters of a node; imports ROS."""
    module, name = PARAMETERS[node].split(":")
    kind: type = getattr(importlib.import_module(module), name)
    return kind


def node_help(node: str) -> str:
    """Return how a node is started and what its parameters are."""
    # Imported here: it needs ROS, and the names of the nodes do not.
    from ddpm_controller.ros.parameters import declarations

    kind = parameters_of(node)
    lines = [
        f"usage: ddpm {node} [--ros-args -p NAME:=VALUE ...]\n",
        f"The ROS node `{node}`. Its parameters, with their defaults:\n",
    ]
    for each in declarations(kind):
        text = f"{each.text} One of: {each.rule}." if each.words else each.text
        lines.append(f"  {each.name}:={each.default!r}")
        lines.append(textwrap.indent(textwrap.fill(text, 90), " " * 6))
    return "\n".join(lines) + "\n"
