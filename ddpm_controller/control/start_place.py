"""Whether the robot is where it may begin at all: measured, inside its limits and its box."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ddpm_controller.control.moving.cartesian_box import BoxGuard
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.observation_watch import ObservationWatch
from ddpm_controller.control.states import Reason, State, Verdict

_MARGIN_S = 0.05
"""A robot may be measured this far outside its limits, as time at the velocity limit, s."""


def place_problem(
    watch: ObservationWatch,
    limits: JointLimits,
    joint_names: Sequence[str],
    guard: BoxGuard | None,
    now_s: float,
) -> Verdict | None:
    """Return why nothing may be sent from where the robot is, or None.

    Args:
        watch: Has what is measured.
        limits: Of the joints of the action.
        joint_names: Of the action.
        guard: Of the end effector's box, where there is one.
        now_s: The moment.
    """
    problem = watch.problem(now_s, only=watch.measured_stream)
    if problem is not None:
        return replace(problem, state=State.WAITING)
    measured = watch.measured(now_s)
    if measured is None:
        text = f"{watch.measured_stream} is ahead of the clock"
        return Verdict(State.WAITING, Reason.NO_OBSERVATION, text)
    margin = limits.velocity * _MARGIN_S
    inside = np.clip(measured, limits.lower, limits.upper)
    if (np.abs(inside - measured) > margin).any():
        text = limits.violations(measured, joint_names)
        text = f"measured {text}: move the robot inside its limits first"
        return Verdict(State.WAITING, Reason.LIMIT_POSITION, text)
    outside = guard.start_problem(measured) if guard else ""
    return Verdict(State.WAITING, Reason.LIMIT_BOX, outside) if outside else None
