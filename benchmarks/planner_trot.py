"""A planner of the Unitree Go1 in closed loop with the robot's own model: falls and tracking.

Used by planners.py. The plant has the steps and the solver of its file, the planner coarser ones.
A plan is made at every tick and takes over after a latency; until then the one before is followed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from ddpm_controller.given_files import file_text
from ddpm_controller.planners.planner import Planner
from ddpm_controller.planners.saved import PlannerFiles, model_from, planner_files, unsaved_planner
from ddpm_controller.planners.settings_file import planner_config_of
from ddpm_controller.policy import EXPECTED_DELAY, Policy
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.types import Memory, Observation, Plan

MODEL = Path(__file__).parents[1] / "ddpm_controller/simulation/legged/go1/go1_feet_only.xml"
TICK_S = 0.02
FALLEN_M, FALLEN_UPRIGHT = 0.15, 0.5
"""A fall is a height below the one, or a cosine of the tilt below the other."""
_PERIOD_TICKS = 25
"""Ticks of a period of the trot, over which velocities are averaged."""
Command = Callable[[float], tuple[float, float, float]]
"""Time -> velocity forward and to the left, m/s, and rate of turn, rad/s."""


def trotting(now_s: float) -> tuple[float, float, float]:
    """Return 0.8 m/s forward."""
    return 0.8, 0.0, 0.0


@dataclass(frozen=True)
class Trial:
    """How a robot is moved.

    Attributes:
        seconds: Length.
        latency_ticks: Ticks until a plan takes over.
        foreseen: Whether plans begin with the state predicted for that moment.
        every_ticks: Ticks from one plan to the next.
        extra_kg: Mass of the trunk that the planner does not know.
        push_m_s: Change of velocity in a random direction, every 2 s.
        command: Velocities asked for.
    """

    seconds: float = 10.0
    latency_ticks: int = 1
    foreseen: bool = True
    every_ticks: int = 1
    extra_kg: float = 0.0
    push_m_s: float = 0.0
    command: Command = trotting


@dataclass
class Walked:
    """What became of a trial.

    Attributes:
        fell_s: Moment of a fall; None: none.
        error_m_s: Mean distance of the velocity, averaged over a period, from the one asked for,
            after the first 2 s.
        plan_s: Processor time of a plan, mean.
        rows: (N, 12): time, height, velocity forward and to the left, rate of turn, four feet,
            three commands.
        actions: (N, 12), commanded.
        states: (N, 37), qpos and qvel.
    """

    fell_s: float | None = None
    error_m_s: float = float("nan")
    plan_s: float = float("nan")
    rows: Any = field(default_factory=list)
    actions: Any = field(default_factory=list)
    states: Any = field(default_factory=list)


def go1_files(task: str = "go1_trot") -> PlannerFiles:
    """Return the files of a Go1 planner."""
    return planner_files(MODEL, share_path(f"config/planning/{task}.yaml"))


def go1_planner(
    changes: Mapping[str, Any],
    method: str = "",
    files: PlannerFiles | None = None,
    nominal: Policy | None = None,
    weights: Mapping[str, float] | None = None,
    **fields: Any,
) -> Planner:
    """Return a planner of the Go1 with some settings of its search changed."""
    robot, files = load_robot(share_path("config/robots/go1.yaml")), files or go1_files()
    settings = file_text(share_path("config/planning/go1.yaml"))
    model = model_from(files.model)
    config = planner_config_of(settings, model, robot.stream_specs, changes, method)
    config = replace(config, **fields)
    planner = unsaved_planner(files, config, robot.action_spec, robot.stream_specs, nominal)
    if not weights:
        return planner
    task = planner.task.weighted(weights)
    return Planner(config, model, task, robot.action_spec, robot.stream_specs, nominal=nominal)


def walked(planner: Planner, trial: Trial, seed: int) -> Walked:
    """Return what becomes of a trial."""
    plant = model_from(MODEL.read_text())
    plant.body_mass[1] += trial.extra_kg
    state, random = mujoco.MjData(plant), np.random.default_rng([seed, 7])
    _begin(plant, state, random)
    found, memory = Walked(), planner.initial_memory(seed)
    waiting: list[tuple[int, Plan]] = []
    chunk, spent_s, plans = None, 0.0, 0
    for tick in range(round(trial.seconds / TICK_S)):
        now_s = tick * TICK_S
        if trial.push_m_s and tick and tick % 100 == 0:
            angle = random.uniform(0, 2 * np.pi)
            state.qvel[:2] += trial.push_m_s * np.array([np.cos(angle), np.sin(angle)])
        asked = trial.command(now_s)
        if tick % trial.every_ticks == 0:
            begin = time.thread_time()
            plan = planner.plan([_seen(planner, state, now_s, asked)], _delayed(memory, trial))
            spent_s, plans = spent_s + time.thread_time() - begin, plans + 1
            memory = plan.memory
            waiting.append((tick + trial.latency_ticks, plan))
        while waiting and waiting[0][0] <= tick:
            chunk = waiting.pop(0)[1].chunk
        if chunk is not None:
            state.ctrl[:] = planner.commands_of(chunk.at(np.array([now_s])))[0]
        found.rows.append(_row(state, now_s, asked))
        found.actions.append(state.ctrl.copy())
        found.states.append(np.concatenate([state.qpos, state.qvel]))
        for _ in range(round(TICK_S / plant.opt.timestep)):
            mujoco.mj_step(plant, state)
        if state.qpos[2] < FALLEN_M or _rotation(state)[2, 2] < FALLEN_UPRIGHT:
            found.fell_s = now_s
            break
    return _finished(found, spent_s / max(plans, 1))


def _finished(found: Walked, plan_s: float) -> Walked:
    found.rows, found.plan_s = np.array(found.rows), plan_s
    found.actions, found.states = np.array(found.actions), np.array(found.states)
    later = found.rows[100:]
    if found.fell_s is None and len(later) >= _PERIOD_TICKS:
        even = np.ones(_PERIOD_TICKS) / _PERIOD_TICKS
        away = later[:, 2:4] - later[:, 9:11]
        means = [np.convolve(column, even, "valid") for column in away.T]
        found.error_m_s = float(np.hypot(*means).mean())
    return found


def _begin(plant: mujoco.MjModel, state: mujoco.MjData, random: np.random.Generator) -> None:
    home = plant.key("home")
    state.qpos[:], state.ctrl[:] = home.qpos, home.ctrl
    state.qpos[7:] += 0.05 * random.standard_normal(12)
    state.qvel[:] = 0.1 * random.standard_normal(18)
    mujoco.mj_forward(plant, state)


def _delayed(memory: Memory, trial: Trial) -> Memory:
    ticks = trial.latency_ticks if trial.foreseen else 0
    return {**memory, EXPECTED_DELAY: np.array(ticks * TICK_S)}


def _seen(
    planner: Planner, state: mujoco.MjData, now_s: float, asked: tuple[float, float, float]
) -> Observation:
    shown = planner.observation_of(state.qpos, state.qvel, now_s)
    return Observation(now_s, {**shown.values, "cmd_vel": np.array(asked)})


def _rotation(state: mujoco.MjData) -> np.ndarray:
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, state.qpos[3:7])
    return flat.reshape(3, 3)


def _row(state: mujoco.MjData, now_s: float, asked: tuple[float, float, float]) -> np.ndarray:
    forward, left, _ = _rotation(state).T @ state.qvel[:3]
    feet = [state.site(name).xpos[2] for name in ("FR", "FL", "RR", "RL")]
    moving = [forward, left, state.qvel[5]]
    return np.array([now_s, state.qpos[2], *moving, *feet, *asked])
