"""A cart with a pole and a body with two legs, and planners of them that take milliseconds."""

from dataclasses import replace

from ddpm_controller.planners.config import PlannerConfig, StateSource, preset
from ddpm_controller.planners.planner import Planner
from ddpm_controller.planners.saved import PlannerFiles, model_from, unsaved_planner
from ddpm_controller.types import ActionSpec, StreamSpec

CART_POLE = """<mujoco><option timestep="0.02"/>
<worldbody><body name="cart"><joint name="slider" type="slide" axis="1 0 0" damping="0.1"/>
<geom type="box" size="0.2 0.1 0.1" mass="1" contype="0" conaffinity="0"/>
<body name="pole"><joint name="hinge" axis="0 1 0" damping="0.01"/>
<geom type="capsule" fromto="0 0 0 0 0 1" size="0.04" mass="0.1" contype="0" conaffinity="0"/>
<site name="tip" pos="0 0 1"/></body></body></worldbody>
<actuator><motor name="push" joint="slider" gear="10" ctrlrange="-1 1" ctrllimited="true"/>
</actuator><keyframe><key name="home" qpos="0 3.14159265"/></keyframe></mujoco>"""
LEGGED = """<mujoco><compiler angle="radian"/><option timestep="0.01"/>
<worldbody><geom name="floor" type="plane" size="0 0 .1"/>
<body name="trunk" pos="0 0 .6"><freejoint/><geom type="box" size=".2 .1 .05" mass="5"/>
<body name="right" pos=".1 -.1 0" quat=".92388 .38268 0 0">
<joint name="right_hip" axis="0 1 0" pos="0 .01 0" range="-1 1"/>
<geom type="capsule" fromto="0 0 0 0 0 -.3" size=".02" mass="1"/>
<body name="right_shank" pos="0 0 -.3"><joint name="right_knee" axis=".6 .8 0" range="-2 2"/>
<geom type="capsule" fromto="0 0 0 0 0 -.3" size=".02" mass=".5"/>
<site name="R" pos=".02 0 -.3"/></body></body>
<body name="left" pos=".1 .1 0">
<joint name="left_hip" axis="0 1 0" range="-1 1"/>
<geom type="capsule" fromto="0 0 0 0 0 -.3" size=".02" mass="1"/>
<body name="left_shank" pos="0 0 -.3"><joint name="left_knee" axis="0 1 0" range="-2 2"/>
<geom type="capsule" fromto="0 0 0 0 0 -.3" size=".02" mass=".5"/>
<site name="L" pos=".02 0 -.3"/></body></body></body></worldbody>
<actuator><position name="rh" joint="right_hip" kp="40" forcerange="-5 5"/>
<position name="rk" joint="right_knee" kp="40"/>
<position name="lh" joint="left_hip" kp="40"/><position name="lk" joint="left_knee" kp="40"/>
</actuator><keyframe><key name="home" qpos="0 0 .62 1 0 0 0 .1 -.2 .1 -.2" ctrl=".1 -.2 .1 -.2"/>
</keyframe></mujoco>"""
UPRIGHT = "terms: {pole: {weight: 1, term: joint, joint: hinge, turns: true}, control: 0.01}"
SPEC = ActionSpec(("push",), ("1",), 0.02)
STREAMS = (
    StreamSpec("places", "vector", (2,), 50.0, ("slider", "hinge"), ("m", "rad")),
    StreamSpec("speeds", "vector", (2,), 50.0, ("slider", "hinge"), ("m/s", "rad/s")),
    StreamSpec("unused", "vector", (1,), 50.0, ("nothing",), ("1",)),
)
SOURCE = StateSource(
    joint_positions=("places/slider", "places/hinge"),
    joint_velocities=("speeds/slider", "speeds/hinge"),
)
FILES = PlannerFiles(CART_POLE, UPRIGHT)


def cart_pole_config(method="mppi", **changes):
    search = preset(method, {"horizon": 12, "rollouts": 8, "iterations": 2, **changes})
    return PlannerConfig(search, "", "", SOURCE, scale=0.0)


def cart_pole_planner(method="mppi", nominal=None, config=None, **changes) -> Planner:
    config = config or cart_pole_config(method, **changes)
    config = replace(config, has_nominal=nominal is not None)
    return unsaved_planner(FILES, config, SPEC, STREAMS, nominal)


def legged_model():
    return model_from(LEGGED)
