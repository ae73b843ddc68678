"""A box in space that the end effector does not leave.

As for the joint limits, what is sent keeps a way to rest: a command is sent only if the end
effector stays in the box on it *and* on the fastest stop after it; where it would not, the next
step of the stop from the command before is sent, which has been looked at then. By induction the
end effector never leaves. Where it is, a callable returns, so that nothing here knows a robot.
"""

import math
from collections.abc import Callable

import numpy as np

from ddpm_controller.control.moving.boxed_arm import CartesianBox
from ddpm_controller.control.moving.braking import Braking, after
from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.control.moving.governor import SHARE, Governor, Limited
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds
from ddpm_controller.types import ActionChunk

Positions = Callable[[np.ndarray], np.ndarray]
"""Joint positions (N, Da) -> where the end effector is, (N, 3), m."""

_PARTS = 4
"""Points of a chunk that are looked at for each row."""
_MOMENTS = 16
"""Moments of a stop that are looked at; between two of them it leaves by a^2 dt^2 / 8 at most,
which is a fraction of a millimetre for any stop of an arm."""


class BoxGuard:
    """Looks at starts, chunks and commands; each answer is a text, empty when all is inside.

    Args:
        box: In the frame of ``positions``.
        positions: Forward kinematics of the end effector.
        limits: Limits of the joints; a stop uses their acceleration and jerk.
    """

    def __init__(self, box: CartesianBox, positions: Positions, limits: JointLimits) -> None:
        self._box, self._positions = box, positions
        used = limits.scaled(SHARE)
        self._acceleration, self._jerk = used.acceleration, used.jerk

    def start_problem(self, position: np.ndarray) -> str:
        """Say whether a robot at joint positions (Da,) is outside."""
        text = self._box.problem(self._positions(position[None]))
        return text and f"end effector at {text}: move the robot into its box first"

    def chunk_problem(self, chunk: ActionChunk, now_s: float) -> str:
        """Say whether the rest of ``chunk`` leads outside, also between its rows."""
        last = len(chunk.actions) - 1
        first = min(max((now_s - chunk.start_s) / chunk.period_s, 0.0), last)
        parts = np.arange(math.ceil(_PARTS * first), _PARTS * last + 1) / _PARTS
        places = np.append(first, parts)
        before = places.astype(int)
        share = (places - before)[:, None]
        rows = chunk.actions
        path = (1 - share) * rows[before] + share * rows[np.minimum(before + 1, last)]
        text = self._box.problem(self._positions(path))
        return text and f"the chunk leads the end effector to {text}"

    def command_problem(self, motion: Motion) -> str:
        """Say whether ``motion``, or the fastest stop after it, is outside."""
        text = self._box.problem(self._positions(self._stop_path(motion)))
        return text and f"the end effector could not be stopped before {text}"

    def stopped(self, motion: Motion, passed_s: float) -> Motion:
        """Return the motion ``passed_s`` later on the fastest stop."""
        return Braking.of(motion, self._acceleration, self._jerk).at(passed_s)

    def _stop_path(self, motion: Motion) -> np.ndarray:
        """Joint positions (_MOMENTS, Da) from ``motion`` to rest."""
        braking = Braking.of(motion, self._acceleration, self._jerk)
        moments_s = np.linspace(0.0, braking.duration.max(), _MOMENTS)[:, None]
        left = np.repeat(moments_s, len(motion.position), axis=1)
        for duration, jerk in zip(braking.times, braking.jerks, strict=True):
            motion = after(motion, jerk, np.minimum(left, duration))
            left = np.maximum(left - duration, 0.0)
        return motion.position


def box_guard(limits: JointLimits) -> BoxGuard | None:
    """Return what looks at starts, chunks and commands; None for an arm without a box.

    Raises:
        ValueError: The robot description has no such link, or is none.
    """
    arm = limits.arm
    if arm is None:
        return None
    chain = LinkChain(arm.urdf, arm.joint_names, arm.link)
    return BoxGuard(arm.box, chain.positions, limits)


def governor_of(limits: JointLimits, period_s: float) -> "Governor | BoxedGovernor":
    """Return the governor for these limits, which keeps the arm in its box where it has one."""
    governor = Governor(limits, period_s)
    guard = box_guard(limits)
    return governor if guard is None else BoxedGovernor(governor, guard)


class BoxedGovernor:
    """A governor whose commands also keep the end effector in its box.

    Stands in the place of the governor; ``box`` is then the first of the reasons.

    Args:
        governor: For the limits of the joints.
        guard: For the box.
    """

    def __init__(self, governor: Governor, guard: BoxGuard) -> None:
        self._governor, self._guard = governor, guard

    def step(
        self, last: Motion, wish: Motion, elapsed_s: float, bounds: Bounds | None = None
    ) -> Limited:
        """Return what to send next; see ``Governor.step``.

        ``last`` was returned by this function, or is a rest inside the limits and the box. The box
        is stricter than ``bounds``: the stop that it asks for was inside both, unless these have
        moved.
        """
        found = self._governor.step(last, wish, elapsed_s, bounds)
        if not self._guard.command_problem(found.motion):
            return found
        braked = self._guard.stopped(last, found.step_s)
        found = self._governor.step(last, braked, elapsed_s)
        return Limited(found.motion, ("box", *found.reasons), found.step_s)
