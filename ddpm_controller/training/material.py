"""What a training learns from: windows of the episodes, their limits, and what is held out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from ddpm_controller.checkpoint import Checkpoint, load_checkpoint, refuse_mismatch
from ddpm_controller.data.robust_range import bounded
from ddpm_controller.data.statistics import (
    ACTION,
    episode_statistics,
    episodes_digest,
    refuse_misfits,
)
from ddpm_controller.data.windows import WindowDataset, split_episodes
from ddpm_controller.systems import SYSTEMS
from ddpm_controller.training.config import TrainingConfig
from ddpm_controller.training.ranges import Statistics, beyond, refuse_beyond, widened
from ddpm_controller.training.state import Fingerprint
from ddpm_controller.types import ActionSpec, Episode, StreamSpec

_AT_ONCE = 1024
"""Windows whose ranges are looked at together."""


@dataclass(frozen=True)
class Material:
    """Episodes made ready.

    Attributes:
        windows: To train on.
        validation: Windows of the held-out episodes, without what comes behind their ends, so
            that recipes can be compared; None without any.
        held_out: Those episodes.
        action_spec: What a row of a chunk commands.
        streams: What the policy observes, in its order.
        statistics: Limits of every vector and of the action, over the training episodes.
        provenance: For the checkpoint: where the data came from and how it was divided.
        initial: The checkpoint whose weights to begin with; its ranges are in the statistics.
        widened: Elements whose ranges are wider than those of the initial checkpoint, a line each.
    """

    windows: WindowDataset
    validation: WindowDataset | None
    held_out: tuple[Episode, ...]
    action_spec: ActionSpec
    streams: tuple[StreamSpec, ...]
    statistics: Statistics
    provenance: Mapping[str, Any]
    initial: Checkpoint | None = None
    widened: tuple[str, ...] = ()

    def fingerprint(self, config: TrainingConfig) -> Fingerprint:
        """Return all that decides the weights; a state of another fingerprint is refused."""
        return {
            **asdict(config),
            "initial_checkpoint": self.initial.hash if self.initial else "",
            "episodes_sha256": self.provenance["episodes_sha256"],
            "action_spec": asdict(self.action_spec),
            "streams": [asdict(stream) for stream in self.streams],
        }


def material_from(
    episodes: Sequence[Episode],
    action_spec: ActionSpec,
    streams: Sequence[StreamSpec],
    config: TrainingConfig,
    provenance: Mapping[str, Any],
) -> Material:
    """Check the episodes and divide them.

    Raises:
        ValueError: If there are none, or one does not fit or is not finite.
        CheckpointError: If the initial checkpoint cannot be used for them.
    """
    refuse_misfits(episodes, streams, len(action_spec.joint_names))
    streams = _observed(streams, config.streams)
    episodes = [_with_only(episode, streams) for episode in episodes]
    episode_statistics(episodes, streams)  # refuses what is not finite, in held-out ones too
    chosen, held_out = split_episodes(episodes, config.validation_fraction, config.seed)
    training, cut = bounded([episodes[index] for index in chosen], streams)
    validation = [episodes[index] for index in held_out]
    initial = _initial(config, action_spec, streams)
    statistics, lines = _ranges(training, initial, config, action_spec, streams)
    steps, rows = config.policy.training_window
    at_rest = action_spec.are_velocities
    windows = WindowDataset(training, steps, rows, config.stay_at_end, at_rest)
    return Material(
        windows=windows,
        validation=WindowDataset(validation, steps, rows) if validation else None,
        held_out=tuple(validation),
        action_spec=action_spec,
        streams=tuple(streams),
        statistics=statistics,
        provenance={
            **provenance,
            "episodes_sha256": episodes_digest(episodes),
            "num_episodes": len(training),
            "num_windows": len(windows),
            "held_out": [episode.source for episode in validation],
            **({"initial_checkpoint": initial.hash} if initial else {}),
            **({"widened_ranges": lines} if lines else {}),
            **({"cut_outliers": cut} if cut else {}),
        },
        initial=initial,
        widened=tuple(lines),
    )


def _ranges(
    training: Sequence[Episode],
    initial: Checkpoint | None,
    config: TrainingConfig,
    action_spec: ActionSpec,
    streams: Sequence[StreamSpec],
) -> tuple[Statistics, list[str]]:
    """Return the ranges to train with, and what in them is wider than the checkpoint's."""

    def ranges_of(episodes: Sequence[Episode]) -> Statistics:
        found = episode_statistics(episodes, streams)
        if relative is None:
            return found
        windows = WindowDataset(episodes, *config.policy.training_window)
        return {**found, ACTION: _relative_range(windows, relative)}

    relative = _relative(config, action_spec, streams)
    found = ranges_of(training)
    if initial is None:
        return found, []
    known = initial.manifest.statistics
    lines = beyond(known, found, streams, action_spec)
    is_frozen = SYSTEMS[config.kind].keeps_ranges(config.policy)
    if is_frozen or config.initial_ranges == "keep":
        # With weights that mean something already, numbers must mean what they meant.
        sources = [
            each.source
            for each in training
            if lines and beyond(known, ranges_of([each]), streams, action_spec)
        ]
        refuse_beyond(lines, sources, initial, is_frozen)
        return known, []
    return widened(known, found), lines


