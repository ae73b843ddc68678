"""A transformer that can stand where the cells of a recurrent network stand."""

import torch
from torch import Tensor, nn

from ddpm_controller.networks.embeddings import sinusoidal_features, sinusoidal_frequencies

_HEADS, _LAYERS, _WIDENING = 4, 2, 2


class AttentionCells(nn.Module):
    """Causal self-attention over the ticks of a run (Vaswani et al. 2017, pre-norm).

    Whole sequences and single steps agree up to rounding. A state is what is read, the count of
    ticks and the inputs of the last ``reach`` of them; of longer runs the beginning is forgotten,
    as training forgets that of longer episodes.

    Args:
        size: H, of inputs and outputs; a multiple of 4.
        reach: R, ticks that are attended to.

    Raises:
        ValueError: If ``size`` is not a multiple of 4.
    """

    places: Tensor

    def __init__(self, size: int, reach: int) -> None:
        super().__init__()
        if size % _HEADS:
            raise ValueError(f"size must be a multiple of {_HEADS}, the heads, got {size}")
        self.size, self.reach = size, reach
        self.state_size = size + 1 + reach * size
        places = sinusoidal_features(torch.arange(reach), sinusoidal_frequencies(size))
        self.register_buffer("places", places, persistent=False)
        layer = nn.TransformerEncoderLayer(
            size, _HEADS, _WIDENING * size, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, _LAYERS, nn.LayerNorm(size), enable_nested_tensor=False
        )
        for each in self.layers.parameters():  # its layers are copies of one
            if each.dim() > 1:
                nn.init.xavier_uniform_(each)

    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        """Inputs (B, L, H) of the first ticks of runs -> outputs (B, L, H), nothing else.

        Raises:
            ValueError: If L is above ``reach``.
        """
        length = inputs.shape[1]
        if length > self.reach:
            raise ValueError(f"{length} ticks are more than the {self.reach} attended to")
        ticks = torch.arange(length, device=inputs.device)
        later = ticks[None] > ticks[:, None]  # (L, L), what a tick may not see
        outputs: Tensor = self.layers(inputs + self.places[:length], mask=later)
        return outputs, None

    def step(self, state: Tensor, inputs: Tensor) -> Tensor:
        """State (B, S) and the inputs of one more tick (B, H) -> state (B, S)."""
        count = state[:, self.size].long()
        ticks = state[:, self.size + 1 :].unflatten(1, (self.reach, self.size))
        is_full = count == self.reach
        ticks = torch.where(is_full[:, None, None], ticks.roll(-1, dims=1), ticks)
        last = count.clamp(max=self.reach - 1)
        rows = torch.arange(len(state), device=state.device)
        ticks = ticks.index_put((rows, last), inputs)
        outputs, _ = self(ticks[:, : int(last.max()) + 1])
        read, count = outputs[rows, last], (last + 1).to(state)
        return torch.cat([read, count[:, None], ticks.flatten(1)], dim=1)
