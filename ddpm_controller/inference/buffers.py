"""Persistent memory between torch and an engine: one row of a batch at a time, no allocation."""

import threading
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.inference.engine import Served


class RowByRow:
    """Answers a batch with an engine that is compiled for one row.

    Args:
        served: The network.
        infer: Computes ``answer`` of ``xt`` and ``modulation``, in place.

    Attributes:
        xt: (1, Tp, inputs) float32.
        modulation: (1, M) float32.
        answer: (1, Tp, answers * Da) float32.
    """

    def __init__(self, served: Served) -> None:
        rows, unet = served.horizon, served.unet
        self.xt = np.zeros((1, rows, unet.input_dim), np.float32)
        self.modulation = np.zeros((1, sum(unet.modulation_sizes)), np.float32)
        self.answer = np.zeros((1, rows, unet.out.out_features), np.float32)
        self._tensors = [torch.from_numpy(e) for e in (self.xt, self.modulation, self.answer)]
        self._infer: Callable[[], object] = lambda: None
        self._lock = threading.Lock()  # policies may be warmed up and asked on different threads

    def serve(self, infer: Callable[[], object]) -> "RowByRow":
        """Return itself, with what fills ``answer``."""
        self._infer = infer
        return self

    def __call__(self, xt: Tensor, modulation: Tensor) -> Tensor:
        """Return the answer, (B, Tp, answers * Da)."""
        if len(xt) == 1:
            return self._row(xt, modulation)
        rows = range(len(xt))
        return torch.cat([self._row(xt[row, None], modulation[row, None]) for row in rows])

    def _row(self, xt: Tensor, modulation: Tensor) -> Tensor:
        given, modulated, answer = self._tensors
        with self._lock:
            given.copy_(xt)
            modulated.copy_(modulation)
            self._infer()
            return answer.clone()
