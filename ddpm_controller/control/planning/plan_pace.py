"""When the next plan is due, and how many denoising steps it may take."""

import math

from ddpm_controller.control.planning.deadline import Deadline, PlanCost

LATEST_REPLAN = 0.65
"""Fraction of a chunk's length after which the next plan is asked for at the latest; the rest of
the rows bridges the time that the plan takes."""
_BRIDGED = 2.0
"""What is left of a chunk when the next plan is asked for, in times that plans take, as far as
the chunk is long enough and steps are not chosen."""
_RETRY_S = 1.0
"""A machine that was too slow is tried again after this time, s."""


class PlanPace:
    """Asks often enough that a chunk never ends before the next one, as far as the machine can.

    Args:
        replan_period_s: Time between two requests; less where chunks are short or plans slow.
        period_s: Time between ticks.
        deadline: Chooses the denoising steps of plans; None: as the policy does.

    Attributes:
        too_slow: Why no plan would be in time; empty while one would.
    """

    def __init__(
        self, replan_period_s: float, period_s: float, deadline: Deadline | None = None
    ) -> None:
        self._deployed_s = self._replan_period_s = replan_period_s
        # A plan is due at the tick nearest to its time.
        self._tolerance_s = period_s / 2
        self._deadline = deadline
        self._rows_last_s: float | None = None
        self._delay_s = 0.0
        self.begin()

    def begin(self) -> None:
        """Let a plan be due at once."""
        self._due_s = -math.inf
        self.too_slow = ""

    def ask_within(self, longest_s: float) -> None:
        """Ask a policy that is made for requests at most so far apart, s."""
        self._replan_period_s = min(self._deployed_s, longest_s)

    def use(self, num_inference_steps: int) -> None:
        """Choose for another policy, which takes so many steps when there is time."""
        if self._deadline is not None:
            self._deadline.use(num_inference_steps)

    def is_due(self, now_s: float) -> bool:
        """Return whether it is time to ask."""
        return now_s >= self._due_s - self._tolerance_s

    @property
    def chooses_steps(self) -> bool:
        """Whether steps are chosen here."""
        return self._deadline is not None

    def chosen_steps(self, now_s: float, ends_s: float | None) -> int | None:
        """Return how many steps the next plan takes; where none is in time, try again later.

        Args:
            now_s: When it is asked for.
            ends_s: End of the chunk in force; None where there is none.
        """
        assert self._deadline is not None
        available_s = None
        if ends_s is not None and now_s < ends_s:
            available_s = ends_s - now_s
        elif self._rows_last_s is not None:
            available_s = self._usual_s(self._rows_last_s)
        choice = self._deadline.choose(available_s)
        if choice.num_steps is None:
            self.too_slow = choice.text
            self._deadline.try_again()
            self._due_s = (now_s if ends_s is None else max(ends_s, now_s)) + _RETRY_S
        return choice.num_steps

    def asked(self, now_s: float) -> None:
        """Note that a plan has been asked for."""
        self._due_s = now_s + self._replan_period_s

    def came(self, requested_s: float, rows_last_s: float) -> str:
        """Note that a plan has come; return why it does not count, or an empty text.

        One that was a trial counts only when it has shown that plans are fast enough again.

        Args:
            requested_s: When it was asked for.
            rows_last_s: From its first row to its last.
        """
        self._rows_last_s = rows_last_s
        if self.too_slow and self._deadline is not None:
            self.too_slow = self._deadline.trial_problem(self._usual_s(rows_last_s))
            if self.too_slow:
                self._deadline.try_again()
                self._due_s = requested_s + _RETRY_S
                return self.too_slow
        self._due_s = min(self._due_s, requested_s + self._latest_s(rows_last_s))
        return ""

    def followed(self, requested_s: float, delay_s: float) -> None:
        """Note that the plan that came last is followed, and how late plans are by now."""
        self._delay_s = delay_s
        if self._rows_last_s is not None:
            self._due_s = min(self._due_s, requested_s + self._latest_s(self._rows_last_s))

    def note(self, num_steps: int, inference_time_s: float, relative_cost: float) -> None:
        """Note what a plan with so many steps has cost, before it comes."""
        if self._deadline is not None:
            self._deadline.note(num_steps, inference_time_s, relative_cost)

    @property
    def cost(self) -> PlanCost | None:
        """What plans take, where their steps are chosen and as far as is known."""
        return self._deadline.cost if self._deadline is not None else None

    def _usual_s(self, rows_last_s: float) -> float:
        """Return what is left of a chunk when the next plan is asked for."""
        return rows_last_s - min(self._replan_period_s, self._latest_s(rows_last_s))

    def _latest_s(self, rows_last_s: float) -> float:
        """Return how long after a plan was asked for the next one is asked for at the latest."""
        latest_s = LATEST_REPLAN * rows_last_s
        if self._deadline is not None:  # which sees to it that plans are there
            return latest_s
        return min(latest_s, max(rows_last_s - _BRIDGED * self._delay_s, 0.0))
