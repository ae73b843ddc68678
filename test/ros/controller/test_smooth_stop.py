"""When a stop is over."""

from ddpm_controller.ros.controller.smooth_stop import LONGER_S, SmoothStop


def over_at(is_at_rest, times=(10.0, 10.4, 10.5, 10.7, 12.4, 12.5)) -> float | None:
    """Return the tick at which a stop of half a second is over."""
    stop, done = SmoothStop(0.5), []
    stop.begin(lambda: done.append(True))
    for now_s in times:
        stop.tick(now_s, is_at_rest(now_s))
        if done:
            return now_s
    return None


def test_a_stop_takes_its_time():
    assert over_at(lambda now_s: True) == 10.5


def test_a_robot_that_still_moves_is_waited_for():
    assert over_at(lambda now_s: now_s > 10.6) == 10.7


def test_a_robot_that_never_rests_is_not_waited_for_without_end():
    assert over_at(lambda now_s: False) == 10.5 + LONGER_S
