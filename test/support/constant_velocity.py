"""A system without weights and without a network: the joints go on as fast as they were going."""

from dataclasses import asdict, dataclass

import numpy as np

from ddpm_controller.checkpoint import save_checkpoint
from ddpm_controller.policy import PolicyFacts
from ddpm_controller.systems import System
from ddpm_controller.types import ActionChunk, Observation, Plan

KIND = "constant_velocity"


@dataclass(frozen=True)
class ConstantVelocityConfig:
    """Rows of a chunk, and the pose with which it is warmed up."""

    n_action_steps: int = 8
    warm_up_pose: tuple[float, ...] = ()


class ConstantVelocity:
    """Continues the last two measured positions in a straight line."""

    def __init__(self, config, manifest, settings, checkpoint_hash):
        self.config, self.warmed_up_with = config, []
        self._rows = settings.n_action_steps or config.n_action_steps
        (stream,) = [each for each in manifest.streams if each.kind == "vector"]
        pose = {stream.name: np.array(config.warm_up_pose)}
        period_s = manifest.action_spec.period_s
        self.facts = PolicyFacts(
            streams=(stream,),
            action_spec=manifest.action_spec,
            n_obs_steps=2,
            checkpoint_hash=checkpoint_hash,
            warm_up=[Observation(-period_s, pose), Observation(0.0, pose)],
        )

    @classmethod
    def restore(cls, checkpoint, settings):
        manifest = checkpoint.manifest
        config = ConstantVelocityConfig(**manifest.config)
        return cls(config, manifest, settings, checkpoint.hash)

    def initial_memory(self, seed):
        return {"plan_number": np.array(0)}

    def plan(self, window, memory):
        spec, (stream,) = self.facts.action_spec, self.facts.streams
        columns = [stream.names.index(name) for name in spec.joint_names]
        before, now = (each.values[stream.name][columns] for each in window)
        if not now.any():
            raise ValueError("this robot has no pose of zeros")
        rows = now + np.arange(self._rows)[:, None] * (now - before)
        chunk = ActionChunk(window[-1].stamp_s, spec.period_s, spec.joint_names, rows)
        return Plan(chunk, {"plan_number": memory["plan_number"] + 1})


SYSTEM = System(ConstantVelocityConfig, ConstantVelocity.restore)


def save_constant_velocity(folder, robot, **changes):
    """Write its manifest for a robot and return its hash."""
    streams = tuple(each for each in robot.stream_specs if each.kind == "vector")
    config = ConstantVelocityConfig(warm_up_pose=(0.1,) * len(streams[0].names), **changes)
    return save_checkpoint(
        folder,
        kind=KIND,
        config=asdict(config),
        action_spec=robot.action_spec,
        streams=streams,
        statistics={},
        provenance={},
        weights=None,
    )
