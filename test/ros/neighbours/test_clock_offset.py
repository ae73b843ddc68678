"""A robot whose clock is off by more than trajectories overlap is reported with the figure."""

import math

import pytest

from ddpm_controller.ros.neighbours.clock_offset import ClockOffset


def text(*delays_s):
    offset = ClockOffset(0.06)
    for delay_s in delays_s:
        offset.note(delay_s)
    return offset.text


@pytest.mark.parametrize(
    ("delay_s", "words"),
    [(-0.2, "0.200 s ahead of this clock"), (0.2, "0.200 s behind this clock")],
)
def test_the_offset_is_named(delay_s, words):
    found = text(*[delay_s] * 5)
    assert words in found
    assert "command.stream_past_s 0.06" in found


@pytest.mark.parametrize(
    "delays_s",
    [[0.01] * 5, [-0.05] * 5, [0.2] * 4, [0.2, 0.2, 0.01, 0.2, 0.2], [math.nan] * 9],
    ids=["in time", "a little ahead", "too few", "sometimes late", "nothing came"],
)
def test_what_a_busy_machine_does_is_no_offset(delays_s):
    assert text(*delays_s) == ""
