import numpy as np
import pytest

from ddpm_controller.planners.cem import Cem
from ddpm_controller.planners.config import PRESETS, SearchSettings, preset
from ddpm_controller.planners.dial_mpc import DialMpc, factors_of
from ddpm_controller.planners.method import Scored, softmax_weights
from ddpm_controller.planners.mppi import Mppi
from ddpm_controller.planners.predictive_sampling import PredictiveSampling

REWARDS = np.array([0.0, 1.0, 3.0, 2.0])


def scored(rewards=REWARDS, good=None):
    knots = np.arange(4.0)[:, None, None] * np.ones((4, 3, 2)) / 4
    return Scored(knots, rewards, np.ones(4, bool) if good is None else good)


def test_weights_are_a_softmax_of_standardised_rewards():
    weights = softmax_weights(scored(), 0.5)
    expected = np.exp(REWARDS / (0.5 * REWARDS.std()))
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-12)


def test_weights_do_not_depend_on_scale_and_origin_of_rewards():
    np.testing.assert_allclose(
        softmax_weights(scored(70.0 * REWARDS - 1e4), 0.5), softmax_weights(scored(), 0.5), 1e-9
    )


def test_a_candidate_that_diverged_has_no_weight_and_no_influence():
    good = np.array([True, True, False, True])
    for reward in (np.nan, 1e30, -np.inf):
        rewards = np.array([0.0, 1.0, reward, 2.0])
        weights = softmax_weights(scored(rewards, good), 0.5)
        assert weights[2] == 0
        three = Scored(np.zeros((3, 1, 1)), rewards[good], np.ones(3, bool))
        np.testing.assert_allclose(weights[good], softmax_weights(three, 0.5), rtol=1e-12)
        for method in (Mppi(0.1, 0.5), Cem(0.1, 0.5, 0.0), PredictiveSampling(0.1)):
            update = method.update(scored(rewards, good), np.ones((3, 2)))
            assert update.weights[2] == 0
            assert np.isfinite(update.mean).all()


def test_equal_rewards_have_equal_weights():
    np.testing.assert_array_equal(softmax_weights(scored(np.full(4, -7.0)), 0.5), np.full(4, 0.25))


def test_noise_of_dial_mpc_shrinks_over_iterations_and_towards_the_beginning():
    method = DialMpc(1.0, 0.1, horizon_factor=0.9, trajectory_factor=0.5)
    table = np.array([method.spread(i, (5, 2), np.zeros((5, 2)))[:, 0] for i in range(2)])
    expected = 0.9 ** np.array([4, 3, 2, 1, 0])
    np.testing.assert_allclose(table, [expected, 0.5 * expected])


def test_the_schedule_of_the_paper_as_factors():
    """Variances exp(-(N - i) / (b1 N) - (H - h) / (b2 H)), with N = 4 and H = 4."""
    horizon, trajectory = factors_of(0.5, 0.8, iterations=4, knots=5)
    method = DialMpc(1.0, 0.1, horizon, trajectory)
    variance = method.spread(3, (5, 1), np.zeros((5, 1)))[1, 0] ** 2  # i = 1, h = 1
    assert variance == pytest.approx(np.exp(-(4 - 1) / (0.5 * 4) - (4 - 1) / (0.8 * 4)))


def test_the_other_methods_by_hand():
    noise = np.full((3, 2), 0.3)
    assert (Mppi(0.3, 1.0).spread(5, (3, 2), noise / 2) == 0.3).all()
    cem = Cem(0.3, elites=0.5, least_sigma=0.01)
    assert (cem.spread(0, (3, 2), noise / 2) == 0.3).all()
    assert (cem.spread(1, (3, 2), noise / 2) == 0.15).all()
    update = cem.update(scored(), noise)  # the best two are 2 and 3
    np.testing.assert_allclose(update.mean, np.full((3, 2), 2.5 / 4))
    np.testing.assert_allclose(update.spread, np.full((3, 2), 0.5 / 4))
    assert update.effective_sample_size == pytest.approx(2.0)
    best = PredictiveSampling(0.3).update(scored(), noise)
    np.testing.assert_array_equal(best.mean, scored().knots[2])
    mean = Mppi(0.3, 1e-9).update(scored(), noise).mean  # without any softness
    np.testing.assert_allclose(mean, scored().knots[2])


def test_the_released_schedule_is_a_preset():
    found = preset("dial_mpc_released", {})
    assert (found.rollouts, found.iterations, found.first_iterations) == (2048, 2, 10)
    assert (found.horizon, found.knots, found.spline) == (16, 5, "quadratic")
    assert found.search == DialMpc(1.0, 0.05, 0.9, 0.5)
    assert found.pinned
    for name in PRESETS:
        preset(name, {})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rollouts": 3}, "rollouts must be from 4 to 65536, got 3"),
        ({"iterations": 0}, "iterations must be from 1"),
        ({"knots": 17}, "at most the horizon of 16 ticks, got 17"),
        ({"knots": 3}, "more than the degree 3 of a cubic"),
        ({"temperature": 0.0}, "temperature must be in"),
        ({"least_sigma": 0.5}, "least_sigma must be from 0 to sigma"),
        ({"elites": 0.0}, "elites must be in"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        SearchSettings(**changes)
