"""Joint states without their recorded noise: a callable that an observation buffer takes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpm_controller.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.identification.state_denoiser_network import StateDenoiserNetwork
from ddpm_controller.types import ActionSpec, StreamSpec

KIND = "state_denoiser"


@dataclass(frozen=True)
class StateDenoiserConfig:
    """What a state denoiser is.

    Attributes:
        num_rows: N, rows of history.
        period_s: Time between them: that of the noise it was trained with.
        width: Width of the network.
        scale: (D,) deviations of the noise, in the stream's units.
        noise_hash: Hash of the noise file that it was trained with.
    """

    num_rows: int
    period_s: float
    width: int
    scale: tuple[float, ...]
    noise_hash: str

    def __post_init__(self) -> None:
        if self.num_rows < 2 or not self.period_s > 0 or self.width < 1:
            raise ValueError(
                f"num_rows must be 2 or more, period_s and width above 0, got {self.num_rows}, "
                f"{self.period_s} and {self.width}"
            )
        if not all(each > 0 for each in self.scale):
            raise ValueError(f"scale must be above 0, got {list(self.scale)}")


class StateDenoiser:
    """The newest state of a history, cleaned. Deterministic; computes on the CPU.

    Attributes:
        config: What it is.
        stream: The stream that it cleans.
        hash: Hash of its checkpoint.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        manifest = checkpoint.manifest
        if manifest.kind != KIND:
            raise CheckpointError(
                f"{checkpoint.folder}: kind {manifest.kind!r} is not a state denoiser; give the "
                f"folder that `ddpm fit-noise --denoiser` wrote"
            )
        try:
            self.config = StateDenoiserConfig(**manifest.config)
            (self.stream,) = manifest.streams
            columns = len(self.config.scale)
            self._network = StateDenoiserNetwork(self.config.num_rows, columns, self.config.width)
            self._network.load_state_dict(dict(checkpoint.weights))
        except (TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{checkpoint.folder}: not a state denoiser: {error}") from None
        self._network.eval()
        self._scale = np.asarray(self.config.scale)
        self.hash = checkpoint.hash

    def __call__(self, history: np.ndarray) -> np.ndarray:
        """Return the clean newest state (D,) of noisy states (N, D), oldest first."""
        newest = history[-1]
        # Differences, so that float32 keeps the digits whatever the pose.
        apart = torch.from_numpy((history - newest) / self._scale).float()
        with torch.inference_mode():
            clean = self._network(apart[None])[0, -1]
        return newest + clean.double().numpy() * self._scale


def load_state_denoiser(folder: Path | str, streams: tuple[StreamSpec, ...]) -> StateDenoiser:
    """Read a state denoiser and refuse one that does not fit the robot.

    Raises:
        CheckpointError: It cannot be read, or cleans a stream that the robot does not have with
            these elements; with both lists.
    """
    denoiser = StateDenoiser(load_checkpoint(folder))
    wanted = denoiser.stream
    have = {each.name: each for each in streams}.get(wanted.name)
    if have is None or (have.names, have.units) != (wanted.names, wanted.units):
        robot = f"{list(have.names)}" if have else f"only {sorted(s.name for s in streams)}"
        raise CheckpointError(
            f"{folder}: the state denoiser does not fit the robot: it cleans {wanted.name!r} with "
            f"{list(wanted.names)}, the robot has {robot}; fit one for this robot"
        )
    return denoiser


def save_state_denoiser(
    folder: Path | str,
    network: StateDenoiserNetwork,
    config: StateDenoiserConfig,
    stream: StreamSpec,
    action_spec: ActionSpec,
    provenance: Mapping[str, Any],
) -> str:
    """Write a state denoiser; return its hash.

    Raises:
        CheckpointError: If it cannot be written.
    """
    return save_checkpoint(
        folder,
        kind=KIND,
        config=asdict(config),
        action_spec=action_spec,
        streams=(stream,),
        statistics={},
        provenance=provenance,
        weights=network.state_dict(),
    )


def filters_of(denoiser: StateDenoiser) -> dict[str, StreamFilter]:
    """Return a denoiser as a control loop or the reading of bags takes it."""
    config = denoiser.config
    return {denoiser.stream.name: StreamFilter(config.num_rows, config.period_s, denoiser)}
