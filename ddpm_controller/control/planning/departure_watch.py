"""Whether the joints are where the plan in force expects them; else its memory is not used.

The robot was pushed, or something holds it: the state that a policy carries from plan to plan
describes a course that it does not take any more.
"""

import math

import numpy as np

from ddpm_controller.control.moving.receding_horizon import LONGEST_FADE
from ddpm_controller.control.plan_request import Takeover
from ddpm_controller.policy import DepartureLimit, deviation
from ddpm_controller.types import ActionSpec


class DepartureWatch:
    """Compares measured joints with the chunk in force when a plan is asked for.

    While one chunk fades into another the joints are expected between the two.

    Args:
        action_spec: The joints.
        fade_s: Time in which the difference between two chunks fades; it may take twice as long.
        limit: Limit of the policy that plans first.
        committed_s: Time behind a takeover from which on a chunk is followed.

    Attributes:
        limit: Limit of the policy that plans; None: nothing is compared.
        departure: Last departure, in the units of the limit; NaN before the first comparison.
    """

    def __init__(
        self,
        action_spec: ActionSpec,
        fade_s: float,
        limit: DepartureLimit | None = None,
        *,
        committed_s: float = 0.0,
    ) -> None:
        self._spec, self._fades_s = action_spec, LONGEST_FADE * fade_s + committed_s
        self.limit = limit
        self.departure = math.nan

    def begin(self) -> None:
        """Forget what was before."""
        self.departure = math.nan

    def problem(
        self, takeover: Takeover | None, measured: np.ndarray, stamps_s: np.ndarray
    ) -> str:
        """Return what makes ``measured`` (Da,) at ``stamps_s`` a departure, or an empty text.

        Each joint is compared with the plan of its own moment, (Da,) or one for all.
        """
        self.departure = math.nan
        if self.limit is None or takeover is None or takeover.is_approach:
            return ""
        chunk = takeover.plan.chunk
        stamps_s = np.broadcast_to(stamps_s, measured.shape)
        if stamps_s.max() > chunk.end_s:  # it comes to rest somewhere behind
            return ""
        expected = followed = np.diagonal(chunk.at(stamps_s))
        if stamps_s.min() < takeover.taken_s + self._fades_s:
            if takeover.before is None:  # it comes from rest, wherever that was
                return ""
            followed = np.diagonal(takeover.before.at(stamps_s))
        # A velocity leads a joint to no place that it could depart from.
        measured = np.where(self._spec.are_velocities, expected, measured)
        self.departure = deviation(measured, expected, followed, self.limit.scale)
        if self.departure <= self.limit.limit:
            return ""
        joint = int(np.argmax(np.abs(measured - expected) / self.limit.scale))
        return (
            f"{self._spec.joint_names[joint]} is at {measured[joint]:.3f} "
            f"{self._spec.units[joint]} where plan {takeover.request.plan_number} has "
            f"{expected[joint]:.3f}: {self.departure:.1f} usual departures, "
            f"limit {self.limit.limit:.1f}"
        )
