"""The perceptron: numbers of one observation in, an answer from -1 to 1 per joint out."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ddpm_controller.policies.mlp_policy.config import MlpPolicyConfig, input_sizes
from ddpm_controller.types import ActionSpec, StreamSpec


class MlpPolicyNetwork(nn.Module):
    """Normalised observation, layers with swish between them, tanh at the end.

    Args:
        config: Sizes and inputs.
        action_spec: Columns of the answer.
        streams: What is observed.
        statistics: Not used: the mean and the deviation of the observation are weights.

    Attributes:
        config: As given.
        streams: As given.
        action_spec: As given.

    Raises:
        ValueError: They do not fit each other.
    """

    observation_mean: Tensor
    observation_inverse_deviation: Tensor

    def __init__(
        self,
        config: MlpPolicyConfig,
        action_spec: ActionSpec,
        streams: Sequence[StreamSpec],
        statistics: Mapping[str, Mapping[str, Sequence[float]]],
    ) -> None:
        super().__init__()
        self.config, self.action_spec, self.streams = config, action_spec, tuple(streams)
        size = sum(input_sizes(config, action_spec, streams))
        self.register_buffer("observation_mean", torch.zeros(size))
        self.register_buffer("observation_inverse_deviation", torch.ones(size))
        widths = (size, *config.hidden, len(action_spec.joint_names))
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(widths))

    def forward(self, observation: Tensor) -> Tensor:
        """(B, Do) -> (B, Da), from -1 to 1."""
        x = (observation - self.observation_mean) * self.observation_inverse_deviation
        for layer in self.layers[:-1]:
            x = nn.functional.silu(layer(x))
        return torch.tanh(self.layers[-1](x))
