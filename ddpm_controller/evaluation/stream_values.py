"""What a vector stream of a policy shows in a simulated world."""

import numpy as np

from ddpm_controller.data.text_features import text_features, text_names
from ddpm_controller.simulation.session import Tick
from ddpm_controller.simulation.world import World
from ddpm_controller.types import StreamSpec


def vector_value(stream: StreamSpec, tick: Tick, world: World) -> np.ndarray:
    """Return the elements of a vector stream, found by name; (D,), SI units.

    The features of a sentence are those of the world's instruction.

    Raises:
        ValueError: The world has no vector with all of these names, and no sentence.
    """
    if tick.instruction and stream.names == text_names(len(stream.names)):
        return text_features(tick.instruction, len(stream.names))
    are_rates = all(unit.endswith("/s") for unit in stream.units)
    sources = [(world.joint_names, tick.velocities if are_rates else tick.positions)]
    sources += [(vector.names, vector.values) for vector in tick.vectors.values()]
    for names, values in sources:
        if set(stream.names) <= set(names):
            return values[[names.index(name) for name in stream.names]]
    raise ValueError(
        f"stream {stream.name!r} has {list(stream.names)}, but the world {world.name!r} has "
        f"{[list(names) for names, _ in sources]}; evaluate it in the world it was trained in"
    )
