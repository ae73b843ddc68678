"""Diffusion Policy, Chi et al. 2023 (RSS): a chunk is denoised given a few observations."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast, get_args

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.checkpoint import Checkpoint
from ddpm_controller.diffusion.samplers import SAMPLERS, Sampler, sample_ddim, sample_ddpm
from ddpm_controller.diffusion.timesteps import timesteps_for
from ddpm_controller.diffusion.variances import Variance
from ddpm_controller.inference.choice import Chosen, chosen_engine
from ddpm_controller.inference.engine import Answer, Served
from ddpm_controller.networks.device import usable_device
from ddpm_controller.networks.unet1d import ConditionalUnet1d
from ddpm_controller.policies.diffusion_policy.bound import policy_bound
from ddpm_controller.policies.diffusion_policy.config import (
    DenoisingSettings,
    DiffusionPolicyConfig,
    config_from,
    denoising_settings,
    refuse_rows,
    refuse_untrained_prefix,
)
from ddpm_controller.policies.diffusion_policy.denoiser import AlongChain, Denoiser
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.diffusion_policy.prefix import Given
from ddpm_controller.policies.inputs.goals import goal_ranges_of
from ddpm_controller.policies.inputs.masks import MASKED, masks_of
from ddpm_controller.policies.inputs.training_range import middle_window, training_range_of
from ddpm_controller.policies.inputs.window_values import window_values
from ddpm_controller.policies.monitors.out_of_distribution import (
    FeatureDistance,
    load_feature_distance,
)
from ddpm_controller.policies.overrides import as_overrides, overridden
from ddpm_controller.policies.restored import restored_network
from ddpm_controller.policies.seams.joiner import Before, PlanJoiner
from ddpm_controller.policies.seams.strategies import Sampling
from ddpm_controller.policy import BoundSettings, Likelihood, PlanSettings, PolicyFacts, Window
from ddpm_controller.types import ActionChunk, ActionSpec, Memory, Plan

__all__ = ["DiffusionPolicy", "DiffusionPolicyConfig", "DiffusionPolicyNetwork"]


class DiffusionPolicy:
    """A trained network that plans.

    Args:
        network: Only read; several policies may share one.
        action_spec: Action spec of the chunks.
        settings: How it is run.
        checkpoint_hash: The checkpoint's; empty without one.
        distance: See below.
        along_chain: Makes what answers for the U-Net along the chains of one sampling; None: the
            U-Net itself.

    Attributes:
        facts: What the runtime may ask.
        distance: Distance of what is seen to what was trained on; None where it was not fitted.
        n_action_steps: Rows per chunk.
        seam: How a plan is joined to the one before.
    """

    def __init__(
        self,
        network: DiffusionPolicyNetwork,
        action_spec: ActionSpec,
        settings: PlanSettings,
        checkpoint_hash: str = "",
        distance: FeatureDistance | None = None,
        along_chain: Callable[[], AlongChain] | None = None,
    ) -> None:
        config = network.config
        self.network = network.to(usable_device(settings.device)).eval()
        self.distance, self.horizon = distance, config.horizon
        self._along_chain = along_chain
        self.n_action_steps = (
            config.n_action_steps if settings.n_action_steps is None else settings.n_action_steps
        )
        refuse_rows(config, self.n_action_steps)
        chosen = overridden(denoising_settings(config), settings.overrides)
        self._sampler_name = chosen.sampler
        self._spacing = chosen.spacing
        self._timesteps = timesteps_for(
            network.forward_process.fixed, chosen.num_inference_steps, chosen.spacing
        )
        self._device = torch.device(settings.device)
        self.seam = chosen.joined_as(config.seam)
        refuse_untrained_prefix(config, self.seam)
        self._joiner = PlanJoiner(
            self.seam,
            action_spec,
            network.streams,
            network.action_normalizer,
            config.n_obs_steps,
            self.n_action_steps,
            remembers=network.relative.need_commanded,
        )
        with torch.no_grad():
            every = torch.arange(config.num_train_timesteps, device=self._device)
            self._time_modulation = network.unet.time_modulation(every)  # (T, M)
        self._engine = self._chosen_engine(settings.engine)
        self.facts = self._policy_facts(action_spec, checkpoint_hash, chosen)

    @classmethod
    def restore(cls, checkpoint: Checkpoint, settings: PlanSettings) -> "DiffusionPolicy":
        """Return the policy of a checkpoint.

        Raises:
            CheckpointError: If the config or the weights do not fit this class.
            ValueError: If the settings break a rule, or the engine that they name cannot be used.
        """
        network = network_of(checkpoint)
        distance = load_feature_distance(checkpoint.folder, checkpoint.hash, network.cond_dim)
        return cls(network, checkpoint.manifest.action_spec, settings, checkpoint.hash, distance)

    def initial_memory(self, seed: int) -> Memory:
        """Return the memory of a run that begins: its seed, and no plan made yet.

        ``num_inference_steps`` may be set for each plan; 0: as restored. So may the delay where
        the settings lack it.
        """
        return self._numbers(np.array(seed, np.int64), 0)

    def _policy_facts(
        self, spec: ActionSpec, checkpoint_hash: str, chosen: DenoisingSettings
    ) -> PolicyFacts:
        network, config = self.network, self.network.config
        streams, normalizers = network.streams, network.normalizers
        with torch.no_grad():
            terminal = network.terminal_facts()
        return PolicyFacts(
            streams=streams,
            action_spec=spec,
            n_obs_steps=config.n_obs_steps,
            checkpoint_hash=checkpoint_hash,
            settings=as_overrides(chosen),
            num_inference_steps=chosen.num_inference_steps,
            expected_delay_s=chosen.expected_delay_s,
            remembers_plans=self._joiner.remembers,
            maskable=config.maskable_streams,
            goal_ranges=goal_ranges_of(config.goal_streams, normalizers),
            training_range=training_range_of(
                streams, normalizers, network.action_normalizer, spec
            ),
            out_of_distribution_limit=self.distance.limit if self.distance else math.nan,
            text="; ".join(filter(None, (str(terminal), self._prefix_text(spec)))),
            warning="; ".join(filter(None, (terminal.warning, self._prefix_warning(spec)))),
            warm_up=middle_window(streams, normalizers, config.n_obs_steps, spec.period_s),
            relative_cost=self._joiner.relative_cost,
            engine=self._engine.name,
            engine_text=self._engine.text,
        )

    def _chosen_engine(self, asked: str) -> Chosen:
        """Return what answers for the U-Net, compared with it on whole chunks."""
        served = Served(self.network.unet, self.horizon, torch.get_num_threads())
        with torch.no_grad():
            return chosen_engine(asked, served, self._trial_chunk, self._only_torch())

    def _only_torch(self) -> str:
        """Return why no engine but torch serves this policy; empty where others do."""
        if type(self.network.unet) is not ConditionalUnet1d or self._along_chain:
            return "what it remembers acts within its network"
        if self._device.type != "cpu":
            return f"it is on {self._device}"
        if self.seam.needs_gradient:
            return f"its seam {self.seam.strategy} needs a gradient"
        return ""

    def _trial_chunk(self, answer: Answer, seed: int) -> Tensor:
        """Return a normalized chunk, (1, Tp, Da), for a condition somewhere in its range."""
        generator = torch.Generator().manual_seed(seed)
        cond = 2 * torch.rand(1, self.network.cond_dim, generator=generator) - 1
        return self._sampling(cond, [self.initial_memory(seed)], [0], answer).drawn()

    def _prefix_text(self, spec: ActionSpec) -> str:
        if self.seam.strategy != "prefix":
            return ""
        return f"seam prefix for plans of less than {self._longest_plan_s(spec):.3g} s"

    def _prefix_warning(self, spec: ActionSpec) -> str:
        delay_s, longest_s = self.seam.expected_delay_s or 0.0, self._longest_plan_s(spec)
        if self.seam.strategy != "prefix" or delay_s < longest_s - 1e-6:
            return ""
        return (
            f"seam prefix: in expected_delay_s {delay_s:g} more rows are settled than the "
            f"prefix_rows {self.network.config.prefix_rows} of the training, which are enough for "
            f"less than {longest_s:.3g} s: the rest is held without the network's knowledge; plan "
            "faster or train with more prefix_rows"
        )

    def _longest_plan_s(self, spec: ActionSpec) -> float:
        """Return the time of a plan from which on rows are settled beyond the trained ones."""
        config = self.network.config
        return (config.prefix_rows - config.n_obs_steps) * spec.period_s

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk, a pure function of window and memory."""
        return self.plan_batch([window], [memory])[0]

    def plan_batch(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Plan]:
        """Return one plan per run, equal to ``plan`` up to rounding.

        Raises:
            ValueError: As ``values_of``.
        """
        values = self.values_of(windows)
        with torch.no_grad():
            cond = self.network.encode(values)
        return self.plans_given(windows, memories, cond)

    def values_of(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        """Return what the network takes of windows, {stream: (B, To, ...)}.

        Raises:
            ValueError: If a window has another length, stream or shape, is not finite, lacks a
                stream that is not maskable, or has a goal outside the range of the training.
        """
        facts = self.facts
        values = window_values(
            windows, facts.streams, facts.n_obs_steps, facts.goal_ranges, facts.maskable
        )
        values[MASKED] = masks_of(windows, facts.maskable)
        return {name: value.to(self._device) for name, value in values.items()}

    def plans_given(
        self, windows: Sequence[Window], memories: Sequence[Memory], cond: Tensor
    ) -> list[Plan]:
        """Return one plan per run, denoised under ``cond`` (B, Dc)."""
        befores = [
            self._joiner.before(window, memory, self._reference(window, memory))
            for window, memory in zip(windows, memories, strict=True)
        ]
        with torch.no_grad():  # a seam may need a gradient, which inference mode forbids for good
            answer = self._engine.answer
            x0 = self._joiner.drawn(
                befores, lambda rows: self._sampling(cond, memories, rows, answer)
            )
            rows = self.network.action_normalizer.unnormalize(x0).cpu().numpy()
            if self.network.relative.are_any:
                rows = rows + np.stack([each.reference for each in befores])[:, None]
            seen = self._distances(cond)
        return [
            self._plan(*one) for one in zip(windows, memories, befores, rows, seen, strict=True)
        ]

    def _reference(self, window: Window, memory: Memory) -> np.ndarray | None:
        """Return what a plan is relative to, (Da,); None: nothing.

        A robot that rests is commanded to stay where it is measured.
        """
        relative = self.network.relative
        if not relative.are_any:
            return None
        values = {
            name: torch.from_numpy(value)[None, None]
            for name, value in window[-1].values.items()
            if value.ndim == 1
        }
        commanded = self._joiner.commanded(window, memory)
        if commanded is None:
            in_force = relative.measured(values)
        else:
            in_force = torch.from_numpy(commanded)[None]
        reference: np.ndarray = relative.reference(values, in_force)[0].numpy()
        return reference

    def features(self, values: Mapping[str, np.ndarray]) -> Tensor:
        """Return the denoiser's condition for windows: values (B, To, ...) -> (B, Dc)."""
        with torch.inference_mode():
            seen = {name: torch.from_numpy(each) for name, each in values.items()}
            return self.network.encode({k: v.to(self._device) for k, v in seen.items()}).cpu()

    def likelihood(
        self,
        values: Mapping[str, np.ndarray],
        actions: np.ndarray,
        mask: np.ndarray,
        settings: BoundSettings,
    ) -> Likelihood:
        """Return the bound on -log p(actions | observations) of windows, see ``Likelihood``.

        Raises:
            ValueError: If the settings break a rule.
        """
        config = self.network.config
        kind = settings.variance or config.variance
        if kind not in get_args(Variance) or (
            kind == "learned_range" and config.variance != "learned_range"
        ):
            raise ValueError(
                f"variance {kind!r}: this checkpoint has {config.variance!r}; use it, "
                "'fixed_small' or 'fixed_large'"
            )
        batch = {
            "values": {k: torch.from_numpy(v).to(self._device) for k, v in values.items()},
            "actions": torch.from_numpy(actions).to(self._device),
            "mask": torch.from_numpy(mask).to(self._device),
        }
        ticks = None if settings.ticks is None else torch.tensor(settings.ticks).double()
        steps = settings.num_steps or config.num_train_timesteps
        with torch.inference_mode():
            bound = policy_bound(
                self.network,
                batch,
                torch.Generator().manual_seed(settings.seed),
                num_steps=steps,
                variance=cast(Variance, kind),
                ticks=ticks,
            )
            timesteps = timesteps_for(self.network.forward_process.fixed, steps, config.spacing)
        return Likelihood(
            prior=bound.prior.cpu().numpy(),
            steps=bound.steps.cpu().numpy(),
            timesteps=timesteps.numpy(),
            log_scale=bound.log_scale.cpu().numpy(),
            mask=mask,
        )

    def _sampling(
        self,
        cond: Tensor,
        memories: Sequence[Memory],
        rows: list[int],
        answer: Answer,
        given: Given | None = None,
    ) -> Sampling:
        """Return what is needed to sample some rows of a batch."""
        of_rows = cond[rows]
        process = self.network.forward_process(of_rows)
        denoiser = Denoiser(
            self.network.unet,
            self.network.config,
            process,
            of_rows,
            self._time_modulation,
            self._along_chain() if self._along_chain else None,
            answer,
            given,
        )
        return Sampling(
            sampler=self._sampler(denoiser),
            process=process,
            predict_x0=denoiser.predict_x0,
            shape=(len(rows), self.horizon, self.network.action_dim),
            generators=[
                [_generator(memories[row], candidate) for row in rows]
                for candidate in range(self.seam.num_candidates)
            ],
            timesteps=self._timesteps_of([memories[row] for row in rows]),
            in_range=denoiser.in_range,
            prefix_rows=self.network.config.prefix_rows,
            after=lambda known, which: self._sampling(
                cond, memories, rows, answer, Given(known, which)
            ),
        )

    def _sampler(self, denoiser: Denoiser) -> Sampler:
        config, variance = self.network.config, self.network.config.variance
        if self._sampler_name == "ddim" and config.ddim_noise == "predicted":
            return partial(sample_ddim, predict_plain_x0=denoiser.predict_plain_x0)
        if self._sampler_name != "ddpm" or variance == "fixed_small":
            return SAMPLERS[self._sampler_name]
        fraction = denoiser.predict_fraction if variance == "learned_range" else None
        return partial(sample_ddpm, variance=variance, predict_fraction=fraction)

    def _timesteps_of(self, memories: Sequence[Memory]) -> Tensor:
        """Return the timesteps of a batch, (K,); one that is asked for goes before the setting."""
        asked = {int(memory.get("num_inference_steps", 0)) for memory in memories}
        if len(asked) > 1:
            raise ValueError(f"plans of one batch need the same steps, got {sorted(asked)}")
        if not any(asked):
            return self._timesteps
        return timesteps_for(self.network.forward_process.fixed, asked.pop(), self._spacing)

    def _distances(self, cond: Tensor) -> list[dict[str, float]]:
        """Return how far the condition (B, Dc) of each plan is from the training's."""
        if self.distance is None:
            return [{}] * len(cond)
        limit = self.distance.limit
        return [
            {"out_of_distribution": score, "out_of_distribution_limit": limit}
            for score in self.distance.of(cond.cpu()).tolist()
        ]

    def _plan(
        self,
        window: Window,
        memory: Memory,
        before: Before,
        rows: np.ndarray,
        seen: Mapping[str, float],
    ) -> Plan:
        spec = self.facts.action_spec
        first = self.facts.n_obs_steps - 1  # the row for the moment of window[-1]
        chunk = ActionChunk(
            start_s=window[-1].stamp_s,
            period_s=spec.period_s,
            joint_names=spec.joint_names,
            actions=rows[first : first + self.n_action_steps],
        )
        remembered = {
            **self._numbers(memory["seed"], int(memory["plan_number"]) + 1),
            **self._joiner.remembered(before, window, rows),
        }
        traces = {"horizon": rows, **seen, **self._joiner.traces(before)}
        return Plan(chunk, remembered, traces)

    def _numbers(self, seed: np.ndarray, plan_number: int) -> dict[str, np.ndarray]:
        return {
            "seed": seed,
            "plan_number": np.array(plan_number, np.int64),
            "num_inference_steps": np.array(0, np.int64),
            **self.seam.delay_of_each_plan,
        }


def network_of(checkpoint: Checkpoint) -> DiffusionPolicyNetwork:
    """Return the network of a checkpoint.

    Raises:
        CheckpointError: If the config or the weights do not fit.
    """
    return restored_network(checkpoint, config_from, DiffusionPolicyNetwork)


def _generator(memory: Memory, candidate: int = 0) -> torch.Generator:
    """Return the noise of plan ``plan_number`` of the run with ``seed``, on the CPU.

    Candidate 0 is the plan that is made when there is only one.

    Mixed first, because torch uses the low 32 bits of a seed only; in words of a fixed number,
    because the mixing takes (2 ** 32, 0) and (0, 1) for the same list of words.
    """
    seed, number = int(memory["seed"]) % 2**64, int(memory["plan_number"])
    words = [seed % 2**32, seed >> 32, number % 2**32, number >> 32]
    words += [candidate] if candidate else []
    mixed = np.random.SeedSequence(words).generate_state(1, np.uint32)[0]
    return torch.Generator().manual_seed(int(mixed))
