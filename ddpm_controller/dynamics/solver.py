"""How a model is stepped in rollouts: its solver settings, which may be coarser than the plant's.

What they do to the order of rewards decides more than how close the states are: see
``dynamics/fidelity.py``.
"""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import mujoco  # when something is rolled out: a controller that plans nothing has none

Integrator = Literal["euler", "implicit", "implicitfast", "rk4"]
INTEGRATORS = {
    "euler": "mjINT_EULER",
    "implicit": "mjINT_IMPLICIT",
    "implicitfast": "mjINT_IMPLICITFAST",
    "rk4": "mjINT_RK4",
}
"""Integrators by name, as MuJoCo names them."""


@dataclass(frozen=True)
class SolverSettings:
    """What differs from the model's own options; 0 or "" leaves what the model has.

    Attributes:
        step_s: Time of one step of the physics; must divide the time of a tick.
        iterations: Most iterations of the constraint solver.
        line_search_iterations: Most iterations of its line search.
        integrator: One of ``INTEGRATORS``.
        euler_damping: Whether the Euler integrator treats damping of joints implicitly: "on",
            "off". Implicit damping acts otherwise in a coarse step than in a fine one.
    """

    step_s: float = 0.0
    iterations: int = 0
    line_search_iterations: int = 0
    integrator: Integrator | Literal[""] = ""
    euler_damping: Literal["", "on", "off"] = ""

    def __post_init__(self) -> None:
        for name in ("step_s", "iterations", "line_search_iterations"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must not be below 0, got {getattr(self, name)}")
        if self.integrator not in ("", *INTEGRATORS):
            raise ValueError(
                f"integrator must be one of {list(INTEGRATORS)}, got {self.integrator!r}"
            )
        if self.euler_damping not in ("", "on", "off"):
            raise ValueError(f"euler_damping must be on or off, got {self.euler_damping!r}")

    def applied(self, model: "mujoco.MjModel") -> "mujoco.MjModel":
        """Return a copy of a model with these settings, which is never reset by itself.

        MuJoCo puts a state that diverges back to where the model begins, and a rollout repeats
        that calm state to its end.
        """
        import mujoco

        found = copy.copy(model)
        options = found.opt
        options.timestep = self.step_s or options.timestep
        options.iterations = self.iterations or options.iterations
        options.ls_iterations = self.line_search_iterations or options.ls_iterations
        if self.integrator:
            options.integrator = getattr(mujoco.mjtIntegrator, INTEGRATORS[self.integrator])
        damping = int(mujoco.mjtDisableBit.mjDSBL_EULERDAMP)
        if self.euler_damping == "off":
            options.disableflags |= damping
        elif self.euler_damping == "on":
            options.disableflags &= ~damping
        options.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        return found


def steps_of_tick(model: "mujoco.MjModel", tick_s: float) -> int:
    """Return how many steps of a model's physics one tick has.

    Raises:
        ValueError: Its step does not divide the tick.
    """
    count = round(tick_s / model.opt.timestep)
    if count < 1 or abs(count * model.opt.timestep - tick_s) > 1e-9:
        raise ValueError(
            f"a physics step of {model.opt.timestep:g} s must divide the tick of {tick_s:g} s: "
            f"choose for example step_s {tick_s / max(count, 1):g}"
        )
    return count
