"""How likely a Diff-Control policy finds a chunk, given what it remembers there."""

from collections.abc import Mapping
from typing import Any

import torch

from ddpm_controller.diffusion.bound import Bound
from ddpm_controller.policies.diff_control.network import DiffControlNetwork
from ddpm_controller.policies.diffusion_policy.bound import policy_bound


def remembering_bound(
    network: DiffControlNetwork, batch: Mapping[str, Any], generator: torch.Generator
) -> Bound:
    """Return the bound on -log p(actions | observations, what is remembered).

    Args:
        network: The policy's, in evaluation mode.
        batch: A batch of ``DiffControlConfig.training_window``.
        generator: Source of all noise.
    """
    found = network.examples(batch, generator)
    return policy_bound(network.denoiser, found.batch, generator, recalled=found.recalled)
