"""Four small tasks that planners are compared on: models of primitives, and what is asked.

Used by planners.py. Each has a cost that several ways of search can lower, and no learned part.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ddpm_controller.dynamics.rollouts import Rollouts
from ddpm_controller.dynamics.solver import SolverSettings
from ddpm_controller.planners.config import PlannerConfig, SearchSettings, StateSource, preset
from ddpm_controller.planners.planner import Planner
from ddpm_controller.planners.rehearsal import rehearsed
from ddpm_controller.planners.saved import model_from
from ddpm_controller.rewards.task import task_from
from ddpm_controller.types import ActionSpec, StreamSpec

_CART_POLE = """<mujoco><compiler angle="radian"/>
<option timestep="0.01" integrator="implicitfast"/>
<default><geom contype="0" conaffinity="0"/></default>
<worldbody><body name="cart" pos="0 0 1"><joint name="slider" type="slide" axis="1 0 0"
 limited="true" range="-1.8 1.8" damping="0.05"/><geom type="box" size="0.2 0.1 0.1" mass="1"/>
<body name="pole"><joint name="hinge" axis="0 1 0" damping="0.01"/>
<geom type="capsule" fromto="0 0 0 0 0 1" size="0.045" mass="0.1"/></body></body></worldbody>
<actuator><motor name="slider" joint="slider" gear="10" ctrlrange="-1 1" ctrllimited="true"/>
</actuator><keyframe><key name="home" qpos="0 3.14159265"/></keyframe></mujoco>"""
_ACROBOT = """<mujoco><compiler angle="radian"/>
<option timestep="0.01" integrator="implicitfast"/>
<default><geom contype="0" conaffinity="0"/></default>
<worldbody><body name="upper" pos="0 0 2"><joint name="shoulder" axis="0 1 0" damping="0.05"/>
<geom type="capsule" fromto="0 0 0 0 0 1" size="0.05" mass="1"/>
<body name="lower" pos="0 0 1"><joint name="elbow" axis="0 1 0" damping="0.05"/>
<geom type="capsule" fromto="0 0 0 0 0 1" size="0.05" mass="1"/><site name="tip" pos="0 0 1"/>
</body></body></worldbody>
<actuator><motor name="elbow" joint="elbow" gear="25" ctrlrange="-1 1" ctrllimited="true"/>
</actuator><keyframe><key name="home" qpos="3.14159265 0"/></keyframe></mujoco>"""
_HOPPER = """<mujoco><compiler angle="radian"/>
<option timestep="0.005" integrator="implicitfast" iterations="4"/>
<default><joint damping="0.5" armature="0.02"/><geom contype="0" conaffinity="0" condim="3"/>
</default><worldbody><geom name="floor" type="plane" size="0 0 .1" contype="1"/>
<body name="torso" pos="0 0 1.2"><joint name="forward" type="slide" axis="1 0 0" damping="0"
 armature="0"/><joint name="height" type="slide" axis="0 0 1" damping="0" armature="0"/>
<joint name="pitch" axis="0 1 0" damping="0" armature="0"/>
<geom type="capsule" fromto="0 0 -.2 0 0 .2" size=".06" mass="3.5"/>
<body name="thigh" pos="0 0 -.2"><joint name="hip" axis="0 1 0" range="-1.5 0.8" limited="true"/>
<geom type="capsule" fromto="0 0 0 0 0 -.4" size=".05" mass="2"/>
<body name="leg" pos="0 0 -.4"><joint name="knee" axis="0 1 0" range="-0.2 2.4" limited="true"/>
<geom type="capsule" fromto="0 0 0 0 0 -.45" size=".04" mass="1.5"/>
<body name="foot" pos="0 0 -.45"><joint name="ankle" axis="0 1 0" range="-0.8 0.8"
 limited="true"/><geom type="capsule" fromto="-.1 0 -.06 .2 0 -.06" size=".05" mass="1"
 conaffinity="1" friction="1"/></body></body></body></body></worldbody>
