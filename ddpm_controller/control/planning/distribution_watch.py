"""Whether the policy still knows what it sees, plan by plan."""

import math

from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import Plan

SCORE, LIMIT = "out_of_distribution", "out_of_distribution_limit"
"""In ``Plan.traces``; a policy without such a measure leaves them out."""


class DistributionWatch:
    """Counts plans in a row whose score is above the policy's own limit.

    Args:
        num_plans: After so many in a row the robot is stopped; 0: never.

    Attributes:
        score: Score of the last plan; NaN: not measured.
        limit: Limit of the last plan; NaN: not measured.
    """

    def __init__(self, num_plans: int = 0) -> None:
        self._num_plans = num_plans
        self.begin()

    def begin(self) -> None:
        """Forget what was before."""
        self.score = self.limit = math.nan
        self._above = 0

    def note(self, plan: Plan) -> None:
        """Look at a plan that was accepted."""
        self.score = float(plan.traces.get(SCORE, math.nan))
        self.limit = float(plan.traces.get(LIMIT, math.nan))
        self._above = self._above + 1 if self.score > self.limit else 0

    def problem(self) -> Verdict | None:
        """Return why the robot must stop, or None; a good plan lets it resume."""
        if self._num_plans == 0 or self._above < self._num_plans:
            return None
        text = (
            f"{self._above} plans in a row were made for something unlike the training data: "
            f"distance {self.score:.2f}, limit {self.limit:.2f}; look at the cameras, the light "
            "and the scene, or set monitor.stop_out_of_distribution to false"
        )
        return Verdict(State.HOLDING, Reason.OUT_OF_DISTRIBUTION, text)
