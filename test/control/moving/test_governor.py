import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddpm_controller.control.moving.braking import Braking
from ddpm_controller.control.moving.governor import SHARE, Governor
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits

PERIOD_S = 0.02
LIMITS = JointLimits(
    np.array([-1.0, 0.0]),
    np.array([1.0, 0.05]),
    np.array([2.0, 0.1]),
    np.array([10.0, 2.0]),
    np.array([200.0, 40.0]),
)
START = Motion.rest(np.array([0.2, 0.01]))


def motion(*rows):
    return Motion(*(np.array(row, dtype=float) for row in rows))


def follow(wishes, begin=START, limits=LIMITS, elapsed_s=PERIOD_S):
    """What is sent for a sequence of wishes, the first row being ``begin``."""
    governor = Governor(limits, PERIOD_S)
    sent = [begin]
    for wish in wishes:
        sent.append(governor.step(sent[-1], wish, elapsed_s).motion)
    return sent


def assert_within(sent, limits=LIMITS, period_s=PERIOD_S):
    """Position, and differences at the control rate; begin with three of the same at rest."""
    rows = np.array([sent[0].position] * 3 + [each.position for each in sent])
    assert np.isfinite(rows).all()
    assert (rows >= limits.lower).all()
    assert (rows <= limits.upper).all()
    # Only SHARE of the limits is used, so that no tolerance is needed here.
    for bound in (limits.velocity, limits.acceleration, limits.jerk):
        rows = np.diff(rows, axis=0) / period_s
        assert (np.abs(rows) <= bound).all()


def test_a_wish_that_can_be_reached_is_sent_exactly():
    moments_s = PERIOD_S * np.arange(1, 60)
    wishes = [
        motion(
            START.position + np.array([0.02, 0.001]) * (1 - np.cos(4 * s)),
            [0.08 * np.sin(4 * s), 0.004 * np.sin(4 * s)],
            [0.32 * np.cos(4 * s), 0.016 * np.cos(4 * s)],
        )
        for s in moments_s
    ]
    governor, last = Governor(LIMITS, PERIOD_S), START
    for wish in wishes:
        limited = governor.step(last, wish, PERIOD_S)
        assert limited.reasons == ()
        assert limited.motion.position.tolist() == wish.position.tolist()
        assert limited.motion.velocity.tolist() == wish.velocity.tolist()
        last = limited.motion


FAR = {
    "a jump": motion([0.9, 0.03], [0, 0], [0, 0]),
    "outside": motion([5.0, -3.0], [0, 0], [0, 0]),
    "far outside": motion([1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]),
    "too fast": motion([0.2, 0.01], [50.0, -3.0], [0, 0]),
    "too hard": motion([0.2, 0.01], [0.1, 0.0], [1e5, -1e5]),
}


@pytest.mark.parametrize("wish", FAR.values(), ids=FAR)
def test_a_wish_out_of_reach_is_approached_within_every_limit(wish):
    sent = follow([wish] * 150)
    assert_within(sent)


@pytest.mark.parametrize(
    ("goal", "expected"), [([0.9, 0.03], [0.9, 0.03]), ([5.0, -3.0], [1.0, 0.0])]
)
def test_a_goal_is_reached_and_kept_at_the_limit_where_it_lies_outside(goal, expected):
    sent = follow([motion(goal, [0, 0], [0, 0])] * 150)
    np.testing.assert_array_equal(sent[-1].position, expected)
    np.testing.assert_array_equal(sent[-1].velocity, [0, 0])
    # The fastest way takes 0.7 / 2 + 2 / 10 + 10 / 200 = 0.6 s: 30 ticks, one more for rounding.
    np.testing.assert_allclose(sent[36].position[0], expected[0], atol=1e-6)


