"""Which plans of a batch continue from the one before; the rest start afresh."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.networks.normalizer import MinMaxNormalizer
from ddpm_controller.policies.memory.previous_chunk import (
    PreviousChunk,
    previous_chunk,
    remembered,
)
from ddpm_controller.policies.seams.strategies import STRATEGIES, Sampling, SeamSettings, Target
from ddpm_controller.policy import DEPARTURE_UNIT, EXPECTED_DELAY, Window, deviation
from ddpm_controller.types import ActionSpec, Memory, StreamSpec, measuring


@dataclass(frozen=True)
class Before:
    """What a plan continues from.

    Attributes:
        chunk: The one before; None where the plan starts afresh.
        surprise: How far the robot is from it; NaN without one.
        followed: (Tp, Da) what the robot follows meanwhile, also where the plan starts afresh.
        delay_s: Time that the plan is expected to take.
        reference: (Da,) what the plan is relative to; 0 of absolute columns.
    """

    chunk: PreviousChunk | None
    surprise: float = float("nan")
    followed: np.ndarray | None = None
    delay_s: float = 0.0
    reference: np.ndarray = field(default_factory=lambda: np.zeros(1))


class PlanJoiner:
    """Memory and seams of a system that denoises chunks; holds no state of a run.

    Args:
        settings: Settings of the seams.
        action_spec: Action spec of the chunks.
        streams: What is observed.
        normalizer: Normalizer of the actions.
        n_obs_steps: Row ``n_obs_steps - 1`` of a chunk is for the newest observation.
        n_action_steps: Rows that are sent, from this one on.
        remembers: Remember the plan before also where the settings do not need it.

    Attributes:
        remembers: Whether a plan depends on the one before.

    Raises:
        ValueError: If surprise is used and no stream measures the joints, its scale is not
            one number per joint, or a plan is expected to take longer than a chunk lasts.
    """

    def __init__(
        self,
        settings: SeamSettings,
        action_spec: ActionSpec,
        streams: Sequence[StreamSpec],
        normalizer: MinMaxNormalizer,
        n_obs_steps: int,
        n_action_steps: int,
        *,
        remembers: bool = False,
    ) -> None:
        self._settings, self._action_spec = settings, action_spec
        self.remembers = settings.remembers or remembers
        self._normalizer, self._first = normalizer, n_obs_steps - 1
        self._sent = self._first + n_action_steps
        self._refuse_delay((n_action_steps - 1) * action_spec.period_s)
        joints = action_spec.joint_names
        self._measuring = measuring(streams, action_spec)
        self._velocities = action_spec.are_velocities
        if settings.surprise and self._measuring is None:
            raise ValueError(
                f"seam: surprise {settings.surprise} needs a stream that measures "
                f"{list(joints)}, there are {[each.name for each in streams]}: use 0"
            )
        half_range = normalizer.half_range.cpu().numpy()
        scale = np.array(settings.surprise_scale) if settings.surprise_scale else None
        self._scale = DEPARTURE_UNIT * half_range if scale is None else scale
        if self._scale.shape != (len(joints),):
            raise ValueError(
                f"seam: surprise_scale needs one number for each of {list(joints)}, got "
                f"{list(settings.surprise_scale)}"
            )

    def before(
        self, window: Window, memory: Memory, reference: np.ndarray | None = None
    ) -> Before:
        """Return what the next plan continues from.

        Args:
            window: What it is made from.
            memory: Memory of the plan before.
            reference: (Da,) what it is relative to; None: nothing.
        """
        reference = np.zeros(len(self._velocities)) if reference is None else reference
        chunk = self._in_force(window, memory)
        if chunk is None:
            return Before(None, reference=reference)
        delay_s = float(memory.get(EXPECTED_DELAY, self._settings.expected_delay_s or 0.0))
        surprise = self._surprise(window, chunk, delay_s)
        threshold = self._settings.surprise
        is_left = not self._settings.remembers or (threshold and surprise > threshold)
        return Before(None if is_left else chunk, surprise, chunk.rows, delay_s, reference)

    def commanded(self, window: Window, memory: Memory) -> np.ndarray | None:
        """Return what the plan before commands at the newest observation, (Da,).

        None where there is none, or the robot has come to its end and rests.
        """
        chunk = self._in_force(window, memory)
        return None if chunk is None else chunk.rows[self._first]

    def _in_force(self, window: Window, memory: Memory) -> PreviousChunk | None:
        """Return the plan before, where the robot still follows it."""
        if not self.remembers:
            return None
        chunk = previous_chunk(memory, self._start_s(window), self._action_spec.period_s)
        return None if chunk is None or chunk.sent <= self._first else chunk

    def relative_cost(self, window: Window, memory: Memory) -> float:
        """Return the time of a plan over that of one that continues, about."""
        anew = self.before(window, memory).chunk is None
        return self._settings.relative_cost_anew if anew else 1.0

    def drawn(
        self, befores: Sequence[Before], sampling_of: Callable[[list[int]], Sampling]
    ) -> Tensor:
        """Return the samples of a batch, (B, Tp, Da) normalized.

        Args:
            befores: One per row.
            sampling_of: Rows of the batch -> how to sample them.
        """
        anew = [row for row, each in enumerate(befores) if each.chunk is None]
        goes_on = [row for row, each in enumerate(befores) if each.chunk is not None]
        parts = []
        if anew:
            parts.append(sampling_of(anew).drawn())
        if goes_on:
            strategy = STRATEGIES[self._settings.strategy]
            target = self._target([befores[row] for row in goes_on])
            parts.append(strategy(sampling_of(goes_on), target, self._settings))
        order = torch.tensor(anew + goes_on).argsort()
        return torch.cat(parts)[order]

    def remembered(self, before: Before, window: Window, rows: np.ndarray) -> Memory:
        """Return what is kept of a plan with these rows (Tp, Da), SI units."""
        if not self.remembers:
            return {}
        counts = 0 if before.chunk is None else before.chunk.counts
        plans = np.zeros(len(rows), np.int64) + counts + 1
        followed = before.followed
        if followed is None:  # nothing: the robot stays where it is
            here = self._measured_joints(window)
            followed = rows if here is None else np.tile(here, (len(rows), 1))
        return remembered(rows, self._start_s(window), self._sent, plans, followed)

    def traces(self, before: Before) -> dict[str, str | float]:
        """Return what is displayed of a seam."""
        if not self._settings.remembers:
            return {}
        seam = "cold" if before.chunk is None else self._settings.strategy
        return {"seam": seam, "surprise": before.surprise}

    def _refuse_delay(self, chunk_s: float) -> None:
        delay_s = self._settings.expected_delay_s or 0.0
        if self._settings.remembers and delay_s > 0 and delay_s >= chunk_s - 1e-9:
            raise ValueError(
                f"seam: a plan that takes expected_delay_s {delay_s:g} comes when the chunk "
                f"before, {chunk_s:g} s long, is over: plan faster or send more rows"
            )

    def _start_s(self, window: Window) -> float:
        return window[-1].stamp_s - self._first * self._action_spec.period_s

    def _surprise(self, window: Window, chunk: PreviousChunk, delay_s: float) -> float:
        measured = self._measured_joints(window)
        if measured is None:
            return float("nan")
        expected = chunk.rows[self._first]
        fades = chunk.age_s < delay_s + self._settings.fade_s
        followed = chunk.followed[self._first] if fades else expected
        measured = np.where(self._velocities, expected, measured)  # it leads to no place
        return deviation(measured, expected, followed, self._scale)

    def _measured_joints(self, window: Window) -> np.ndarray | None:
        """Return the command that keeps the joints where they are, (Da,): of a velocity 0.

        None where no stream measures them.
        """
        if self._measuring is None:
            return None
        joints = self._measuring.row(window[-1].values)
        return np.where(self._velocities, 0.0, joints)

    def _target(self, befores: Sequence[Before]) -> Target:
        device = self._normalizer.centre.device
        chunks = [each.chunk for each in befores if each.chunk is not None]
        # Absolute rows as they look from where this plan counts.
        moved = [chunk.rows - each.reference for chunk, each in zip(chunks, befores, strict=True)]
        rows = torch.from_numpy(np.stack(moved)).to(device)
        counts = torch.from_numpy(np.stack([each.counts for each in chunks])).to(device)
        covered = torch.tensor([each.covered for each in chunks], device=device)
        delays_s = torch.tensor([each.delay_s for each in befores], dtype=torch.float64)
        period_s = self._action_spec.period_s
        return Target(self._normalizer(rows), covered, counts, delays_s, self._first, period_s)
