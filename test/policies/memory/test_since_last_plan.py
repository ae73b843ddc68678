import numpy as np
import pytest

from ddpm_controller.policies.memory.recalled import ROWS, START
from ddpm_controller.policies.memory.since_last_plan import FOLLOWED, Execution, Unseen, unseen
from ddpm_controller.types import Observation

PERIOD_S = 0.1


def window(newest_s, steps, first_s=-np.inf):
    """As a controller gathers it: the first moment repeated before there was any."""
    stamps_s = newest_s - PERIOD_S * np.arange(steps)[::-1]
    return [Observation(max(float(each), first_s), {}) for each in stamps_s]


def counted(replan_s, steps, plans, begin_s=5.0):
    """Return the stamps that a state has taken in over many plans, and its own clock's."""
    stamp_s, taken, clock = np.nan, [], []
    for number in range(plans):
        new = unseen(window(begin_s + number * replan_s, steps, begin_s), stamp_s, PERIOD_S)
        stamp_s = new.stamp_s
        taken += [each.stamp_s for each in new.observations]
        clock.append(stamp_s)
    return np.array(taken), clock


@pytest.mark.parametrize(("replan_s", "steps"), [(0.8, 8), (0.8, 16), (0.4, 16), (0.1, 2)])
def test_every_tick_is_counted_once_however_plans_and_windows_lie(replan_s, steps):
    taken, _ = counted(replan_s, steps, plans=round(4.0 / replan_s) + 1)
    np.testing.assert_allclose(taken, 5.0 + PERIOD_S * np.arange(41), atol=1e-9)


@pytest.mark.parametrize("replan_s", [0.14, 0.04, 0.77, 0.05])
def test_plans_off_the_ticks_neither_lose_nor_add_time(replan_s):
    plans = round(7.0 / replan_s) + 1
    taken, clock = counted(replan_s, steps=16, plans=plans)
    passed_s = (plans - 1) * replan_s
    assert abs((len(taken) - 1) * PERIOD_S - passed_s) <= PERIOD_S / 2 + 1e-9
    # Each tick of its own clock has the nearest observation there was.
    ticks = 5.0 + PERIOD_S * np.arange(len(taken))
    assert np.abs(taken - ticks).max() <= PERIOD_S / 2 + 1e-9
    assert clock[-1] == pytest.approx(ticks[-1])


def test_a_state_begins_with_the_newest_observation_alone():
    seen = window(5.0, 4)
    assert unseen(seen, np.nan, PERIOD_S) == Unseen((seen[-1],), 5.0, 0.0, True)


def test_a_state_from_the_future_begins_anew_but_not_for_a_rounding():
    assert unseen(window(4.0, 4), 5.0, PERIOD_S).begins
    again = unseen(window(5.0, 4), 5.0 + 1e-9, PERIOD_S)
    assert (again.begins, again.observations) == (False, ())


def test_a_gap_longer_than_the_window_is_told():
    new = unseen(window(7.0, 4), 5.0, PERIOD_S)
    assert [each.stamp_s for each in new.observations] == pytest.approx([6.7, 6.8, 6.9, 7.0])
    assert new.gap_s == pytest.approx(1.6)
    assert new.stamp_s == pytest.approx(7.0)


def test_an_observation_that_was_repeated_is_one_tick():
    new = unseen(window(5.2, 6, first_s=5.0), 4.8, PERIOD_S)
    assert [each.stamp_s for each in new.observations] == pytest.approx([5.0, 5.1, 5.2])
    assert new.gap_s == pytest.approx(0.1)


def execution(**changes):
    plain = {"first": 1, "sent": 4, "period_s": PERIOD_S, "delay_s": 0.0, "fade_s": 0.0}
    return Execution(**{**plain, **changes})


def memory(followed=np.nan):
    rows = np.arange(6.0)[:, None] * [1.0, 10.0]
    return {ROWS: rows, START: np.array(2.0), FOLLOWED: np.full((6, 2), followed)}


def test_what_was_executed_is_the_chunk_between_its_rows_until_its_last_one():
    moments_s = np.array([2.1, 2.25, 2.3, 2.9])
    expected = np.array([1.0, 2.5, 3.0, 3.0])[:, None] * [1.0, 10.0]
    np.testing.assert_allclose(execution().executed(memory(), moments_s), expected)


def test_until_a_plan_takes_over_the_robot_follows_the_one_before():
    mine, moments_s = execution(delay_s=0.12), np.array([2.1, 2.2, 2.23])
    executed = mine.executed(memory(followed=-7.0), moments_s)
    np.testing.assert_allclose(executed[:, 0], [-7.0, -7.0, 2.3])
    faded = execution(delay_s=0.12, fade_s=0.2).executed(memory(followed=-7.0), moments_s)
    assert -7.0 < faded[2, 0] < -6.9
    half = execution(fade_s=0.2).executed(memory(followed=-7.0), np.array([2.2]))
    np.testing.assert_allclose(half[0, 0], (-7.0 + 2.0) / 2)


def test_what_a_plan_follows_meanwhile_is_what_was_executed_at_its_rows():
    new = Unseen((), 2.5, 0.0, False)
    followed = execution().followed(memory(), 2.15, new)
    np.testing.assert_allclose(followed[:, 0], [1.5, 2.5, 3.0, 3.0, 3.0, 3.0])
    assert np.isnan(execution().followed(memory(), 2.15, Unseen((), 2.5, 0.0, True))).all()


def test_the_action_of_an_observation_is_that_of_the_tick_before_it():
    new = unseen(window(2.4, 2), 2.2, PERIOD_S)
    np.testing.assert_allclose(execution().actions_before(memory(), new)[:, 0], [2.0, 3.0])
    begins = unseen(window(2.4, 2), np.nan, PERIOD_S)
    actions = execution().actions_before(memory(), begins)
    assert actions.shape == (1, 2)
    assert np.isnan(actions).all()
