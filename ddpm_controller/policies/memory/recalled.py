"""What every state of a Diff-Control policy keeps in memory: the chunk before, and since when."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ddpm_controller.types import Memory

ROWS, START, SINCE = "recalled_rows", "recalled_start_s", "state_since_s"
"""Keys of the memory: the plan before (Tp, Da) in SI units, the moment of its first row (), and
the one at which the state began (). NaN before the first plan."""
_SAME_MOMENT = 1e-6
"""Of a row; sums of periods are off by rounding."""


@dataclass(frozen=True, eq=False)
class Recalled:
    """What a run remembers when a plan is made.

    Attributes:
        columns: (Dr,), the last columns of the denoiser's condition.
        expected: (Tp, Da) what the chunk before says for the new rows, SI units; NaN where it
            says nothing.
        kept: Goes into the next memory as it is; ``SINCE`` at least.
        traces: For people.
    """

    columns: Tensor
    expected: np.ndarray
    kept: Memory
    traces: Mapping[str, float] = field(default_factory=dict)


def initial_chunk(horizon: int, action_dim: int) -> dict[str, np.ndarray]:
    """Return the keys above for a run that begins."""
    rows = np.full((horizon, action_dim), np.nan)
    return {ROWS: rows, START: np.array(np.nan), SINCE: np.array(np.nan)}


def gap_of(memory: Memory, start_s: float, period_s: float) -> float | None:
    """Return how many rows the chunk before begins earlier than ``start_s``.

    None when there is none, or it says nothing of the moments from then on.
    """
    gap = (start_s - float(memory[START])) / period_s
    gap = round(gap) if abs(gap - np.round(gap)) < _SAME_MOMENT else gap
    return float(gap) if 0 <= gap <= len(memory[ROWS]) - 1 else None


def expected_rows(memory: Memory, gap: float | None) -> np.ndarray:
    """Return what the chunk before says for the rows that begin ``gap`` later, (Tp, Da)."""
    rows = memory[ROWS]
    if gap is None:
        return np.full_like(rows, np.nan)
    index = np.arange(len(rows))
    place = index + gap
    moved = np.stack([np.interp(place, index, column) for column in rows.T], axis=1)
    moved[place > len(rows) - 1] = np.nan
    return moved


def disagreement(rows: np.ndarray, expected: np.ndarray, half_range: np.ndarray) -> float:
    """Return the root mean square of rows less what was expected, in half ranges.

    Over the rows that were expected; NaN without any. Shapes (Tp, Da), (Tp, Da) and (Da,).
    """
    apart = ((rows - expected) / half_range)[np.isfinite(expected).all(axis=1)]
    return float(np.sqrt(np.mean(apart**2))) if len(apart) else float("nan")


def refuse_memory(memory: Memory, wanted: Memory, kind: str) -> None:
    """Raise unless the memory has the keys and shapes that are wanted.

    Raises:
        ValueError: With both sides.
    """
    shapes = {name: wanted[name].shape for name in wanted}
    found = {name: np.shape(memory[name]) for name in memory if name in wanted}
    if found != shapes:
        raise ValueError(
            f"the memory is of another kind of policy: {kind} needs {shapes}, got {found} among "
            f"{sorted(memory)}; begin with this policy's initial memory"
        )
