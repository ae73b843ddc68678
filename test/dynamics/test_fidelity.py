import numpy as np
import pytest
from scipy.stats import spearmanr

from ddpm_controller.dynamics.fidelity import fidelity_of, rank_correlation


def test_the_rank_correlation_is_that_of_scipy_ties_too():
    random = np.random.default_rng(0)
    one, other = random.standard_normal(30), random.integers(0, 5, 30).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(one, np.exp(one)) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(one, np.ones(30)))


def test_rollouts_that_diverged_rank_behind_all_others():
    plant = np.arange(10.0)
    rewards = plant.copy()
    rewards[0] = 1e9  # of a diverged one, which is the worst in the plant too
    good = np.arange(10) > 0
    found = fidelity_of([rewards, plant[::-1]], [good, good | True], [plant, plant], 1e-3)
    assert found.correlation == pytest.approx(0.0)
    assert found.lowest == pytest.approx(-1.0)
    assert found.bad == pytest.approx(0.05)
