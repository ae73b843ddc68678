"""What one tick of the control loop gives."""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.plan_request import Takeover
from ddpm_controller.control.states import Reason, State


@dataclass(frozen=True)
class Command:
    """The result of one tick.

    Attributes:
        stamp_s: The tick.
        position: (Da,) to be sent, inside the limits; None when nothing may be sent.
        state: What the controller does.
        reason: Why, or which limit changed the command.
        text: The reason in words.
        takeover: The plan whose chunk is followed from this tick on, when it is a new one.
        velocity: (Da,) at ``position``; None with it.
        acceleration: (Da,) at ``position``; None with it.
        step_s: Time by which the motion went on since the command before; less than the time
            that passed when this tick is late.
        limited: Names of the limits that changed the command.
    """

    stamp_s: float
    position: np.ndarray | None
    state: State
    reason: Reason
    text: str
    takeover: Takeover | None = None
    velocity: np.ndarray | None = None
    acceleration: np.ndarray | None = None
    step_s: float = 0.0
    limited: tuple[str, ...] = ()
