"""What every state of a recurrent policy keeps in memory: the chunk before, and since when."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ddpm_controller.policies.memory.previous_chunk import ROWS, START
from ddpm_controller.types import Memory, rows_at

SINCE = "state_since_s"
"""Key of the memory beside those of the chunk before: the moment at which the state began ().
NaN before the first plan, as they are."""


@dataclass(frozen=True, eq=False)
class Recalled:
    """What a run remembers when a plan is made.

    Attributes:
        columns: (Dr,), the last columns of the denoiser's condition.
        expected: (Tp, Da) values of the chunk before for the new rows, SI units; NaN where it
            has none.
        kept: Goes into the next memory as it is; ``SINCE`` at least.
        traces: For people.
    """

    columns: Tensor
    expected: np.ndarray
    kept: Memory
    traces: Mapping[str, float] = field(default_factory=dict)


def initial_chunk(horizon: int, action_dim: int) -> dict[str, np.ndarray]:
    """Return the keys of the chunk before and ``SINCE`` for a run that begins."""
    rows = np.full((horizon, action_dim), np.nan)
    return {ROWS: rows, START: np.array(np.nan), SINCE: np.array(np.nan)}


def expected_rows(memory: Memory, gap: float | None) -> np.ndarray:
    """Return the values of the chunk before for the rows that begin ``gap`` later, (Tp, Da)."""
    rows = memory[ROWS]
    if gap is None:
        return np.full_like(rows, np.nan)
    place = np.arange(len(rows)) + gap
    moved = rows_at(rows, place)
    moved[place > len(rows) - 1] = np.nan
    return moved


def disagreement(rows: np.ndarray, expected: np.ndarray, half_range: np.ndarray) -> float:
    """Return the root mean square of rows less what was expected, in half ranges.

    Over the rows that were expected; NaN without any. Shapes (Tp, Da), (Tp, Da) and (Da,).
    """
    apart = ((rows - expected) / half_range)[np.isfinite(expected).all(axis=1)]
    return float(np.sqrt(np.mean(apart**2))) if len(apart) else float("nan")


def refuse_memory(memory: Memory, wanted: Memory, kind: str) -> None:
    """Raise unless the memory has the keys and shapes that are needed.

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