def test_after_a_jump_a_moving_curve_is_caught_and_then_followed_exactly():
    moments_s = PERIOD_S * np.arange(1, 100)
    wishes = [motion([-0.3 + 0.4 * s, 0.02], [0.4, 0.0], [0.0, 0.0]) for s in moments_s]
    sent = follow(wishes)
    assert_within(sent)
    for wish, each in zip(wishes[45:], sent[46:], strict=True):
        np.testing.assert_array_equal(each.position, wish.position)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_wish_that_is_not_finite_brakes(value):
    fast = follow([motion([0.9, 0.03], [0, 0], [0, 0])] * 10)
    bad = motion([value, 0.0], [0.0, 0.0], [0.0, 0.0])
    sent = [*fast, *follow([bad] * 30, fast[-1])[1:]]
    assert_within(sent)
    assert Governor(LIMITS, PERIOD_S).step(START, bad, PERIOD_S).reasons == ("not_finite",)
    assert (sent[-1].velocity == 0).all()
    assert (sent[-1].position == sent[-2].position).all()


@pytest.mark.parametrize("num_ticks", [5, 8, 9, 10, 11, 12])
def test_a_curve_that_speeds_up_towards_a_limit_can_always_be_stopped_before_it(num_ticks):
    moments_s = PERIOD_S * np.arange(1, num_ticks + 1)
    wishes = [motion([0.9 + 4 * s * s, 0.02], [8 * s, 0], [8, 0]) for s in moments_s]
    bad = motion([np.nan, 0], [0, 0], [0, 0])
    sent = follow([*wishes, *[bad] * 40], Motion.rest(np.array([0.9, 0.02])))
    assert_within(sent)
    assert sent[-1].velocity[0] == 0


REASONS = {
    "position": motion([1.5, 0.01], [0, 0], [0, 0]),
    "velocity": motion([0.3, 0.01], [0, 0], [0, 0]),
    "acceleration": motion([0.21, 0.01], [1.0, 0], [0, 0]),
    "jerk": motion([0.2, 0.01], [0, 0], [9.0, 0]),
}


@pytest.mark.parametrize(("reason", "wish"), REASONS.items(), ids=REASONS)
def test_the_reason_is_the_limit_that_the_wish_would_break(reason, wish):
    assert reason in Governor(LIMITS, PERIOD_S).step(START, wish, PERIOD_S).reasons


@pytest.mark.parametrize(("off", "is_noticed"), [(2e-6, False), (2e-4, True)])
def test_a_change_counts_where_it_could_be_noticed(off, is_noticed):
    """A step that the jerk limit spreads over some ticks; the motion is changed by both."""
    limited = Governor(LIMITS, PERIOD_S / 10).step(
        START, motion([0.2 + off, 0.01], [0, 0], [0, 0]), PERIOD_S / 10
    )
    assert limited.reasons == ("jerk",)
    assert limited.noticed == (("jerk",) if is_noticed else ())


def test_a_late_tick_is_one_step_and_a_little_jitter_is_followed():
    governor = Governor(LIMITS, PERIOD_S)
    last = motion([0.0, 0.02], [1.0, 0.0], [0.0, 0.0])
    late = governor.step(last, motion([0.5, 0.02], [1.0, 0], [0, 0]), 0.5)
    assert late.step_s == PERIOD_S
    assert late.motion.position[0] <= 2.0 * PERIOD_S
    jitter = governor.step(last, motion([0.0205, 0.02], [1.0, 0], [0, 0]), 0.0205)
    assert jitter.motion.position[0] == 0.0205
    assert jitter.reasons == ()
    # The step itself is never longer than the velocity limit allows in a period.
    fast = motion([0.0, 0.02], [1.99, 0.0], [0.0, 0.0])
    wish = motion([1.99 * 0.024, 0.02], [1.99, 0], [0, 0])
    assert governor.step(fast, wish, 0.024).motion.position[0] <= 2.0 * PERIOD_S
    top = motion([0.0, 0.02], [2.0 * SHARE, 0.0], [0.0, 0.0])
    for longer in (1.0003, 1.001):
        wish = motion([2.0 * SHARE * longer * PERIOD_S, 0.02], [2.0 * SHARE, 0], [0, 0])
        step = governor.step(top, wish, longer * PERIOD_S).motion.position[0]
        assert step < 2.0 * PERIOD_S


