"""Minimal Iterative Policy, Pan et al. 2025 (arXiv:2512.01809): a chunk in two regressions.

The first answers given the observation alone, the second given that answer too. Nothing is drawn:
there is one plan for an observation.
"""

from ddpm_controller.checkpoint import Checkpoint
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.mip.config import MipConfig, mip_config_from
from ddpm_controller.policies.mip.network import MipNetwork
from ddpm_controller.policies.monitors.out_of_distribution import load_feature_distance
from ddpm_controller.policies.restored import restored_network
from ddpm_controller.policy import PlanSettings

__all__ = ["Mip", "MipConfig", "MipNetwork"]


class Mip:
    """How its checkpoints plan: as a Diffusion Policy of two levels without noise."""

    @staticmethod
    def restore(checkpoint: Checkpoint, settings: PlanSettings) -> DiffusionPolicy:
        """Return the policy of a checkpoint.

        Raises:
            CheckpointError: If the config or the weights do not fit this class.
            ValueError: If the settings break a rule; another sampler than ``ddim`` does.
        """
        sampler = settings.overrides.get("sampler", "ddim")
        if sampler != "ddim":
            raise ValueError(
                f"sampler {sampler!r} adds noise or expects more than two levels, and MIP draws "
                "nothing: leave it out, and choose num_inference_steps 1 or 2"
            )
        network = restored_network(checkpoint, mip_config_from, MipNetwork).denoiser
        distance = load_feature_distance(checkpoint.folder, checkpoint.hash, network.cond_dim)
        return DiffusionPolicy(
            network, checkpoint.manifest.action_spec, settings, checkpoint.hash, distance
        )
