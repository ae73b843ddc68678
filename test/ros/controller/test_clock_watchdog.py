import pytest

from ddpm_controller.ros.controller.thread import ClockWatchdog


def texts_of(times_s, begin_s=100.0):
    """What is said when the time is asked for ten times a second."""
    watchdog = ClockWatchdog()
    return [watchdog.text(now_s, begin_s + 0.1 * k) for k, now_s in enumerate(times_s)]


def test_nothing_is_said_of_a_time_that_goes_on():
    assert set(texts_of([5.0 + 0.1 * k for k in range(50)])) == {""}


@pytest.mark.parametrize(("now_s", "text"), [(0.0, "no time has come on /clock"), (7.5, "7.500")])
def test_once_a_second_it_is_said_that_the_time_does_not_go_on(now_s, text):
    said = texts_of([now_s] * 35)
    told = [k for k, each in enumerate(said) if each]
    assert len(told) == 3
    assert 10 <= told[0] <= 11
    assert text in said[told[0]]
    assert "for 3 s" in said[told[2]]


def test_it_is_silent_again_when_the_time_goes_on():
    assert texts_of([7.5] * 15 + [7.6] * 5)[-5:] == [""] * 5