def test_at_the_same_moment_nothing_moves():
    limited = Governor(LIMITS, PERIOD_S).step(START, FAR["a jump"], 0.0)
    np.testing.assert_array_equal(limited.motion.position, START.position)


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
NEAR = st.floats(-1.5, 1.5)
WISH = st.tuples(st.one_of(NEAR, NUMBERS), st.one_of(NEAR, NUMBERS), st.one_of(NEAR, NUMBERS))


@given(
    st.lists(st.tuples(WISH, WISH, st.integers(1, 6)), min_size=1, max_size=12),
    st.floats(0, 1),
    st.floats(-1, 1),
    st.floats(-1, 2),
    st.sampled_from([0.02, 0.002]),
)
def test_whatever_is_wished_no_limit_is_broken_and_a_stop_ends_inside(
    parts, begin, harder, quicker, period_s
):
    velocity = np.array([2.0, 0.1])
    acceleration = velocity * 10 ** (1 + harder)
    limits = JointLimits(
        LIMITS.lower, LIMITS.upper, velocity, acceleration, acceleration * 10**quicker
    )
    governor = Governor(limits, period_s)
    sent = [Motion.rest(limits.lower + begin * (limits.upper - limits.lower))]
    for first, second, count in parts:
        wish = motion(*zip(first, second, strict=True))
        for _ in range(count):
            sent.append(governor.step(sent[-1], wish, period_s).motion)
    assert_within(sent, limits, period_s)
    used = limits.scaled(SHARE)
    lowest, highest, _ = Braking.of(sent[-1], used.acceleration, used.jerk).extent()
    # The governor's own tolerance: a millionth of jerk * period^3, below 1e-7.
    assert (lowest >= limits.lower - 1e-7).all()
    assert (highest <= limits.upper + 1e-7).all()


# Of the limits; a stop from 1e-200 of them takes no time at all.
SHARES = st.floats(-1.0, 1.0).map(lambda share: round(share, 9))


@given(
    velocity=SHARES,
    acceleration=SHARES,
    period_s=st.sampled_from([0.02, 0.01, 0.002]),
    now_s=st.sampled_from([0.0, 1.7e9]),
)
@example(velocity=1.0, acceleration=0.0, period_s=0.002, now_s=1.7e9)
def test_the_fastest_stop_is_followed_to_the_letter(velocity, acceleration, period_s, now_s):
    """Cut by a little at each tick it would end later than it says."""
    limits = JointLimits(*(np.array([x]) for x in (-9.0, 9.0, 2.0, 8.0, 60.0)))
    used = limits.scaled(SHARE)
    a = acceleration * used.acceleration
    top = used.velocity - np.sign(velocity) * a * np.abs(a) / (2 * used.jerk)
    last = Motion(np.zeros(1), velocity * np.minimum(used.velocity, top), a)
    stop, begin_s = Braking.of(last, used.acceleration, used.jerk), now_s
    governor = Governor(limits, period_s)
    while now_s - begin_s < stop.duration[0]:
        elapsed_s = now_s + period_s - now_s  # what is left of the period beside a long time
        now_s += period_s
        safe = governor.step(last, stop.at(now_s - begin_s), elapsed_s)
        assert safe.reasons == ()
        last = safe.motion
    assert (last.velocity[0], last.acceleration[0]) == (0.0, 0.0)


def test_the_same_wishes_give_the_same_motions_bit_for_bit():
    random = np.random.default_rng(3)
    wishes = [motion(*random.uniform(-1, 1, (3, 2))) for _ in range(80)]
    first, second = follow(wishes), follow(wishes)
    for one, other in zip(first, second, strict=True):
        assert one.position.tobytes() == other.position.tobytes()
        assert one.acceleration.tobytes() == other.acceleration.tobytes()
