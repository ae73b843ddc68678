"""Every moment of every episode as one training window, gathered many at a time."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np

from ddpm_controller.types import Episode


@dataclass(frozen=True)
class WindowBatch:
    """B windows, ready for a network.

    Attributes:
        values: Stream name -> (B, To, D) float32 or (B, To, H, W, 3) uint8, oldest first.
        actions: (B, Tp, Da) float32, SI units; row ``To - 1`` is for the newest observation.
        mask: (B, Tp) bool, False where there is nothing to learn.
    """

    values: Mapping[str, np.ndarray]
    actions: np.ndarray
    mask: np.ndarray


class WindowDataset:
    """Windows of all episodes, one per recorded moment, in one block of memory per stream.

    Window ``k`` of an episode observes the moments ``k - To + 1 .. k`` and asks for the action
    rows ``k - To + 1 .. k - To + Tp``. Before the start the first moment is repeated, as a
    controller does that has just been started. Beyond either end the nearest row is repeated: a
    network never sees a zero, which would be a pose. What is repeated is masked, but for the rows
    behind the end of an episode that ``stays``: there, to stay is what is demonstrated. Velocities
    are 0 there.

    Images stay uint8 where they lie, in memory or mapped from a file, and a batch is one gather
    per stream, so no loader processes are needed.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        n_obs_steps: int,
        horizon: int,
        stays: bool = False,
        are_velocities: np.ndarray | None = None,
    ) -> None:
        """Lay the episodes out one after the other.

        Args:
            episodes: Episodes of the same streams.
            n_obs_steps: To.
            horizon: Tp.
            stays: Whether the robot stays where it is when an episode has ended.
            are_velocities: (Da,) bool, columns of which 0 is to stay; None: there is none.

        Raises:
            ValueError: Without any episode, with an empty one, or with a window of no length.
        """
        if n_obs_steps < 1 or horizon < n_obs_steps:
            raise ValueError(
                f"a window needs 1 <= n_obs_steps <= horizon, got {n_obs_steps} and {horizon}"
            )
        if not episodes:
            raise ValueError("no episodes to cut windows from; record or name at least one")
        for episode in episodes:
            if len(episode) == 0:
                raise ValueError(f"{episode.source}: an episode of no moments; leave it out")
        self.n_obs_steps = n_obs_steps
        self.horizon = horizon
        self.stays = stays
        self._velocities = np.flatnonzero([] if are_velocities is None else are_velocities)
        lengths = np.array([len(episode) for episode in episodes])
        self.starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self._first = np.repeat(self.starts, lengths)  # (N,) first moment of the same episode
        self._last = np.repeat(self.starts + lengths - 1, lengths)
        self._actions = np.concatenate([e.actions for e in episodes]).astype(np.float32)
        self._values: dict[str, np.ndarray | _Images] = {
            name: _joined([episode.values[name] for episode in episodes], self.starts)
            for name in episodes[0].values
        }

    def __len__(self) -> int:
        return len(self._first)

    def moments(self, name: str, begin: int = 0, end: int | None = None) -> np.ndarray:
        """Return one stream at every moment, or at those from ``begin`` to ``end``, (N, ...)."""
        return self._values[name][np.arange(begin, len(self) if end is None else end)]

    def with_moments(self, name: str, values: np.ndarray) -> Self:
        """Return the same windows with another stream of this name, (N, ...).

        Raises:
            ValueError: If there is not one value for each moment.
        """
        if len(values) != len(self):
            raise ValueError(f"stream {name!r} needs {len(self)} values, got {len(values)}")
        other = copy(self)
        other._values = {**self._values, name: values}
        return other

    def gather(self, indices: np.ndarray) -> WindowBatch:
        """Return the windows of the given (B,) indices, in that order."""
        first, last = self._first[indices, None], self._last[indices, None]  # (B, 1)
        oldest = indices[:, None] - (self.n_obs_steps - 1)
        observed = np.maximum(oldest + np.arange(self.n_obs_steps), first)  # (B, To)
        rows = oldest + np.arange(self.horizon)  # (B, Tp)
        actions = self._actions[np.clip(rows, first, last)]
        if self._velocities.size:
            actions[..., self._velocities] *= (rows <= last)[..., None]
        return WindowBatch(
            values={name: block[observed] for name, block in self._values.items()},
            actions=actions,
            mask=(rows >= first) & (self.stays | (rows <= last)),
        )


class _Images:
    """The images of all episodes as one array (N, H, W, 3), each where it lies already.

    Args:
        parts: Those of each episode.
        starts: First moment of each.
    """

    def __init__(self, parts: Sequence[np.ndarray], starts: np.ndarray) -> None:
        self._parts, self._starts = tuple(parts), starts

    def __getitem__(self, moments: np.ndarray) -> np.ndarray:
        """Return a copy of the images at moments of any shape."""
        flat = moments.ravel()
        owners = np.searchsorted(self._starts, flat, side="right") - 1
        found = np.empty((len(flat), *self._parts[0].shape[1:]), np.uint8)
        places = zip(owners.tolist(), (flat - self._starts[owners]).tolist(), strict=True)
        for image, (owner, row) in zip(found, places, strict=True):
            image[...] = self._parts[owner][row]
        return found.reshape(*moments.shape, *found.shape[1:])


def _joined(parts: Sequence[np.ndarray], starts: np.ndarray) -> "np.ndarray | _Images":
    """Return the episodes of one stream as one array: vectors as float32."""
    if parts[0].dtype == np.uint8:
        return _Images(parts, starts)
    return np.concatenate(parts).astype(np.float32)


def split_episodes(
    episodes: Sequence[Episode], validation_fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Return the indices of the episodes to train on and of those held out.

    Whole episodes are held out, since neighbouring windows are nearly equal. At least one is when
    the fraction is above 0 and there are two or more.
    """
    order = np.random.default_rng(seed).permutation(len(episodes))
    wanted = round(validation_fraction * len(episodes))
    if validation_fraction > 0:
        wanted = max(wanted, 1)
    count = min(wanted, len(episodes) - 1)
    return sorted(order[count:].tolist()), sorted(order[:count].tolist())