def _relative(
    config: TrainingConfig, action_spec: ActionSpec, streams: Sequence[StreamSpec]
) -> Any | None:
    """Return what makes actions relative; None where all are absolute."""
    if set(action_spec.relative_to) == {"none"}:
        return None
    relative = SYSTEMS[config.kind].relative
    if relative is None:
        learn = [kind for kind, system in SYSTEMS.items() if system.relative]
        raise ValueError(
            f"{config.kind} does not learn relative_to {set(action_spec.relative_to)}: use one of "
            f"{learn}, or set relative_to to none in the robot file"
        )
    return relative(action_spec, streams)


def _relative_range(windows: WindowDataset, relative: Any) -> dict[str, list[float]]:
    """Return the smallest and largest action as it is learned, each (Da,)."""
    lowest, highest = np.inf, -np.inf
    for indices in np.array_split(np.arange(len(windows)), len(windows) // _AT_ONCE + 1):
        batch = windows.gather(indices)
        vectors = {k: torch.from_numpy(v) for k, v in batch.values.items() if v.ndim == 3}
        in_force = torch.from_numpy(batch.actions[:, windows.n_obs_steps - 1])
        rows = batch.actions - relative.reference(vectors, in_force).numpy()[:, None]
        lowest = np.minimum(lowest, rows.min(axis=(0, 1)))
        highest = np.maximum(highest, rows.max(axis=(0, 1)))
    return {"min": np.asarray(lowest).tolist(), "max": np.asarray(highest).tolist()}


def _initial(
    config: TrainingConfig, action_spec: ActionSpec, streams: Sequence[StreamSpec]
) -> Checkpoint | None:
    if not config.initial_checkpoint:
        return None
    checkpoint = load_checkpoint(config.initial_checkpoint)
    refuse_mismatch(checkpoint.manifest, tuple(streams), action_spec)
    return checkpoint


def _observed(streams: Sequence[StreamSpec], names: Sequence[str]) -> tuple[StreamSpec, ...]:
    """Return the streams of these names in the robot's order; all when there are no names."""
    unknown = sorted(set(names) - {stream.name for stream in streams})
    if unknown:
        known = [stream.name for stream in streams]
        raise ValueError(f"streams {unknown} are not the robot's, which has {known}")
    return tuple(stream for stream in streams if not names or stream.name in names)


def _with_only(episode: Episode, streams: Sequence[StreamSpec]) -> Episode:
    return replace(episode, values={each.name: episode.values[each.name] for each in streams})
