"""A joint that turns without end, reported within one turn, is counted on through the seam."""

import math

import numpy as np
import pytest

from ddpm_controller.control.observing.observation_buffer import (
    ObservationBuffer,
    WholeTurnError,
)
from ddpm_controller.types import StreamSpec

NAMES, UNITS = ("turn", "bend", "slide"), ("rad", "rad", "m")
TURNS = StreamSpec("joints", "vector", (3,), 50.0, NAMES, UNITS, ("turn",))
NO_TURNS = StreamSpec("joints", "vector", (3,), 50.0, NAMES, UNITS)


def wrapped(value, lowest=-math.pi):
    return (value - lowest) % (2 * math.pi) + lowest


def buffer_of(spec, values, lowest=-math.pi):
    """A buffer that has seen the first joint at these values, 50 a second."""
    buffer = ObservationBuffer((spec,), {"joints": 0.3})
    for tick, value in enumerate(values):
        buffer.add("joints", 0.02 * tick, np.array([wrapped(value, lowest), -value, 3 * value]))
    return buffer


def seen(buffer, count):
    return np.stack([buffer.sample(0.02 * tick).values["joints"] for tick in range(count)])


@pytest.mark.parametrize("lowest", [-math.pi, 0.0], ids=["from -pi", "from 0"])
@pytest.mark.parametrize("sign", [1, -1])
def test_positions_continue_through_the_seam_over_many_turns(lowest, sign):
    values = 0.5 + sign * np.arange(0, 30, 0.2)
    first = wrapped(values[0], lowest)
    rows = seen(buffer_of(TURNS, values, lowest), len(values))
    np.testing.assert_allclose(rows[:, 0], values - values[0] + first, atol=1e-9)
    np.testing.assert_array_equal(rows[:, 1], -values)
    np.testing.assert_array_equal(rows[:, 2], 3 * values)


def test_a_run_begins_where_the_joint_is_reported_and_what_is_kept_fits_to_that():
    values = 0.5 + np.arange(0, 8, 0.2)
    buffer = buffer_of(TURNS, values)
    buffer.reset(-math.inf)
    assert buffer.begin_turns()
    rows = seen(buffer, len(values))[:, 0]
    assert rows[-1] == pytest.approx(wrapped(values[-1]))
    np.testing.assert_allclose(np.diff(rows), 0.2, atol=1e-9)
    buffer.add("joints", 5.0, np.array([wrapped(values[-1] + 3), 0.0, 0.0]))
    assert buffer.newest("joints", math.inf)[0] == pytest.approx(wrapped(values[-1]) + 3)
    buffer.reset()
    buffer.begin_turns()
    buffer.add("joints", 6.0, np.array([-3.0, 0.0, 0.0]))
    assert buffer.newest("joints", math.inf)[0] == -3.0


def test_a_reset_alone_keeps_the_count_since_the_command_continues():
    buffer = buffer_of(TURNS, [3.0, 3.2])
    buffer.reset()
    buffer.add("joints", 9.0, np.array([-3.0, 0.0, 0.0]))
    assert buffer.newest("joints", math.inf)[0] == pytest.approx(2 * math.pi - 3)


def test_another_joint_that_jumps_by_a_turn_is_refused_until_it_is_back_or_a_run_begins():
    buffer = buffer_of(NO_TURNS, [3.0, 3.1])
    for tick, value in enumerate((3.2, 3.3, 3.6, 4.2), start=2):  # it is moved on meanwhile
        with pytest.raises(WholeTurnError, match="turn jumps by -.* a whole turn: name it in wra"):
            buffer.add("joints", 0.02 * tick, np.array([wrapped(value), 0.0, 0.0]))
    buffer.add("joints", 0.2, np.array([3.0, 0.0, 0.0]))
    with pytest.raises(WholeTurnError):
        buffer.add("joints", 0.22, np.array([-3.1, 0.0, 0.0]))
    buffer.reset()
    buffer.begin_turns()
    assert buffer.add("joints", 0.24, np.array([-3.1, 0.0, 0.0]))


def test_a_seam_that_is_passed_while_messages_are_lost_is_noticed_too():
    buffer = buffer_of(NO_TURNS, [3.0])
    with pytest.raises(WholeTurnError):
        buffer.add("joints", 0.29, np.array([wrapped(3.0 + 0.29 * 3.0), 0.0, 0.0]))


