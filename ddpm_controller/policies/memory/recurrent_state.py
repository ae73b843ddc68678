"""The state of a recurrent policy in its memory: taken in tick by tick, remembered, restored."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ddpm_controller.networks.belief import HistoryEncoder
from ddpm_controller.networks.normalizer import MinMaxNormalizer
from ddpm_controller.policies.memory.recalled import SINCE, initial_chunk
from ddpm_controller.policies.memory.since_last_plan import FOLLOWED, Execution, Unseen, unseen
from ddpm_controller.policy import Window
from ddpm_controller.types import Memory, Observation

STATE, STAMP = "belief", "belief_stamp_s"
"""Keys of the memory: the state (S,), float32, and the last tick that it has counted (), NaN
before it began."""

FeaturesOf = Callable[[Sequence[Observation]], Tensor]
"""N observations -> what the state is given of each of them, (N, F)."""


@dataclass(frozen=True)
class Advanced:
    """States of a batch of runs, after what they had not seen.

    Attributes:
        states: (B, S).
        before: (B, S), one tick earlier.
        features: (B, F) of the newest observation that was taken in.
        unseen: What was taken in, of each run.
    """

    states: Tensor
    before: Tensor
    features: Tensor
    unseen: tuple[Unseen, ...]


class RecurrentState:
    """Advances the states of runs; holds nothing of a run itself.

    Args:
        encoder: What folds the ticks.
        features_of: Of single observations.
        feature_size: Their number, F.
        normalizer: Of the actions.
        execution: How chunks are carried out.
        horizon: Rows of a chunk, Tp.
    """

    def __init__(
        self,
        encoder: HistoryEncoder,
        features_of: FeaturesOf,
        feature_size: int,
        normalizer: MinMaxNormalizer,
        execution: Execution,
        horizon: int,
    ) -> None:
        self._encoder, self._normalizer = encoder, normalizer
        self._features_of, self._feature_size = features_of, feature_size
        self._execution, self._horizon = execution, horizon

    def initial(self) -> dict[str, np.ndarray]:
        """Return what the memory of a run that begins has of the state: that there is none."""
        chunk = initial_chunk(self._horizon, self._encoder.action_dim)
        rows = np.full((self._horizon, self._encoder.action_dim), np.nan)
        state = np.zeros(self._encoder.state_size, np.float32)
        return {**chunk, FOLLOWED: rows, STATE: state, STAMP: np.array(np.nan)}

    def advanced(self, windows: Sequence[Window], memories: Sequence[Memory]) -> Advanced:
        """Return the states after every observation that they had not seen, once each.

        Raises:
            ValueError: If an observation does not fit.
        """
        period_s = self._execution.period_s
        new = tuple(
            unseen(window, float(memory[STAMP]), period_s)
            for window, memory in zip(windows, memories, strict=True)
        )
        counts = [len(each.observations) for each in new]
        device = self._normalizer.centre.device
        states = torch.from_numpy(np.stack([memory[STATE] for memory in memories])).to(device)
        states[[run for run, each in enumerate(new) if each.begins]] = 0.0
        before, newest = states.clone(), states.new_zeros(len(new), self._feature_size)
        if not any(counts):
            return Advanced(states, before, newest, new)
        features, actions = self._inputs(new, memories)
        first = np.cumsum([0, *counts[:-1]])
        for step in range(max(counts)):
            runs = [run for run, count in enumerate(counts) if count > step]
            rows = [int(first[run]) + step for run in runs]
            before[runs], newest[runs] = states[runs], features[rows]
            states[runs] = self._encoder.advance(states[runs], features[rows], actions[rows])
        return Advanced(states, before, newest, new)

    def kept(
        self, window: Window, memory: Memory, new: Unseen, state: Tensor
    ) -> dict[str, np.ndarray]:
        """Return what the next memory has of the state, the plan's own rows aside.

        Args:
            window: What the plan is made for.
            memory: What it is made with.
            new: What of the window was new.
            state: (S,), after it.
        """
        start_s = window[-1].stamp_s - self._execution.first * self._execution.period_s
        return {
            FOLLOWED: self._execution.followed(memory, start_s, new),
            SINCE: np.array(new.stamp_s) if new.begins else memory[SINCE],
            STATE: state.cpu().numpy().copy(),
            STAMP: np.array(new.stamp_s),
        }

    def _inputs(self, new: Sequence[Unseen], memories: Sequence[Memory]) -> tuple[Tensor, Tensor]:
        """Return features (N, F) and actions (N, Da) of all new observations, run by run."""
        device = self._normalizer.centre.device
        seen = [each for one in new for each in one.observations]
        actions = np.concatenate(
            [
                self._execution.actions_before(memory, one)
                for one, memory in zip(new, memories, strict=True)
            ]
        )
        return self._features_of(seen), self._normalizer(torch.from_numpy(actions).to(device))


def weights_digest(module: nn.Module) -> str:
    """Return the sha256 of a module's weights."""
    digest = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weight.cpu().numpy()).tobytes())
    return digest.hexdigest()
