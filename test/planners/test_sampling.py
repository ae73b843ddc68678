import numpy as np
import pytest

from ddpm_controller.planners.cem import Cem
from ddpm_controller.planners.dial_mpc import DialMpc
from ddpm_controller.planners.mppi import Mppi
from ddpm_controller.planners.predictive_sampling import PredictiveSampling
from ddpm_controller.planners.sampling import search

BEGIN = np.full((3, 2), 0.1)
TARGET = np.array([[0.5, -0.5], [0.0, 0.9], [-0.3, 0.2]])
METHODS = [
    Mppi(0.3, 0.3),
    DialMpc(0.5, 0.3, 0.9, 0.8),
    Cem(0.3, 0.3, 0.01),
    PredictiveSampling(0.3),
]


def near_target(knots):
    return -((knots - TARGET) ** 2).sum(axis=(1, 2)), np.ones(len(knots), bool)


def searched(method, score=near_target, others=(), seed=0, rollouts=16, iterations=8, **more):
    random = np.random.default_rng(seed)
    return search(method, score, BEGIN, others, rollouts, iterations, random, keep=True, **more)


@pytest.mark.parametrize("method", METHODS, ids=lambda each: type(each).__name__)
def test_every_method_comes_nearer_and_is_the_same_for_a_seed(method):
    found = searched(method)
    assert np.std(found.knots - TARGET) < 0.2 < np.std(BEGIN - TARGET)
    np.testing.assert_array_equal(found.knots, searched(method).knots)
    assert not np.array_equal(found.knots, searched(method, seed=1).knots)
    assert 1 <= found.effective_sample_size <= 16
    best, mean, deviation = found.rewards
    rewards = found.candidates[-1].rewards
    assert (best, mean) == (rewards.max(), pytest.approx(rewards.mean()))
    assert deviation == pytest.approx(rewards.std())


@pytest.mark.parametrize("rollouts", [4, 15, 16])
def test_the_nominal_and_the_best_so_far_are_always_candidates(rollouts):
    other = np.full((3, 2), -0.7)
    found = searched(Mppi(0.2, 0.3), others=[other], rollouts=rollouts, iterations=4)
    first, *later = found.candidates
    np.testing.assert_array_equal(first.knots[0], BEGIN)
    np.testing.assert_array_equal(first.knots[1], other)
    seen = [first]
    for scored in later:
        knots = np.concatenate([each.knots for each in seen])
        rewards = np.concatenate([each.rewards for each in seen])
        np.testing.assert_array_equal(scored.knots[1], knots[rewards.argmax()])
        seen.append(scored)
    assert all(len(each.knots) == rollouts for each in seen)


def test_noise_comes_in_pairs_of_both_signs_and_stays_in_the_range():
    first = searched(Mppi(0.2, 0.3), rollouts=17, iterations=1).candidates[0]
    away = first.knots - BEGIN
    np.testing.assert_allclose(away[1:9], -away[9:], atol=1e-12)
    wide = searched(Mppi(50.0, 0.3), iterations=1).candidates[0]
    assert np.abs(wide.knots).max() == 1.0
    pinned = searched(Mppi(0.2, 0.3), iterations=3, pinned=True)
    np.testing.assert_allclose(pinned.knots[0], BEGIN[0], atol=1e-12)
    assert not np.allclose(pinned.knots[1], BEGIN[1])


def test_candidates_that_diverged_change_nothing_but_their_count():
    def partly(knots):
        rewards, good = near_target(knots)
        good[3::4] = False
        return np.where(good, rewards, 1e30), good

    found = searched(Mppi(0.3, 0.3), partly)
    assert found.bad == 8 * 4
    assert not found.is_lost
    assert np.abs(found.knots - TARGET).max() < 0.3


def test_without_a_good_candidate_the_nominal_plan_stays():
    found = searched(Mppi(0.3, 0.3), lambda knots: (np.zeros(len(knots)), np.zeros(16, bool)))
    np.testing.assert_array_equal(found.knots, BEGIN)
    assert found.is_lost
    assert np.isnan(found.rewards).all()


def test_annealed_noise_finds_the_deepest_of_many_valleys_where_one_width_does_not():
    """The reason for annealing, in 20 numbers: benchmarks/planners.py has the intervals."""
    random = np.random.default_rng(0)
    bottom, begin = random.uniform(-0.5, 0.5, (5, 4)), random.uniform(-0.9, 0.9, (5, 4))

    def score(knots):
        away = knots - bottom
        ripples = 0.03 * (1 - np.cos(2 * np.pi * away / 0.25))
        return -(away**2 + ripples).sum(axis=(1, 2)), np.ones(len(knots), bool)

    ends = {
        name: np.abs(
            search(method, score, begin, [], 256, 24, np.random.default_rng(0)).knots - bottom
        ).max()
        for name, method in {
            "annealed": DialMpc(0.4, 0.5, 1.0, 0.88),
            "wide": Mppi(0.4, 0.5),
            "narrow": Mppi(0.05, 0.5),
        }.items()
    }
    assert ends["annealed"] < 0.05
    assert ends["narrow"] > 0.125
    assert ends["wide"] > 2 * ends["annealed"]
