"""One training in one process, or in many that ``accelerate launch`` has started.

A batch is worked off in ``num_shards`` parts with a noise of their own. Each process takes its
share of the parts and the gradients are averaged, so the number of processes changes the order of
one addition and nothing else.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import nn

from ddpm_controller.networks.device import usable_device, use_threads
from ddpm_controller.training.config import TrainingConfig, TrainingError


class Processes(Protocol):
    """What the training asks of the processes that it runs in."""

    count: int
    rank: int
    device: torch.device

    def prepared(self, module: nn.Module) -> nn.Module:
        """Return a module whose backward pass averages gradients over the processes."""
        ...

    def without_averaging(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Leave the gradients of a backward pass as they are, for all but the last part."""
        ...

    def mean(self, value: float) -> float:
        """Return the mean over the processes; all must ask."""
        ...

    def wait(self) -> None:
        """Go on when all have come here."""
        ...


class OneProcess:
    """Nothing to agree upon."""

    count = 1
    rank = 0

    def __init__(self, device: str) -> None:
        self.device = usable_device(device)

    def prepared(self, module: nn.Module) -> nn.Module:
        """Return the module itself."""
        return module

    def without_averaging(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Return a context that changes nothing."""
        return nullcontext()

    def mean(self, value: float) -> float:
        """Return the value itself."""
        return value

    def wait(self) -> None:
        """Go on at once."""


class LaunchedProcesses:
    """The processes of ``accelerate launch``, on any number of machines."""

    def __init__(self, device: str) -> None:
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise TrainingError(
                "many processes need accelerate: pip install accelerate"
            ) from error
        self._accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no")
        self.count = self._accelerator.num_processes
        self.rank = self._accelerator.process_index
        self.device = self._accelerator.device

    def prepared(self, module: nn.Module) -> nn.Module:
        """Return the module in DistributedDataParallel."""
        prepared: nn.Module = self._accelerator.prepare_model(module)
        return prepared

    def without_averaging(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Return accelerate's ``no_sync``."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(module)
        return context

    def mean(self, value: float) -> float:
        """Return the mean over all processes."""
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        return float(self._accelerator.reduce(tensor, reduction="mean"))

    def wait(self) -> None:
        """Wait for every process."""
        self._accelerator.wait_for_everyone()


def processes_for(config: TrainingConfig) -> Processes:
    """Return the processes of this training, as the launcher has set them up.

    Raises:
        TrainingError: If the shards cannot be dealt out evenly.
    """
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    processes: Processes = (
        LaunchedProcesses(config.device) if launched else OneProcess(config.device)
    )
    if config.num_shards % processes.count:
        raise TrainingError(
            f"num_shards must be a multiple of the {processes.count} processes, got "
            f"{config.num_shards}"
        )
    return processes


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch ``count`` threads for a while."""
    before = torch.get_num_threads()
    use_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
