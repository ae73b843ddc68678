"""Plan without ROS: a window of observations in, a chunk of commands out, by three samplers.

python examples/plan_offline.py
"""

import os

import numpy as np

from ddpm_controller.messages.resizing import resized
from ddpm_controller.policy import PlanSettings
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation

os.environ.setdefault("MUJOCO_GL", "egl")


def observed(world: ReachWorld) -> Observation:
    """Return what the policy takes: 7 joints, and two pictures of 64 x 64 pixels."""
    values = {"joint_state": world.positions}
    for camera in ("camera_fixed", "camera_wrist"):
        values[camera] = resized(world.render(camera), 64, 64)
    return Observation(world.time_s, values)


world = ReachWorld()
world.reset(seed=3)
window = [observed(world)]  # as many as the policy has n_obs_steps, oldest first
world.close()

for sampler, steps in (("ddim", 10), ("dpm_solver_pp_2m", 5), ("ddpm", 100)):
    overrides = {"sampler": sampler, "num_inference_steps": steps}
    policy = restore("models/reach", PlanSettings(overrides=overrides))
    chunk = policy.plan(window, policy.initial_memory(seed=0)).chunk
    again = policy.plan(window, policy.initial_memory(seed=0)).chunk
    # Everything random comes from the seed in the memory: the same inputs, the same bits.
    assert np.array_equal(chunk.actions, again.actions)
    print(f"{sampler}, {steps} steps: {len(chunk.actions)} rows of {chunk.period_s} s")
    for column, name in enumerate(chunk.joint_names):
        first, last = chunk.actions[[0, -1], column]
        print(f"    {name:14} {first:6.3f} -> {last:6.3f}")
