"""What a normalizer needs to know of a set of episodes, and what distinguishes two sets."""

import hashlib
from collections.abc import Sequence

import numpy as np

from ddpm_controller.types import Episode, StreamSpec

ACTION = "action"
"""Key of the action's statistics, beside the names of the streams."""


def episode_statistics(
    episodes: Sequence[Episode], streams: Sequence[StreamSpec]
) -> dict[str, dict[str, list[float]]]:
    """Return the smallest and largest value of each vector element and action column.

    Images have fixed limits and are left out.

    Raises:
        ValueError: If a value is not finite; the message names the episode, stream and moment.
    """
    names = [stream.name for stream in streams if stream.kind == "vector"]
    columns = {name: [episode.values[name] for episode in episodes] for name in names}
    columns[ACTION] = [episode.actions for episode in episodes]
    for name, parts in columns.items():
        _refuse_not_finite(name, parts, episodes)
    return {name: _limits(parts) for name, parts in columns.items()}


def _limits(parts: Sequence[np.ndarray]) -> dict[str, list[float]]:
    joined = np.concatenate(parts)  # (N, D)
    return {"min": joined.min(axis=0).tolist(), "max": joined.max(axis=0).tolist()}


def _refuse_not_finite(
    name: str, parts: Sequence[np.ndarray], episodes: Sequence[Episode]
) -> None:
    for part, episode in zip(parts, episodes, strict=True):
        rows = np.flatnonzero(~np.isfinite(part).all(axis=1))
        if rows.size:
            raise ValueError(
                f"{episode.source}: {name} is {part[rows[0]].tolist()} at moment {rows[0]} of "
                f"{len(part)}; values must be finite: leave this episode out"
            )


def refuse_misfits(
    episodes: Sequence[Episode], streams: Sequence[StreamSpec], num_joints: int
) -> None:
    """Raise when an episode does not have exactly the streams and joints expected.

    Raises:
        ValueError: With the expected and the recorded names or shapes.
    """
    expected = {stream.name: stream.shape for stream in streams}
    for episode in episodes:
        recorded = {name: block.shape[1:] for name, block in episode.values.items()}
        if recorded != expected:
            raise ValueError(f"{episode.source}: has streams {recorded}, expected {expected}")
        if episode.actions.shape[1:] != (num_joints,):
            raise ValueError(
                f"{episode.source}: action rows of shape {episode.actions.shape[1:]}, expected "
                f"{num_joints} joints"
            )


def array_digests(episode: Episode) -> dict[str, str]:
    """Return the sha256 of the bytes of the actions and of each stream."""
    blocks = {ACTION: episode.actions, **episode.values}
    return {
        name: episode.digests.get(name)
        or hashlib.sha256(np.ascontiguousarray(block).data).hexdigest()
        for name, block in blocks.items()
    }


def episodes_digest(episodes: Sequence[Episode]) -> str:
    """Return the sha256 of all that is learned from, so that other data is noticed."""
    digest = hashlib.sha256()
    for episode in episodes:
        digests = array_digests(episode)
        blocks = [(ACTION, episode.actions), *sorted(episode.values.items())]
        for name, block in blocks:
            digest.update(f"{name} {block.dtype} {block.shape} {digests[name]}".encode())
    return digest.hexdigest()
