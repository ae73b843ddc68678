"""The forward process of a Diffusion Policy: as its config says, bound to an observation."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_controller.diffusion.bound import prior_term
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.learned import ElementSchedule, ScalarSchedule
from ddpm_controller.diffusion.recorded.noise_file import noise_from_fields
from ddpm_controller.diffusion.schedules import (
    SCHEDULES,
    SIGNAL_WARNING,
    signal_left,
    zero_terminal_snr,
)
from ddpm_controller.diffusion.shaped import ShapedProcess, falling_strengths, matching_timestep
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.types import ActionSpec


@dataclass(frozen=True)
class TerminalFacts:
    """The noisiest timestep of a process.

    Attributes:
        alpha_bar: Largest share of signal at T - 1.
        prior_nats: L_T of a value at the edge of its range, nats per number: the most that the
            start from N(0, I) costs in the bound.
    """

    alpha_bar: float
    prior_nats: float

    def __str__(self) -> str:
        left, nats = f"{self.alpha_bar:.2g}", f"{self.prior_nats:.2g}"
        return f"alpha_bar_T = {left}, L_T at most {nats} nats per number"

    @property
    def warning(self) -> str:
        """What is wrong with it; empty when nothing is."""
        if self.alpha_bar <= SIGNAL_WARNING:
            return ""
        return (
            f"the schedule leaves {100 * self.alpha_bar:.2g} % of the signal at T - 1 (L_T up to "
            f"{self.prior_nats:.2g} nats per number), so sampling starts from what training has "
            "never seen: use another schedule, more timesteps or zero_terminal_snr"
        )


def terminal_facts(process: ForwardProcess, chunk_shape: tuple[int, int]) -> TerminalFacts:
    """Return the facts of a process that is bound to one row, for chunks of (Tp, Da)."""
    edge = torch.ones(1, *chunk_shape, dtype=torch.float64)
    nats = prior_term(process, edge, torch.Generator().manual_seed(0))
    return TerminalFacts(signal_left(process), float(nats.mean()))


class PolicyProcess(nn.Module):
    """What adds the noise; has weights only where that is learned.

    Args:
        config: Says which process.
        action_spec: Of the chunks.
        seen_dim: Columns of the condition that are observed; what else it has, as what a policy
            remembers, changes no noise.
        half_range: (Da,) of the normalizer, SI units.

    Attributes:
        fixed: The schedule that everything else begins with.
        schedule: The learned one, or None.

    Raises:
        ValueError: If a recorded noise is not of these joints or of another period.
    """

    def __init__(
        self,
        config: DiffusionPolicyConfig,
        action_spec: ActionSpec,
        seen_dim: int,
        half_range: Tensor,
    ) -> None:
        super().__init__()
        self._seen_dim = seen_dim
        betas = SCHEDULES[config.schedule](config.num_train_timesteps)
        if config.zero_terminal_snr:
            betas = zero_terminal_snr(betas)
        self.fixed = GaussianProcess(betas)
        self.schedule: ScalarSchedule | ElementSchedule | None = None
        self._shaped: ShapedProcess | None = None
        if config.forward_process == "scalar":
            self.schedule = ScalarSchedule(betas)
        if config.forward_process == "element":
            shape = (config.horizon, len(action_spec.joint_names))
            self.schedule = ElementSchedule(betas, shape, seen_dim)
        if config.forward_process == "recorded":
            self._shaped = _shaped(self.fixed, config.noise, action_spec, half_range)

    def forward(self, cond: Tensor) -> ForwardProcess:
        """Return the process for the rows of ``cond`` (B, Dc)."""
        if self._shaped is not None:
            return self._shaped
        if self.schedule is None:
            return self.fixed
        # The observation's encoders learn to denoise, not to lower the noise.
        process: GaussianProcess = self.schedule(cond[:, : self._seen_dim].detach())
        return process


def _shaped(
    fixed: GaussianProcess, fields: Any, action_spec: ActionSpec, half_range: Tensor
) -> ShapedProcess:
    """Return the process whose noise has the recorded shape up to the recorded strength."""
    noise = noise_from_fields(fields).selected(action_spec.joint_names)
    if abs(noise.period_s - action_spec.period_s) > 1e-9:
        raise ValueError(
            f"the recorded noise is of rows {noise.period_s} s apart, the actions are of "
            f"{action_spec.period_s} s: fit it at the policy's period"
        )
    ratio = float((noise.scale / half_range).mean())
    last = fixed.num_timesteps - 2
    full_until = min(matching_timestep(fixed, ratio), last)
    strengths = falling_strengths(fixed.num_timesteps, full_until)
    return ShapedProcess(fixed, noise.noise_map, strengths)
