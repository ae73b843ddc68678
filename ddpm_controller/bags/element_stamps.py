"""Acquisition times of single joints in a chunk message, where several messages brought them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ddpm_controller.messages.stamps import seconds
from ddpm_controller.types import Observation


def element_stamps(window: Sequence[Observation]) -> tuple[list[str], list[float]]:
    """Return ``stream/element`` of every stream in parts, and their stamps moment after moment.

    Both are empty where every vector came in one message.
    """
    parted = {
        (stream, element)
        for observation in window
        for stream, stamps_s in observation.element_stamps_s.items()
        for element in stamps_s
    }
    order = sorted(parted)
    stamps_s = [
        observation.element_stamps_s.get(stream, {}).get(
            element, observation.source_stamps_s[stream]
        )
        for observation in window
        for stream, element in order
    ]
    return [f"{stream}/{element}" for stream, element in order], stamps_s


def element_stamps_from(message: Any, n_obs_steps: int) -> tuple[Mapping[str, float], ...]:
    """Return, moment after moment, ``stream/element`` -> stamp of an ActionChunk.

    A bag from before these fields has none.
    """
    names = list(getattr(message, "element_names", ()))
    stamps_s = [seconds(stamp) for stamp in getattr(message, "element_stamps", ())]
    return tuple(
        dict(zip(names, stamps_s[i * len(names) :], strict=False)) for i in range(n_obs_steps)
    )
