"""A two-joint robot, its loop, and a policy whose plans come as late as a test wants."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ddpm_controller.control.command import Command
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings, PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.plan_request import PlanRequest
from ddpm_controller.control.planning.start_gate import StartGate
from ddpm_controller.control.states import State
from ddpm_controller.types import ActionChunk, ActionSpec, Plan, StreamSpec

RUNNING, HOLDING, WAITING = State.RUNNING, State.HOLDING, State.WAITING
JOINTS = ("shoulder", "elbow")
SPEC = ActionSpec(JOINTS, ("rad", "rad"), 0.1)
STATE = StreamSpec("joint_state", "vector", (2,), 50.0, ("elbow", "shoulder"), ("rad", "rad"))
CAMERA = StreamSpec("camera", "image", (4, 6, 3), 25.0)
STREAMS = (STATE, CAMERA)
MAX_AGES_S = {"joint_state": 0.3, "camera": 0.5}
LIMITS = JointLimits(np.array([-1.0, -2.0]), np.array([1.0, 2.0]), np.array([1.5, 3.0]))
TICK_S = 0.02
IMAGE = np.zeros((4, 6, 3), np.uint8)
MEMORY = {"seed": np.array(0), "plan_number": np.array(0)}


def new_loop(*, gate=None, departure=None, n_obs_steps=2, **changes: object) -> ControlLoop:
    """A started loop at 50 Hz that replans every 0.4 s."""
    steps = 10 if "min_inference_steps" in changes else 0
    policy = PolicyTerms(n_obs_steps, steps, gate or StartGate(), departure)
    settings = LoopSettings(STREAMS, MAX_AGES_S, SPEC, TICK_S, 0.4, policy, LIMITS)
    loop = ControlLoop(replace(settings, **changes))
    loop.start(MEMORY)
    return loop


def see(loop: ControlLoop, stamp_s: float, shoulder: float = 0.0, elbow: float = 0.0) -> None:
    """Let every stream deliver at ``stamp_s``."""
    loop.observe("joint_state", stamp_s, np.array([elbow, shoulder]))
    loop.observe("camera", stamp_s, IMAGE)


def plan_of(rows: np.ndarray, request: PlanRequest) -> Plan:
    """A plan with the given rows from the moment of its request on."""
    return Plan(ActionChunk(request.requested_s, SPEC.period_s, JOINTS, rows), request.memory)


def waves(request: PlanRequest, num_rows: int = 8) -> Plan:
    """A plan that follows two slow waves, with a phase that differs from plan to plan."""
    stamps_s = request.requested_s + SPEC.period_s * np.arange(num_rows)
    seed = int(request.memory["seed"]) + request.plan_number
    phase = np.random.default_rng(seed).normal(0, 0.2)
    rows = np.stack([0.8 * np.sin(stamps_s + phase), 1.5 * np.cos(1.3 * stamps_s)], axis=1)
    return plan_of(rows, request)


def ticks(start_s: float, num_ticks: int) -> Iterator[float]:
    """Moments of ticks."""
    return (start_s + k * TICK_S for k in range(num_ticks))


def drive(
    loop: ControlLoop,
    num_ticks: int,
    delay_ticks: Callable[[int], int],
    make_plan: Callable[[PlanRequest], Plan] = waves,
    start_s: float = 1.0,
    begin: tuple[float, float] = (0.0, 0.0),
) -> list[Command]:
    """Drive a loop in the order of real time; plan n comes ``delay_ticks(n)`` ticks late.

    The robot is at ``begin`` first and then wherever it is commanded.
    """
    commands = []
    coming: tuple[int, Plan, PlanRequest] | None = None
    last = np.array(begin)
    for k, now_s in enumerate(ticks(start_s, num_ticks)):
        see(loop, now_s, *last)
        if coming is not None and k >= coming[0]:
            loop.accept(*coming[1:])
            coming = None
        command = loop.tick(now_s)
        commands.append(command)
        last = last if command.position is None else command.position
        request = loop.plan_request(now_s)
        if request is not None:
            coming = (k + delay_ticks(request.plan_number), make_plan(request), request)
    return commands


def positions(commands: list[Command]) -> np.ndarray:
    """(N, 2) of the commands that were sent."""
    return np.array([each.position for each in commands if each.position is not None])


def steps_within_limits(commands: list[Command]) -> bool:
    """Whether no step is larger than the velocity limit allows in one period."""
    # Sums of doubles near 1 are off by 1e-16; a thousandth of a percent is far above that.
    reach = LIMITS.velocity * TICK_S * (1 + 1e-9)
    return bool((np.abs(np.diff(positions(commands), axis=0)) <= reach).all())


def never(_: int) -> int:
    """The delay of a plan that never comes."""
    return 10**9


NAN = math.nan


def outcome(command):
    return command.state, command.reason


def running_loop(start_s=1.0, num_ticks=20, **changes):
    """A loop that has followed waves from ``start_s`` on, and the time of its next tick."""
    loop = new_loop(**changes)
    commands = drive(loop, num_ticks, lambda n: 0, start_s=start_s)
    assert commands[-1].state == RUNNING
    return loop, commands, start_s + num_ticks * TICK_S
