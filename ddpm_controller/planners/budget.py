"""How many rollouts and iterations fit into a time, from what plans have cost."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ddpm_controller.planners.config import FEWEST_ROLLOUTS, SearchSettings

_USEFUL_ROLLOUTS = 8
"""With fewer an iteration finds little; then iterations are given up."""
_SHARE = 0.9
"""Share of the time that is planned with: plans differ."""


@dataclass(frozen=True)
class RolloutCost:
    """What plans cost: fixed_s + rollouts * iterations * rollout_s.

    Attributes:
        fixed_s: Time of a plan without rollouts.
        rollout_s: Time of one rollout over the horizon, with its reward.
    """

    fixed_s: float
    rollout_s: float

    def plan_s(self, settings: SearchSettings) -> float:
        """Return the time of a plan."""
        return self.fixed_s + settings.rollouts * settings.iterations * self.rollout_s

    def fitted(self, settings: SearchSettings, deadline_s: float) -> SearchSettings:
        """Return the settings with as many rollouts and iterations as fit, and no more.

        Raises:
            ValueError: Not even the fewest do; with both times.
        """
        left_s = _SHARE * deadline_s - self.fixed_s
        most = int(left_s / self.rollout_s) if left_s > 0 else 0
        for iterations in range(settings.iterations, 0, -1):
            rollouts = most // iterations
            if rollouts >= (_USEFUL_ROLLOUTS if iterations > 1 else FEWEST_ROLLOUTS):
                return replace(settings, rollouts=rollouts, iterations=iterations)
        fewest = replace(settings, rollouts=FEWEST_ROLLOUTS, iterations=1)
        raise ValueError(
            f"a plan of {FEWEST_ROLLOUTS} rollouts, the fewest, takes "
            f"{1e3 * self.plan_s(fewest):.3g} ms, more than {100 * _SHARE:.0f} % of the deadline "
            f"of {1e3 * deadline_s:.3g} ms: give more time, a shorter horizon or coarser rollouts"
        )


def measured_cost(
    plan: Callable[[SearchSettings], Callable[[], object]],
    settings: SearchSettings,
    clock: Callable[[], float],
    repeats: int = 5,
) -> RolloutCost:
    """Return the cost of plans, of which some are made.

    Args:
        plan: Settings -> what makes a plan with them.
        settings: Settings of the search.
        clock: Returns a time, s.
        repeats: Plans of each of two sizes.
    """
    sizes, times_s = [], []
    for rollouts in (FEWEST_ROLLOUTS, 4 * FEWEST_ROLLOUTS):
        changed = replace(settings, rollouts=rollouts, iterations=2, first_iterations=0)
        make = plan(changed)
        make()  # the first one is slow
        for _ in range(repeats):
            begin = clock()
            make()
            times_s.append(clock() - begin)
            sizes.append(rollouts * 2)
    small, large = (np.median(each) for each in np.split(np.array(times_s), 2))
    rollout_s = max((large - small) / (sizes[-1] - sizes[0]), 1e-9)
    return RolloutCost(max(float(small - rollout_s * sizes[0]), 0.0), float(rollout_s))
