"""How many denoising steps a plan may take so that it is there in time, from what plans have cost.

A plan costs fixed + steps * per_step. Times come in as arguments: nothing here reads a clock.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

NUM_KEPT = 20
_LEVEL = 0.8
"""Share of the last plans that were no slower than what is called usual."""
_FEWEST = 6
"""Of fewer plans the median is taken: the first one is often slow."""
_NUM_NEWEST = 3
"""Most of these being slow, the machine has become slow: the older ones count no more."""


def usual(times_s: Iterable[float]) -> float:
    """Return what most times, oldest first, and most of the newest have not exceeded."""
    times = np.array(list(times_s), dtype=np.float64)
    level = _LEVEL if len(times) >= _FEWEST else 0.5
    return float(max(np.quantile(times, level), np.median(times[-_NUM_NEWEST:])))


class UsualDelay:
    """How long it takes until a plan is followed, from the time it is asked for."""

    def __init__(self) -> None:
        self._delays_s: deque[float] = deque(maxlen=NUM_KEPT)

    def add(self, delay_s: float) -> None:
        """Take the delay of one plan that is followed, s."""
        self._delays_s.append(max(delay_s, 0.0))

    def restart(self) -> None:
        """Forget all: another policy plans."""
        self._delays_s.clear()

    @property
    def expected_s(self) -> float:
        """What the next plan is expected to take; 0 before the first one."""
        return usual(self._delays_s) if self._delays_s else 0.0


@dataclass(frozen=True)
class PlanCost:
    """What a plan takes.

    Attributes:
        fixed_s: Whatever its steps.
        per_step_s: For each step.
    """

    fixed_s: float
    per_step_s: float

    def predicted_s(self, num_steps: int) -> float:
        """Return the time of a plan with so many steps."""
        return self.fixed_s + num_steps * self.per_step_s


class CostEstimate:
    """The cost of the last plans, robust against some that were disturbed.

    Args:
        num_warm_up: Plans of a new policy that do not count.
    """

    def __init__(self, num_warm_up: int = 1) -> None:
        self._num_warm_up = self._left = num_warm_up
        self._kept: deque[tuple[int, float]] = deque(maxlen=NUM_KEPT)

    def add(self, num_steps: int, time_s: float) -> None:
        """Take the time of one plan; what is not above 0 and finite does not count."""
        if self._left > 0:
            self._left -= 1
        elif num_steps > 0 and 0 < time_s < float("inf"):
            self._kept.append((num_steps, time_s))

    def restart(self, *, warm_up: bool) -> None:
        """Forget all plans; with ``warm_up`` the next ones do not count either."""
        self._kept.clear()
        self._left = self._num_warm_up if warm_up else 0

    @property
    def cost(self) -> PlanCost | None:
        """The cost; None before the first plan that counts.

        The slope is the median over all pairs of plans with different steps (Theil 1950, Sen
        1968). While all had the same number it cannot be separated from the fixed part: all of the
        time is taken for steps, so that fewer are tried before a robot is stopped.
        """
        if not self._kept:
            return None
        steps, times_s = np.array(self._kept, dtype=np.float64).T
        first, second = np.triu_indices(len(steps), k=1)
        differ = steps[first] != steps[second]
        if not differ.any():
            return PlanCost(0.0, usual(times_s) / float(steps[0]))
        first, second = first[differ], second[differ]
        slopes = (times_s[second] - times_s[first]) / (steps[second] - steps[first])
        per_step_s = max(float(np.median(slopes)), 0.0)
        return PlanCost(max(usual(times_s - per_step_s * steps), 0.0), per_step_s)


@dataclass(frozen=True)
class StepChoice:
    """What was chosen for a plan.

    Attributes:
        num_steps: None where not even the lowest number would be in time.
        text: Why not, with the figures.
    """

    num_steps: int | None
    text: str = ""


class Deadline:
    """Chooses the steps of the next plan between a lower bound of quality and the usual number.

    Args:
        lowest: Fewer steps are never taken.
        margin_s: A plan shall be there so much before its deadline.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, lowest: int, margin_s: float) -> None:
        if lowest < 1 or not 0 <= margin_s < float("inf"):
            raise ValueError(
                f"lowest must be at least 1 and margin_s not below 0, got {lowest} and {margin_s}"
            )
        self._lowest, self._margin_s = lowest, margin_s
        self._highest = 0
        self._estimate = CostEstimate()
        self._fixed_s = 0.0
        self._is_trial = False

    def use(self, highest: int) -> None:
        """Choose for another policy, which takes ``highest`` steps when there is time; 0: none."""
        self._highest = highest
        self._fixed_s = 0.0
        self._is_trial = False
        self._estimate.restart(warm_up=True)

    @property
    def cost(self) -> PlanCost | None:
        """What plans take, as far as is known."""
        return self._estimate.cost

    def note(self, num_steps: int, time_s: float, relative_cost: float = 1.0) -> None:
        """Take what a plan with so many steps has cost, s.

        Counted as one that continues from the plan before, whose steps cost 1 / ``relative_cost``
        as much; what does not depend on them, as far as it is known, costs the same.
        """
        fixed_s = min(self._fixed_s, time_s)
        self._estimate.add(num_steps, fixed_s + (time_s - fixed_s) / relative_cost)

    def choose(self, available_s: float | None) -> StepChoice:
        """Return the largest number of steps whose plan is there within ``available_s``.

        Args:
            available_s: Until the deadline; None where there is none.
        """
        cost = self._estimate.cost
        lowest = min(self._lowest, self._highest)
        if self._is_trial:
            return StepChoice(lowest)
        if cost is None or available_s is None:
            return StepChoice(self._highest)
        left_s = available_s - self._margin_s
        for num_steps in range(self._highest, lowest - 1, -1):
            if cost.predicted_s(num_steps) <= left_s:
                return StepChoice(num_steps)
        return StepChoice(None, self._too_slow(cost, lowest, available_s))

    def try_again(self) -> None:
        """Take the fewest steps for the next plan, whatever plans have cost, and measure that."""
        self._is_trial = True
        self._fixed_s = self.cost.fixed_s if self.cost is not None else self._fixed_s
        self._estimate.restart(warm_up=False)

    def trial_problem(self, available_s: float) -> str:
        """Return why plans would still be too slow, or an empty text; ends a trial."""
        self._is_trial = False
        return self.choose(available_s).text

    def _too_slow(self, cost: PlanCost, lowest: int, available_s: float) -> str:
        return (
            f"a plan of {lowest} denoising steps (policy.min_inference_steps) takes "
            f"{1e3 * cost.predicted_s(lowest):.0f} ms ({1e3 * cost.fixed_s:.0f} ms and "
            f"{1e3 * cost.per_step_s:.1f} ms per step), but there are {1e3 * available_s:.0f} ms "
            f"less {1e3 * self._margin_s:.0f} ms of margin: follow more rows "
            "(chunk.n_action_steps), plan more often (policy.replan_period_s), or free the machine"
        )
