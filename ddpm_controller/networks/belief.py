"""What has happened so far, folded into a vector: a recurrent network over the ticks of a run."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ddpm_controller.networks.attention_cells import AttentionCells

Cell = Literal["gru", "lstm", "transformer"]
SMALLEST_LOG_DEVIATION = -6.0
"""Of a feature in [-1, 1]: below the resolution of any sensor that is worth remembering."""


class HistoryEncoder(nn.Module):
    """h_k = cell(h_{k-1}, [features of observation k, action executed since k - 1]).

    An action that is not known, as before the first observation, is NaN; the network has a mask.
    Whole sequences and single steps use the same weights and agree up to rounding.

    Args:
        feature_dim: F, numbers that an observation has.
        action_dim: Da.
        size: H, of what is read from the state.
        cell: ``gru`` (Cho et al. 2014), ``lstm`` (Hochreiter & Schmidhuber 1997) or
            ``transformer``, see ``AttentionCells``.
        reach: Ticks that a transformer attends to; the others have no use for it.

    Attributes:
        state_size: S, numbers in a state: H, 2 H with the cell of an LSTM, and more than ``reach``
            H of a transformer.
    """

    def __init__(
        self, feature_dim: int, action_dim: int, size: int, cell: Cell = "gru", reach: int = 0
    ) -> None:
        super().__init__()
        self.size, self.action_dim = size, action_dim
        self.inputs = nn.Linear(feature_dim + action_dim + 1, size)
        self.activation = nn.Mish()
        self.cells: AttentionCells | nn.GRU | nn.LSTM
        if cell == "transformer":
            self.cells = AttentionCells(size, reach)
            self.state_size = self.cells.state_size
        else:
            made = nn.GRU if cell == "gru" else nn.LSTM
            self.cells = made(size, size, batch_first=True)
            self.state_size = size if cell == "gru" else 2 * size

    def begin(self, rows: int) -> Tensor:
        """Return the states of runs that begin, (B, S)."""
        return torch.zeros(rows, self.state_size, device=self.inputs.weight.device)

    def read(self, state: Tensor) -> Tensor:
        """State (B, S) -> what the policy sees of it, (B, H)."""
        return state[:, : self.size]

    def advance(self, state: Tensor, features: Tensor, action: Tensor) -> Tensor:
        """State (B, S), features (B, F), action of the tick before (B, Da) -> state (B, S)."""
        inputs, cells = self._inputs(features, action), self.cells
        if isinstance(cells, AttentionCells):
            return cells.step(state, inputs)
        weights: list[Tensor] = list(cells.all_weights[0])
        if isinstance(cells, nn.GRU):
            return torch.gru_cell(inputs, state, *weights)
        before = tuple(each.contiguous() for each in state.chunk(2, dim=1))
        return torch.cat(torch.lstm_cell(inputs, before, *weights), dim=1)

    def forward(self, features: Tensor, actions: Tensor, valid: Tensor) -> Tensor:
        """Return what is read after each row of many runs, (B, L, H); 0 before they begin.

        Args:
            features: (B, L, F).
            actions: (B, L, Da), row k executed between the observations k - 1 and k.
            valid: (B, L) bool, False before the run began and True from then on.
        """
        inputs = self._inputs(features, actions)
        first = valid.int().argmax(dim=1, keepdim=True)  # (B, 1)
        rows = torch.arange(valid.shape[1], device=valid.device)
        begun = (rows + first).clamp(max=len(rows) - 1)  # every run from its own beginning on
        outputs, _ = self.cells(_taken(inputs, begun))
        back = (rows - first).clamp(min=0)
        return _taken(outputs, back) * valid[:, :, None]

    def _inputs(self, features: Tensor, actions: Tensor) -> Tensor:
        known = actions.isfinite().all(dim=-1, keepdim=True)
        told = torch.where(known, actions, 0.0)
        joined = torch.cat([features, told, known.to(features)], dim=-1)
        encoded: Tensor = self.activation(self.inputs(joined))
        return encoded


class BeliefEncoder(HistoryEncoder):
    """The belief: all ticks of a run folded into a vector, and what it expects to see next.

    ``expected`` is a view of the belief and not a part of it: it is learned from detached beliefs
    and changes no plan.

    Args:
        feature_dim: F.
        action_dim: Da.
        size: H.
        cell: As ``HistoryEncoder``.
        reach: As ``HistoryEncoder``.
        past_steps: P, executed actions that a belief is trained to predict (Past-Token
            Prediction, Torne et al. 2025); 0: none.
        future_steps: Actions from now on that it is trained to predict; 0: none.
    """

    def __init__(
        self,
        feature_dim: int,
        action_dim: int,
        size: int,
        cell: Cell = "gru",
        reach: int = 0,
        past_steps: int = 0,
        future_steps: int = 0,
    ) -> None:
        super().__init__(feature_dim, action_dim, size, cell, reach)
        self.ahead = nn.Linear(size, 2 * feature_dim)
        if past_steps:
            self.past = nn.Linear(size, past_steps * action_dim)
        if future_steps:
            self.future = nn.Sequential(
                nn.Linear(size, 2 * size),
                nn.Mish(),
                nn.Linear(2 * size, future_steps * action_dim),
            )

    def expected(self, belief: Tensor) -> tuple[Tensor, Tensor]:
        """Belief (..., H) -> mean and log deviation of the next features, each (..., F)."""
        mean, log_deviation = self.ahead(belief.detach()).chunk(2, dim=-1)
        return mean, log_deviation.clamp(SMALLEST_LOG_DEVIATION, 2.0)

    def expectation_loss(self, beliefs: Tensor, features: Tensor, valid: Tensor) -> Tensor:
        """Return -log p(features of row k + 1 | belief of row k), nats per number, a scalar.

        Args:
            beliefs: (B, L, H).
            features: (B, L, F).
            valid: (B, L) bool.
        """
        mean, log_deviation = self.expected(beliefs[:, :-1])
        apart = (features[:, 1:].detach() - mean) * torch.exp(-log_deviation)
        nats = 0.5 * apart.square() + log_deviation + 0.5 * math.log(2 * math.pi)
        weight = valid[:, :-1, None].to(nats)
        return (nats * weight).sum() / (weight.sum() * nats.shape[2]).clamp(min=1.0)

    def past_loss(self, beliefs: Tensor, executed: Tensor) -> Tensor:
        """Return the mean squared error of the past actions that beliefs predict, a scalar.

        Args:
            beliefs: (B, L, H).
            executed: (B, L, Da), row k executed between the observations k - 1 and k; NaN where
                there was none.
        """
        everywhere = executed.new_ones(executed.shape[:2], dtype=torch.bool)
        return self._telling_loss(self.past(beliefs), executed, everywhere, -1)

    def future_loss(self, beliefs: Tensor, wanted: Tensor, valid: Tensor) -> Tensor:
        """Return the mean squared error of the actions to come that beliefs predict, a scalar.

        Args:
            beliefs: (B, L, H).
            wanted: (B, >= L, Da), row k for the moment of observation k; NaN where there is none.
            valid: (B, L) bool.
        """
        return self._telling_loss(self.future(beliefs), wanted, valid, 1)

    def _telling_loss(
        self, told: Tensor, actions: Tensor, valid: Tensor, direction: int
    ) -> Tensor:
        """Compare (B, L, P * Da) with the actions at each row and behind it, or before it."""
        told = told.unflatten(2, (-1, self.action_dim))  # (B, L, P, Da)
        steps = direction * torch.arange(told.shape[2], device=told.device)
        rows = torch.arange(told.shape[1], device=told.device)[:, None] + steps  # (L, P)
        inside = (rows >= 0) & (rows < actions.shape[1])
        true = actions[:, rows.clamp(0, actions.shape[1] - 1)]
        known = true.isfinite() & inside[None, :, :, None] & valid[:, :, None, None]
        apart = torch.where(known, told - true, 0.0)
        return apart.square().sum() / known.sum().clamp(min=1)


def _taken(values: Tensor, rows: Tensor) -> Tensor:
    """(B, L, C) and (B, M) -> (B, M, C)."""
    return values.gather(1, rows[:, :, None].expand(-1, -1, values.shape[2]))
