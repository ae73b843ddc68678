"""The search of every planner: candidates around a nominal plan, and what follows from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ddpm_controller.planners.method import Method, Scored, Update

Score = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Candidates (N, K, nu) -> rewards (N,) and which are good, (N,) bool."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a search has found.

    Attributes:
        knots: (K, nu), the plan.
        rewards: Best, mean and deviation of the rewards of the last iteration.
        effective_sample_size: Candidates that counted in it.
        bad: Candidates of all iterations that diverged.
        is_lost: Whether some iteration had no candidate that did not diverge.
        candidates: Candidates of every iteration, where they were to be kept.
    """

    knots: np.ndarray
    rewards: tuple[float, float, float]
    effective_sample_size: float
    bad: int
    is_lost: bool
    candidates: tuple[Scored, ...] = ()


def search(
    method: Method,
    score: Score,
    nominal: np.ndarray,
    others: Sequence[np.ndarray],
    rollouts: int,
    iterations: int,
    generator: np.random.Generator,
    *,
    pinned: bool = False,
    keep: bool = False,
) -> Found:
    """Return the plan that a method finds around a nominal one.

    Among the candidates are always the nominal plan and, from the second iteration on, the best
    one so far. Noise comes in pairs of both signs.

    Args:
        method: Method.
        score: Rolls candidates out.
        nominal: (K, nu) in [-1, 1].
        others: Further candidates of the first iteration, (K, nu) each.
        rollouts: N, candidates of an iteration, more than there are ``others`` and 3.
        iterations: Number of iterations.
        generator: Source of the noise.
        pinned: Whether the first knot stays as it is.
        keep: Whether to return all candidates.
    """
    mean, spread, best, kept = nominal, np.zeros_like(nominal), list(others), list[Scored]()
    bad, lost = 0, False
    update, summary = Update(mean, spread, np.ones(1)), (np.nan, np.nan, np.nan)
    best_reward = -np.inf
    for iteration in range(iterations):
        spread = method.spread(iteration, mean.shape, spread)
        knots = _candidates(mean, best, spread, rollouts, generator, pinned)
        rewards, good = score(knots)
        scored = Scored(knots, rewards, good)
        bad += len(good) - int(good.sum())
        if keep:
            kept.append(scored)
        if not good.any():
            lost = True
            continue
        update = method.update(scored, spread)
        mean, spread = update.mean, update.spread
        summary = (scored.best, scored.mean, scored.deviation)
        if scored.best > best_reward:
            first = int(np.argmax(np.where(good, rewards, -np.inf)))
            best_reward, best = scored.best, [knots[first]]
    size = update.effective_sample_size
    return Found(mean, summary, size, bad, lost, tuple(kept))


def _candidates(
    mean: np.ndarray,
    others: Sequence[np.ndarray],
    spread: np.ndarray,
    rollouts: int,
    generator: np.random.Generator,
    pinned: bool,
) -> np.ndarray:
    """Return N candidates in [-1, 1]: the mean, the others, then noise."""
    fixed = 1 + len(others)
    pairs = (rollouts - fixed + 1) // 2
    noise = generator.standard_normal((pairs, *mean.shape)) * spread
    if pinned:
        noise[:, 0] = 0.0
    knots = np.empty((rollouts, *mean.shape))
    knots[0] = mean
    for place, other in enumerate(others, 1):
        knots[place] = other
    np.add(mean, noise, out=knots[fixed : fixed + pairs])
    np.subtract(mean, noise[: rollouts - fixed - pairs], out=knots[fixed + pairs :])
    return np.clip(knots, -1.0, 1.0, out=knots)
