"""Diffusion Policy, Chi et al. 2023 (RSS): a chunk is denoised given a few observations."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.checkpoint import Checkpoint, CheckpointError
from ddpm_controller.diffusion.samplers import SAMPLERS, PredictX0, clipped, spaced_timesteps
from ddpm_controller.diffusion.targets import x0_from
from ddpm_controller.policies.diffusion_policy_network import (
    DiffusionPolicyConfig,
    DiffusionPolicyNetwork,
    config_from,
    refuse_rows,
)
from ddpm_controller.policy import PlanSettings, Window
from ddpm_controller.types import ActionChunk, ActionSpec, Memory, Plan, StreamSpec

_Value = TypeVar("_Value")

__all__ = ["DiffusionPolicy", "DiffusionPolicyConfig", "DiffusionPolicyNetwork"]


class DiffusionPolicy:
    """A trained network that plans.

    Attributes:
        hash: The checkpoint's.
        sampler: Name of the sampler in use.
        num_inference_steps: Denoising steps per plan.
        n_action_steps: Rows per chunk.
    """

    def __init__(
        self,
        network: DiffusionPolicyNetwork,
        action_spec: ActionSpec,
        settings: PlanSettings,
        checkpoint_hash: str = "",
    ) -> None:
        config = network.config
        self.network = network.to(settings.device).eval()
        self.action_spec = action_spec
        self.streams = network.streams
        self.hash = checkpoint_hash
        self.n_obs_steps = config.n_obs_steps
        self.n_action_steps = _chosen(settings.n_action_steps, config.n_action_steps)
        self.sampler = _chosen(settings.sampler, config.sampler)
        self.num_inference_steps = _chosen(
            settings.num_inference_steps, config.num_inference_steps
        )
        refuse_rows(config, self.n_action_steps)
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler {self.sampler!r}: use one of {sorted(SAMPLERS)}")
        self._timesteps = spaced_timesteps(
            config.num_train_timesteps, self.num_inference_steps, config.spacing
        )
        self._device = torch.device(settings.device)
        with torch.inference_mode():
            every = torch.arange(config.num_train_timesteps, device=self._device)
            self._time_modulation = network.unet.time_modulation(every)  # (T, M)

    @classmethod
    def restore(cls, checkpoint: Checkpoint, settings: PlanSettings) -> "DiffusionPolicy":
        """Return the policy of a checkpoint.

        Raises:
            CheckpointError: If the config or the weights do not fit this class.
            ValueError: If the settings break a rule.
        """
        manifest = checkpoint.manifest
        try:
            config = config_from(manifest.config)
            network = DiffusionPolicyNetwork(
                config, manifest.action_spec, manifest.streams, manifest.statistics
            )
            network.load_state_dict(dict(checkpoint.weights))
        except (ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{checkpoint.folder}: config and weights do not make a diffusion_policy of this "
                f"release: {error}"
            ) from error
        return cls(network, manifest.action_spec, settings, checkpoint.hash)

    def initial_memory(self, seed: int) -> Memory:
        """Return the memory of a run that begins: its seed, and no plan made yet."""
        return {"seed": np.array(seed, np.int64), "plan_number": np.array(0, np.int64)}

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk, a pure function of window and memory."""
        return self.plan_batch([window], [memory])[0]

    def plan_batch(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Plan]:
        """Return one plan per run, equal to ``plan`` up to rounding.

        Raises:
            ValueError: If a window has another length, stream or shape, or is not finite.
        """
        generators = [_generator(memory) for memory in memories]
        shape = (len(windows), self.network.config.horizon, len(self.action_spec.joint_names))
        with torch.inference_mode():
            cond = self.network.encode(self._values(windows))
            x0 = SAMPLERS[self.sampler](
                self.network.process, self._denoiser(cond), shape, generators, self._timesteps
            )
            rows = self.network.action_normalizer.unnormalize(x0).cpu().numpy()
        return [
            self._plan(window, memory, each)
            for window, memory, each in zip(windows, memories, rows, strict=True)
        ]

    def _denoiser(self, cond: Tensor) -> PredictX0:
        network = self.network
        of_cond = network.unet.cond_modulation(cond)  # once per plan

        def predict(xt: Tensor, t: Tensor) -> Tensor:
            answer = network.unet.denoise_modulated(xt, of_cond + self._time_modulation[t])
            return x0_from(network.process, answer, xt, t, network.config.prediction)

        return clipped(predict) if network.config.clip_x0 else predict

    def _values(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        for window in windows:
            if len(window) != self.n_obs_steps:
                raise ValueError(
                    f"a window has {self.n_obs_steps} observations, got {len(window)}"
                )
        return {stream.name: self._stacked(stream, windows) for stream in self.streams}

    def _stacked(self, stream: StreamSpec, windows: Sequence[Window]) -> Tensor:
        name = stream.name
        if any(name not in each.values for window in windows for each in window):
            raise ValueError(f"stream {name!r} is missing in the window")
        arrays = [each.values[name] for window in windows for each in window]
        for array in arrays:
            if array.shape != stream.shape:
                raise ValueError(f"stream {name!r} must be {stream.shape}, got {array.shape}")
        stacked = np.stack(arrays)
        if not np.isfinite(stacked).all():
            raise ValueError(f"stream {stream.name!r} is not finite in the window")
        shape = (len(windows), self.n_obs_steps, *stream.shape)
        return torch.from_numpy(stacked.reshape(shape)).to(self._device)

    def _plan(self, window: Window, memory: Memory, rows: np.ndarray) -> Plan:
        first = self.n_obs_steps - 1  # the row for the moment of window[-1]
        spec = self.action_spec
        chunk = ActionChunk(
            start_s=window[-1].stamp_s,
            period_s=spec.period_s,
            joint_names=spec.joint_names,
            actions=rows[first : first + self.n_action_steps],
        )
        number = np.array(int(memory["plan_number"]) + 1, np.int64)
        return Plan(chunk, {"seed": memory["seed"], "plan_number": number}, {"horizon": rows})


def _chosen(setting: _Value | None, by_checkpoint: _Value) -> _Value:
    return by_checkpoint if setting is None else setting


def _generator(memory: Memory) -> torch.Generator:
    """Return the noise of plan ``plan_number`` of the run with ``seed``, on the CPU.

    Mixed first, because torch uses the low 32 bits of a seed only; in words of a fixed number,
    because the mixing takes (2 ** 32, 0) and (0, 1) for the same list of words.
    """
    seed, number = int(memory["seed"]) % 2**64, int(memory["plan_number"])
    words = [seed % 2**32, seed >> 32, number % 2**32, number >> 32]
    mixed = np.random.SeedSequence(words).generate_state(1, np.uint32)[0]
    return torch.Generator().manual_seed(int(mixed))
