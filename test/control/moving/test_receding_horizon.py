import numpy as np
import pytest

from ddpm_controller.control.moving.interpolation import Motion, Stop
from ddpm_controller.control.moving.receding_horizon import ChunkFollower
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.types import ActionChunk


def chunk(start_s, rows):
    return ActionChunk(start_s, 0.1, ("a",), np.array(rows, dtype=np.float64)[:, None])


RISING = chunk(1.0, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def at(follower, now_s):
    motion = follower.command(now_s)
    return motion.position[0], motion.velocity[0]


def accept(follower, chunk, now_s):
    follower.accept(chunk, follower.command(now_s), now_s)


def test_before_the_first_chunk_it_stays_where_it_began():
    follower = ChunkFollower(np.array([0.3]), 1.0)
    assert at(follower, 1.0) == (0.3, 0.0)
    assert at(follower, 9.0) == (0.3, 0.0)


@pytest.mark.parametrize("late_s", [0.0, 0.07, 0.31])
def test_a_chunk_that_comes_late_is_followed_at_its_own_moments(late_s):
    """Absolute time: what is past is skipped, not played late."""
    follower = ChunkFollower(np.array([0.0]), 1.0, fade_s=0.1)
    accept(follower, RISING, 1.0 + late_s)
    position, velocity = at(follower, 1.45)
    assert position == pytest.approx(0.45)
    assert velocity == pytest.approx(1.0)


@pytest.mark.parametrize("seam_s", [1.0, 1.13, 1.3, 1.49])
def test_a_new_chunk_joins_without_a_jump_in_position_velocity_or_acceleration(seam_s):
    follower = ChunkFollower(np.array([0.0]), 1.0)
    accept(follower, RISING, 1.0)
    before, begin = at(follower, seam_s), follower.command(seam_s)
    accept(follower, chunk(1.2, [-0.5, -0.6, -0.4, 0.0]), seam_s)
    assert at(follower, seam_s) == pytest.approx(before, abs=1e-12)
    step_s = 1e-5
    after = at(follower, seam_s + step_s)
    # Accelerations stay below 6 * 1 / 0.2^2 + 4 * 8 / 0.2 = 310, jerks below 60 * 1 / 0.2^3
    # + 36 * 8 / 0.2^2 + 9 * 310 / 0.2 = 29000.
    assert after[0] == pytest.approx(before[0] + before[1] * step_s, abs=310 * step_s**2)
    assert after[1] == pytest.approx(before[1], abs=2 * 310 * step_s)
    acceleration = follower.command(seam_s + step_s).acceleration
    np.testing.assert_allclose(acceleration, begin.acceleration, atol=29000 * step_s)


def test_the_difference_to_a_new_chunk_is_gone_after_the_fade():
    follower = ChunkFollower(np.array([5.0]), 1.0, fade_s=0.2)
    accept(follower, RISING, 1.1)
    assert at(follower, 1.1)[0] == pytest.approx(5.0)
    assert at(follower, 1.2)[0] > 1.0
    assert at(follower, 1.3)[0] == pytest.approx(0.3)


def test_after_the_end_of_a_chunk_it_stops_and_holds():
    follower = ChunkFollower(np.array([0.0]), 1.0, stop_s=0.2)
    accept(follower, RISING, 1.0)
    held = at(follower, 1.8)
    assert held == pytest.approx((0.6, 0.0))
    assert at(follower, 60.0) == held


def test_a_stop_begins_with_the_motion_given_and_leaves_the_chunk():
    follower = ChunkFollower(np.array([0.0]), 1.0, stop_s=0.2, fade_s=0.1)
    accept(follower, RISING, 1.0)
    before = follower.command(1.2)
    follower.stop(Stop(1.2, before, 0.2))
    assert at(follower, 1.2) == pytest.approx((0.2, 1.0))
    assert at(follower, 1.4) == pytest.approx((0.3, 0.0))
    assert follower.chunk is None


def test_a_chunk_goes_on_from_what_was_really_sent():
    follower = ChunkFollower(np.array([0.0]), 1.0, fade_s=0.1)
    follower.accept(RISING, Motion(np.array([0.15]), np.array([0.5]), np.array([2.0])), 1.2)
    assert at(follower, 1.2) == pytest.approx((0.15, 0.5))
    assert follower.command(1.2).acceleration == pytest.approx(2.0)
    assert at(follower, 1.3) == pytest.approx((0.3, 1.0))


@pytest.mark.parametrize(("jerk", "fade_s"), [(1e6, 0.2), (6e3, 0.3), (10.0, 0.4)])
def test_a_fade_takes_longer_where_the_limits_need_it_but_twice_as_long_at_most(jerk, fade_s):
    limits = JointLimits(*(np.array([x]) for x in (-9.0, 9.0, 99.0, 1e4, jerk)))
    follower = ChunkFollower(np.array([1.0]), 1.0, limits, fade_s=0.2)
    accept(follower, chunk(1.0, [0.0] * 9), 1.0)
    # 60 / 0.3^3 = 2200 < 6000 / 2 < 60 / 0.25^3: the fade grows by quarters, 0.2, 0.25, 0.31.
    assert at(follower, 1.0 + 1.05 * fade_s)[0] == 0 or fade_s == 0.3
    assert abs(at(follower, 1.0 + 0.9 * fade_s)[0]) > 0
    assert at(follower, 1.4 + 1e-9)[0] == 0


@pytest.mark.parametrize("times", [{"fade_s": 0.0}, {"stop_s": -1.0}])
def test_a_time_that_is_not_above_zero_is_refused(times):
    with pytest.raises(ValueError, match="above 0"):
        ChunkFollower(np.array([0.0]), 1.0, **times)
