"""What a recurrent network is told of single observations: one row of numbers each."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ddpm_controller.networks.image_encoder import IMAGES_AT_ONCE, image_features
from ddpm_controller.policies.inputs.goals import GoalRanges
from ddpm_controller.policies.inputs.window_values import window_values
from ddpm_controller.types import Observation, StreamSpec


class RowFeatures:
    """Features of observations, with the normalizers and encoders of a policy's network.

    Args:
        streams: In the order of the features.
        normalizers: Of every vector stream.
        encoders: Of every image stream.
        num_keypoints: Of the encoders; each is two features.
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        normalizers: nn.ModuleDict,
        encoders: nn.ModuleDict,
        num_keypoints: int,
    ) -> None:
        self.streams = tuple(streams)
        self._normalizers, self._encoders = normalizers, encoders
        sizes = [2 * num_keypoints if s.kind == "image" else s.shape[0] for s in streams]
        self.size = sum(sizes)

    def of(self, values: Mapping[str, Tensor]) -> Tensor:
        """{stream: (N, D) SI units, (N, H, W, 3) uint8 or features of images} -> (N, F)."""
        parts = []
        for stream in self.streams:
            value = values[stream.name]
            if stream.kind == "image":
                parts.append(image_features(self._encoders[stream.name], value))
            else:
                parts.append(self._normalizers[stream.name](value))
        return torch.cat(parts, dim=1)

    def of_observations(
        self, observations: Sequence[Observation], goal_ranges: GoalRanges, device: torch.device
    ) -> Tensor:
        """Return the features (N, F) of N observations.

        Raises:
            ValueError: If an observation does not fit, see ``window_values``.
        """
        values = window_values([observations], self.streams, len(observations), goal_ranges)
        return self.of({name: each[0].to(device) for name, each in values.items()})

    def of_histories(
        self,
        values: Mapping[str, Tensor],
        valid: Tensor,
        image_rows: int,
        generator: torch.Generator,
    ) -> Tensor:
        """{stream: (B, L, ...)} and valid (B, L) -> (B, L, F), 0 where not valid.

        A gradient through every image of whole episodes would take seconds, so only
        ``image_rows`` images of each history, drawn anew each time, have one. Without images, or
        where their features were found before, nothing is drawn.
        """
        rows = {name: value.flatten(0, 1) for name, value in values.items()}
        if not any(value.dtype == torch.uint8 for value in values.values()):
            return self.of(rows).unflatten(0, valid.shape) * valid[:, :, None]
        places = valid.flatten().nonzero()[:, 0]  # (N,)
        with torch.no_grad():
            parts = [self.of(_picked(rows, some)) for some in places.split(IMAGES_AT_ONCE)]
        features = torch.zeros(valid.numel(), self.size, device=valid.device)
        features[places] = torch.cat(parts)
        if torch.is_grad_enabled() and image_rows:
            chosen = _drawn(valid, image_rows, generator)
            features = features.index_put((chosen,), self.of(_picked(rows, chosen)))
        return features.unflatten(0, valid.shape)


def _drawn(valid: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the places, in the flattened histories, of up to ``count`` valid rows of each."""
    rank = torch.rand(valid.shape, generator=generator).to(valid.device)
    rows = rank.masked_fill(~valid, 2.0).argsort(dim=1)[:, :count]
    first = valid.shape[1] * torch.arange(len(rows), device=valid.device)
    places = (rows + first[:, None]).flatten()
    return places[valid.flatten()[places]]


def _picked(values: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    return {name: value[rows] for name, value in values.items()}