<actuator><motor name="hip" joint="hip" gear="90" ctrlrange="-1 1" ctrllimited="true"/>
<motor name="knee" joint="knee" gear="90" ctrlrange="-1 1" ctrllimited="true"/>
<motor name="ankle" joint="ankle" gear="40" ctrlrange="-1 1" ctrllimited="true"/></actuator>
<keyframe><key name="home" qpos="0 -0.04 0 -0.3 0.6 -0.3"/></keyframe></mujoco>"""
_ARM = """<mujoco><compiler angle="radian"/>
<option timestep="0.01" integrator="implicitfast"/>
<default><geom contype="0" conaffinity="0"/><joint damping="1" armature="0.05"/></default>
<worldbody><body name="one"><joint name="j1" axis="0 0 1"/>
<geom type="capsule" fromto="0 0 0 .4 0 0" size=".03" mass="1"/>
<body name="two" pos=".4 0 0"><joint name="j2" axis="0 0 1" range="-2.6 2.6" limited="true"/>
<geom type="capsule" fromto="0 0 0 .4 0 0" size=".03" mass="1"/>
<body name="three" pos=".4 0 0"><joint name="j3" axis="0 0 1" range="-2.6 2.6" limited="true"/>
<geom type="capsule" fromto="0 0 0 .3 0 0" size=".03" mass=".7"/><site name="hand" pos=".3 0 0"/>
</body></body></body></worldbody>
<actuator><motor name="j1" joint="j1" gear="8" ctrlrange="-1 1" ctrllimited="true"/>
<motor name="j2" joint="j2" gear="6" ctrlrange="-1 1" ctrllimited="true"/>
<motor name="j3" joint="j3" gear="3" ctrlrange="-1 1" ctrllimited="true"/></actuator>
<keyframe><key name="home" qpos="-0.9 0 0"/></keyframe></mujoco>"""


@dataclass(frozen=True)
class SmallTask:
    """A model, what is asked of it, and for how long.

    Attributes:
        mjcf: Model.
        task: YAML of the task.
        tick_s: Time of one action.
        seconds: Length of a run.
        start: Deviations of the positions with which a run begins.
        search: Horizon, knots and noise that all methods share.
    """

    mjcf: str
    task: str
    tick_s: float
    seconds: float
    start: float
    search: dict[str, Any] = field(default_factory=dict)


TASKS = {
    "cart-pole swing-up": SmallTask(
        _CART_POLE,
        "terms: {pole: {weight: 1, term: joint, joint: hinge, turns: true}, "
        "cart: {weight: 0.1, term: joint, joint: slider}, "
        "calm: {weight: 0.002, term: joint_velocity, joint: hinge}, control: 0.01}",
        0.02,
        4.0,
        0.1,
        {"horizon": 40, "knots": 6, "sigma": 0.5},
    ),
    "acrobot swing-up": SmallTask(
        _ACROBOT,
        "terms: {upper: {weight: 1, term: joint, joint: shoulder, turns: true}, "
        "tip: {weight: 0.5, term: reach, site: tip, place: [0, 0, 4]}, "
        "elbow: {weight: 0.02, term: joint_velocity, joint: elbow}}",
        0.02,
        5.0,
        0.1,
        {"horizon": 60, "knots": 8, "sigma": 0.7},
    ),
    "hopper": SmallTask(
        _HOPPER,
        "terms: {speed: {weight: 1, term: joint_velocity, joint: forward, target: 1.0}, "
        "height: {weight: 10, term: joint, joint: height}, "
        "upright: {weight: 3, term: joint, joint: pitch}, control: 0.02}",
        0.02,
        4.0,
        0.03,
        {"horizon": 25, "knots": 6, "sigma": 0.4},
    ),
    "arm around a box": SmallTask(
        _ARM,
        "terms: {hand: {weight: 1, term: reach, site: hand, place: [0.55, 0.7, 0]}, "
        "box: {weight: 10, term: keep_out, sites: [hand], low: [0.8, -0.2, -1], "
        "high: [1.3, 0.15, 1], margin_m: 0.03}, control: 0.01}",
        0.02,
        3.0,
        0.05,
        {"horizon": 30, "knots": 6, "sigma": 1.0},
    ),
}


def small_planner(task: SmallTask, method: str, changes: dict[str, Any]) -> Planner:
    """Return a planner of a small task that knows the true state."""
    model = model_from(task.mjcf)
    joints = [model.joint(index).name for index in range(model.njnt)]
    drives = tuple(model.actuator(index).name for index in range(model.nu))
    rate_hz = 1 / task.tick_s
    streams = tuple(
        StreamSpec(name, "vector", (len(joints),), rate_hz, tuple(joints), ("1",) * len(joints))
        for name in ("positions", "velocities")
    )
    source = StateSource(
        joint_positions=tuple(f"positions/{name}" for name in joints),
        joint_velocities=tuple(f"velocities/{name}" for name in joints),
    )
    search: SearchSettings = preset(method, {**task.search, **changes})
    config = PlannerConfig(search, "", "", source, scale=0.0)
    spec = ActionSpec(drives, ("1",) * len(drives), task.tick_s)
    return Planner(config, model, task_from(task.task), spec, streams)


def cost_of_run(planner: Planner, task: SmallTask, seed: int) -> float:
    """Return the mean cost of a tick of a run, less the reward, with the weights of the task."""
    plant = Rollouts([SolverSettings().applied(planner.model)], task.tick_s)
    random = np.random.default_rng([seed, 1])
    away = task.start * random.standard_normal(planner.model.nq)
    ticks = round(task.seconds / task.tick_s)
    run = rehearsed(planner, plant, ticks, seed, {}, planner.rest.qpos + away)
    qpos, qvel, commands = [], [], []
    for each in run:
        qpos.append(each.qpos)
        qvel.append(each.qvel)
        commands.append(each.searched.plan.chunk.actions[0])
    moved = (np.array(each)[None] for each in (qpos, qvel, commands))
    return -float(planner.reward_of(*moved).mean())
