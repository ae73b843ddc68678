"""What every engine can do: answer in place of a U-Net, with the same numbers."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ddpm_controller.networks.unet1d import ConditionalUnet1d

Answer = Callable[[Tensor, Tensor], Tensor]
"""(xt (B, Tp, inputs), modulation (B, M)) -> a U-Net's answer, (B, Tp, answers * Da)."""

TOLERANCE = 1e-4
"""Largest difference to torch of a normalized chunk, whose numbers lie in [-1, 1], up to which an
engine counts as equal; in float32 it is about 1e-5."""


class EngineError(ValueError):
    """An engine that cannot serve a network here; the text has the reason and the remedy."""


@dataclass(frozen=True, eq=False)
class Served:
    """A network that an engine is to serve.

    Attributes:
        unet: In evaluation mode, on the CPU; what an engine needs of it, it copies.
        horizon: Rows of a chunk, Tp.
        threads: Threads that may compute.
    """

    unet: ConditionalUnet1d
    horizon: int
    threads: int


class Engine(Protocol):
    """Something that computes the answers of a U-Net.

    Attributes:
        name: Name by which it is chosen, recorded and shown.
        distribution: Package that has to be installed.
        extra: Extra of this package that installs it.
        tolerance: Largest difference to torch of a normalized chunk.
    """

    name: str
    distribution: str
    extra: str
    tolerance: float

    def bind(self, served: Served) -> Answer:
        """Return what answers for a network, row by row and from any thread.

        Imports the engine's package: see ``trial`` for one that ends the process.

        Raises:
            EngineError: If the processor lacks what it needs, or it refuses the network.
        """
        ...


def version_of(engine: Engine) -> str:
    """Return the version that is installed, without importing it; empty: none is."""
    try:
        return importlib.metadata.version(engine.distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def refuse_missing(engine: Engine) -> None:
    """Raise EngineError unless the engine's package is installed."""
    if not version_of(engine):
        raise EngineError(
            f"engine {engine.name!r} is not installed: pip install "
            f"'ddpm_controller[{engine.extra}]', or let engine be auto or torch"
        )
