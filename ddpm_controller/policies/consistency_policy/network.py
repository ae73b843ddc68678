"""What is trained in a consistency distillation (Prasad et al. 2024): a student of a policy."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from ddpm_controller.diffusion.chain import PredictX0
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.guidance import clipped, dynamically_thresholded
from ddpm_controller.diffusion.noise import standard_normal
from ddpm_controller.diffusion.samplers import sample_consistency, sample_ddim
from ddpm_controller.diffusion.targets import x0_from
from ddpm_controller.diffusion.timesteps import timesteps_for
from ddpm_controller.policies.consistency_policy.config import ConsistencyConfig
from ddpm_controller.policies.consistency_policy.loss import consistency_loss, consistency_target
from ddpm_controller.policies.diffusion_policy.network import Batch, DiffusionPolicyNetwork
from ddpm_controller.policies.diffusion_policy.prefix import Given, drawn_prefix
from ddpm_controller.policies.inputs.masks import MASKED, drawn_masks
from ddpm_controller.types import ActionSpec, StreamSpec


class ConsistencyNetwork(nn.Module):
    """A student, its teacher, and the average of the student that is its own target.

    Only the student's U-Net learns: it sees with the teacher's image encoders, whose features are
    found once before the training.

    Args:
        config: With the teacher's.
        action_spec: Action spec of the chunks.
        streams: What is observed.
        statistics: As ``DiffusionPolicyNetwork`` takes them.

    Attributes:
        student: What becomes the checkpoint.
        teacher: Never learns.
        target: Follows the student.
    """

    progress: Tensor

    def __init__(
        self,
        config: ConsistencyConfig,
        action_spec: ActionSpec,
        streams: Sequence[StreamSpec],
        statistics: Mapping[str, Mapping[str, Sequence[float]]],
    ) -> None:
        super().__init__()
        assert config.teacher is not None  # as ``based_on`` has it
        self.config = config
        made = (action_spec, streams, statistics)
        self.student = DiffusionPolicyNetwork(config.policy, *made).requires_grad_(False)
        self.teacher = DiffusionPolicyNetwork(config.teacher, *made).requires_grad_(False)
        self.target = deepcopy(self.student)
        self.student.unet.requires_grad_(True)
        self.register_buffer("progress", torch.tensor(-1.0, dtype=torch.float64))

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take the teacher's weights, for the student too.

        What only a learned variance or a loss-aware choice of timesteps has, the student leaves.

        Raises:
            ValueError: If they are not the teacher's.
        """
        self.teacher.begin_with(weights)
        taught, own = self.teacher.state_dict(), self.student.state_dict()
        shared = {name: _fitting(taught[name], each) for name, each in own.items()}
        self.student.load_state_dict(shared)
        self.target.load_state_dict(shared)

    def forward(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return ``loss``; so that a wrapper for many processes sees the call."""
        return self.loss(batch, generator, noise_draws)

    def loss(self, batch: Batch, generator: torch.Generator, noise_draws: int = 1) -> Tensor:
        """Return the loss of a batch, a scalar, in normalized units squared.

        In training mode that of the consistency, and the target follows the student; where the
        teacher was trained with ``prefix_rows``, all three are given the same first rows, which
        do not count. Else the distance of the plan after one evaluation to the teacher's from the
        same noise, without given rows.

        Args:
            batch: As ``DiffusionPolicyNetwork.loss`` takes it, images or their features.
            generator: Source of masks, timesteps, noise and given rows, in this order.
            noise_draws: Timesteps and noises per example.
        """
        with torch.no_grad():
            values = self._with_masks(batch, generator)
            cond = self.teacher.condition(values).repeat_interleave(noise_draws, dim=0)
            x0 = self.teacher.normalized_actions(batch).repeat_interleave(noise_draws, dim=0)
            mask = batch["mask"].repeat_interleave(noise_draws, dim=0)
            process = self.teacher.forward_process(cond)
        if not self.training:
            return self._distance(process, cond, x0, mask, generator)
        progress = float(batch["progress"])
        self._follow(progress)
        last = self._last_timestep
        t = torch.randint(last + 1, (len(x0),), generator=generator).to(x0.device)
        noise = standard_normal(tuple(x0.shape), generator).to(x0)
        xt = process.sample(x0, t, noise)
        stride = -(-(last + 1) // self.config.levels_at(progress))  # rounded up
        given = self._given_some(x0, generator)
        target = consistency_target(
            process,
            self._in_range(self.teacher, process, cond, given),
            self._in_range(self.target, process, cond, given),
            xt,
            t,
            stride,
        )
        answer = _x0(self.student, process, cond, given, xt, t)
        return consistency_loss(answer, target, mask if given is None else mask & ~given.which)

    def _given_some(self, x0: Tensor, generator: torch.Generator) -> Given | None:
        """Return first rows of chunks, as the teacher was given them; None: it never was."""
        most = self.config.policy.prefix_rows
        if not most:
            return None
        return Given(x0, drawn_prefix((len(x0), x0.shape[1]), most, generator).to(x0.device))

    @property
    def _last_timestep(self) -> int:
        """Where a plan of the student starts from noise alone."""
        fixed = self.teacher.forward_process.fixed
        return int(timesteps_for(fixed, 1, self.config.policy.spacing)[-1])

    def _distance(
        self,
        process: ForwardProcess,
        cond: Tensor,
        x0: Tensor,
        mask: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        shape, fixed = tuple(x0.shape), self.teacher.forward_process.fixed
        spacing = self.config.policy.spacing
        same = torch.Generator()
        same.set_state(generator.get_state())
        answer = sample_consistency(
            process,
            self._in_range(self.student, process, cond),
            shape,
            same,
            timesteps_for(fixed, 1, spacing),
        )
        taught = sample_ddim(
            process,
            self._in_range(self.teacher, process, cond),
            shape,
            generator,
            timesteps_for(fixed, self.config.levels, spacing),
        )
        return consistency_loss(answer, taught, mask)

    def _in_range(
        self,
        network: DiffusionPolicyNetwork,
        process: ForwardProcess,
        cond: Tensor,
        given: Given | None = None,
    ) -> PredictX0:
        """Return a denoiser that keeps to the range as in its config.

        What it answers for given rows is of no use: a network never sees it, no loss counts it.
        """
        predict_x0 = partial(_x0, network, process, cond, given)
        quantile = network.config.threshold_quantile
        if quantile:
            return dynamically_thresholded(predict_x0, quantile)
        return clipped(predict_x0) if network.config.clip_x0 else predict_x0

    @torch.no_grad()
    def _follow(self, progress: float) -> None:
        """Move the target once an update, however many parts of a batch one has."""
        if progress == float(self.progress):
            return
        if float(self.progress) >= 0:
            follower = list(self.target.unet.parameters())
            leader = list(self.student.unet.parameters())
            torch._foreach_lerp_(follower, leader, 1.0 - self.config.target_decay)
        self.progress.fill_(progress)

    def _with_masks(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        policy, values = self.config.policy, dict(batch["values"])
        if self.training and policy.maskable_streams:
            rows = len(batch["actions"])
            values[MASKED] = drawn_masks(
                policy.maskable_streams, policy.mask_share, rows, generator
            )
        return values


def _x0(
    network: DiffusionPolicyNetwork,
    process: ForwardProcess,
    cond: Tensor,
    given: Given | None,
    xt: Tensor,
    t: Tensor,
) -> Tensor:
    """Return the clean chunk that a network answers at ``t`` (B,), (B, Tp, Da)."""
    answer, _ = network.denoise(xt, t, cond, given)
    return x0_from(process, answer, xt, t, network.config.prediction)


def _fitting(weight: Tensor, like: Tensor) -> Tensor:
    """Return a weight without the answers for a variance, which come last."""
    return weight[: len(like)] if weight.ndim else weight
