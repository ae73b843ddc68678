"""What a Minimal Iterative Policy (Pan et al. 2025, arXiv:2512.01809) is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig, config_from
from ddpm_controller.policies.restored import validated_config
from ddpm_controller.policies.seams.strategies import SeamSettings

_TWO_LEVELS: Mapping[str, Any] = {
    "num_train_timesteps": 2,
    "zero_terminal_snr": False,
    "forward_process": "fixed",
    "noise": None,
    "bound_steps": 2,
    "prediction": "x0",
    "variance": "fixed_small",
    "timestep_sampling": "uniform",
    "sampler": "ddim",
    "spacing": "trailing",
}
"""What MIP is as a Diffusion Policy; a recipe cannot change it."""


@dataclass(frozen=True)
class MipConfig:
    """What the policy is; saved in its checkpoints.

    Attributes:
        policy: Sizes, inputs and seam; what it has about noise is not used.
        signal: t*, the share of a chunk that the second question is given in training, the rest
            being noise, in (0, 1).
        iterations: Questions of a plan: 2, or 1 for the plain regression of a chunk.
    """

    policy: DiffusionPolicyConfig = field(
        default_factory=lambda: DiffusionPolicyConfig(seam=SeamSettings("switch"))
    )
    signal: float = 0.9
    iterations: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.signal < 1:
            raise ValueError(f"signal must be in (0, 1), got {self.signal!r}")
        if self.iterations not in (1, 2):
            raise ValueError(f"iterations must be 1 or 2, got {self.iterations!r}")
        if self.policy.prefix_rows:
            raise ValueError(
                "prefix_rows must be 0, for no row is given in the training of MIP: use seam "
                f"'switch' or 'rtc', got {self.policy.prefix_rows!r}"
            )
        # So that its checkpoints name what it is. The number of steps first fits both.
        policy = replace(self.policy, num_inference_steps=1, bound_steps=1)
        policy = replace(policy, **_TWO_LEVELS, num_inference_steps=self.iterations)
        object.__setattr__(self, "policy", policy)

    @property
    def training_window(self) -> tuple[int, int]:
        """Observations and rows of a training window."""
        return self.policy.training_window

    @property
    def n_action_steps(self) -> int:
        """Rows that are sent."""
        return self.policy.n_action_steps


def mip_config_from(values: Mapping[str, Any]) -> MipConfig:
    """Return the config that ``dataclasses.asdict`` made ``values`` of, also by way of JSON.

    Raises:
        ValueError: If a field is unknown or breaks a rule.
    """
    rest = {**values, "policy": config_from(values.get("policy", {}))}
    return validated_config(rest, MipConfig)
