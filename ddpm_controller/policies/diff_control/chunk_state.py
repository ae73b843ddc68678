"""A state that is the chunk before, moved to the moments of the new one."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.networks.normalizer import MinMaxNormalizer
from ddpm_controller.networks.recalled_chunk import recalled_dim, shifted
from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.policies.memory.recalled import (
    ROWS,
    SINCE,
    Recalled,
    expected_rows,
    gap_of,
    initial_chunk,
)
from ddpm_controller.policy import Window
from ddpm_controller.types import ActionSpec, Memory


class ChunkMemory:
    """Recalls the rows of the plan before; older ones are forgotten.

    Attributes:
        n_obs_steps: Of the denoiser.
        kind: Equal for policies whose chunks are alike.
    """

    def __init__(
        self, config: DiffControlConfig, normalizer: MinMaxNormalizer, action_spec: ActionSpec
    ) -> None:
        self._config, self._normalizer = config, normalizer
        self._period_s = action_spec.period_s
        joints = ",".join(action_spec.joint_names)
        self._action_dim = len(action_spec.joint_names)
        self.n_obs_steps = self._config.n_obs_steps
        self.kind = f"chunk:{self._config.horizon}:{self._period_s:g}:{joints}"

    def initial(self) -> Memory:
        """Return the memory before the first plan: of nothing."""
        return initial_chunk(self._config.horizon, self._action_dim)

    def recall(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Recalled]:
        """Return the chunk before of each run, or a null prior where it says nothing any more."""
        return [self._of_one(*each) for each in zip(windows, memories, strict=True)]

    def _of_one(self, window: Window, memory: Memory) -> Recalled:
        now_s = window[-1].stamp_s
        start_s = now_s - (self.n_obs_steps - 1) * self._period_s
        gap = gap_of(memory, start_s, self._period_s)
        since_s = np.array(now_s) if gap is None else memory[SINCE]
        return Recalled(
            columns=self._columns(memory, gap),
            expected=expected_rows(memory, gap),
            kept={SINCE: since_s},
        )

    def _columns(self, memory: Memory, gap: float | None) -> Tensor:
        device = self._normalizer.centre.device
        if gap is None:
            return torch.zeros(recalled_dim(self._config.horizon, self._action_dim), device=device)
        rows = torch.from_numpy(memory[ROWS]).to(device)
        chunk = self._normalizer(rows)[None]
        of_gap = torch.tensor([gap], dtype=torch.float64, device=device)
        return shifted(chunk, of_gap, self._config.shift).columns()[0]