@pytest.mark.parametrize(
    ("step", "seconds"),
    [(6.2, 1.0), (2.0, 0.02), (12.0, 0.02)],
    ids=["so far in a second", "a smaller step", "a larger step"],
)
def test_what_is_no_seam_is_not_refused_for_it(step, seconds):
    buffer = buffer_of(NO_TURNS, [0.0])
    assert buffer.add("joints", seconds, np.array([step, 0.0, 0.0]))
    buffer = buffer_of(NO_TURNS, [0.0])
    assert buffer.add("joints", 0.02, np.array([0.0, 0.0, 6.28]))  # it slides


def test_a_joint_that_is_reported_beyond_a_turn_does_not_wrap():
    buffer = ObservationBuffer((TURNS,), {"joints": 0.3})
    with pytest.raises(WholeTurnError, match=r"turn is in wraps, and reported at 7.000 rad.*remo"):
        buffer.add("joints", 0.0, np.array([7.0, 0.0, 0.0]))


def test_only_elements_in_rad_may_wrap():
    for wraps in (("slide",), ("other",)):
        with pytest.raises(ValueError, match=f"wraps names .*{wraps[0]}.*in rad"):
            StreamSpec("joints", "vector", (3,), 50.0, NAMES, UNITS, wraps)


ARM, SLIDE = np.array([True, True, False]), np.array([False, False, True])
NAN = math.nan


def test_a_joint_is_counted_by_the_messages_that_have_it():
    """An arm at 50 Hz and a slide at 20 Hz, whose messages come behind newer ones of the arm."""
    buffer = ObservationBuffer((TURNS,), {"joints": 0.3})
    values = 0.5 + np.arange(0, 30, 0.2)
    for tick, value in enumerate(values):
        now_s = 0.02 * tick
        buffer.add("joints", now_s, np.array([wrapped(value), -value, NAN]), ARM)
        if tick % 5 in (0, 2):
            buffer.add("joints", now_s - 0.003, np.array([NAN, NAN, value]), SLIDE)
    rows = seen(buffer, len(values))
    np.testing.assert_allclose(rows[:, 0], values, atol=1e-9)
    np.testing.assert_array_equal(rows[:, 1], -values)
    # An older message of the joint brings no turn: it is not taken.
    both = np.array([wrapped(values[-1] + 3), NAN, 7.0])
    last_s = 0.02 * (len(values) - 1)
    buffer.add("joints", last_s - 0.001, both, np.array([True, False, True]))
    buffer.add("joints", last_s + 0.02, np.array([wrapped(values[-1]), 0.0, NAN]), ARM)
    assert buffer.newest("joints", math.inf)[0] == pytest.approx(values[-1])
    assert buffer.newest("joints", math.inf)[2] == 7.0


def test_a_run_begins_at_the_reported_turn_of_every_joint_whoever_publishes_it():
    both = StreamSpec("joints", "vector", (3,), 50.0, NAMES, UNITS, ("turn", "bend"))
    buffer = ObservationBuffer((both,), {"joints": 0.3})
    first, second = np.eye(3, dtype=bool)[:2]
    buffer.add("joints", 0.0, np.array([NAN, NAN, 0.0]), SLIDE)
    for tick, value in enumerate(np.arange(0, 8, 0.2)):
        buffer.add("joints", 0.02 * tick, np.array([wrapped(value), NAN, NAN]), first)
        buffer.add("joints", 0.02 * tick + 0.01, np.array([NAN, wrapped(2 * value), NAN]), second)
    buffer.reset(-math.inf)
    assert buffer.begin_turns()
    expected = [wrapped(7.8), wrapped(15.6)]
    np.testing.assert_allclose(buffer.newest("joints", math.inf)[:2], expected)
    buffer.add("joints", 0.82, np.array([NAN, wrapped(15.6 + 2.0), NAN]), second)
    expected[1] += 2.0
    np.testing.assert_allclose(buffer.newest("joints", math.inf)[:2], expected)
    buffer.reset(0.82)  # of the first joint nothing is left
    buffer.begin_turns()
    buffer.add("joints", 0.84, np.array([-3.0, NAN, 0.0]), ~second)
    assert buffer.newest("joints", math.inf)[0] == -3.0


def test_a_jump_by_a_turn_refuses_the_messages_with_that_joint_alone():
    buffer = buffer_of(NO_TURNS, [3.0, 3.1])
    with pytest.raises(WholeTurnError, match="turn jumps"):
        buffer.add("joints", 0.04, np.array([wrapped(3.2), 0.0, NAN]), ARM)
    assert buffer.add("joints", 0.05, np.array([NAN, NAN, 7.0]), SLIDE)
    with pytest.raises(WholeTurnError, match="turn jumps"):
        buffer.add("joints", 0.06, np.array([wrapped(3.6), 0.0, NAN]), ARM)
