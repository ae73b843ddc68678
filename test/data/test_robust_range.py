"""A few numbers far away do not widen a range; a rare state of a signal does."""

import numpy as np
import pytest

from ddpm_controller.data.robust_range import bounded, robust_range
from ddpm_controller.types import Episode, StreamSpec

USUAL = np.sin(np.linspace(0, 60, 1000))


def with_few(*values):
    found = USUAL.copy()
    found[100 : 100 + len(values)] = values
    return found


def test_a_few_numbers_far_away_are_not_of_the_range():
    assert robust_range(USUAL) is None
    assert robust_range(with_few(1e4, -900.0)) == pytest.approx((-1, 1), abs=1e-3)


def test_what_is_near_what_is_often_and_what_has_few_levels_is():
    assert robust_range(with_few(8.0)) is None  # within four widths
    assert robust_range(with_few(*[1e4] * 8)) is None  # eight of a thousand
    rare = np.zeros(1000)
    rare[500:502] = 1.0  # a gripper that closes once
    assert robust_range(rare) is None
    levels = np.repeat([0.0, 0.1, 0.2, 5.0], [400, 300, 298, 2])
    assert robust_range(levels) is None


def test_few_rows_show_no_usual_range():
    assert robust_range(with_few(1e4)[50:200]) is None


def test_episodes_are_cut_and_the_columns_named():
    streams = (
        StreamSpec("joint_velocity", "vector", (2,), 50.0, ("a", "b"), ("rad/s", "rad/s")),
        StreamSpec("joint_state", "vector", (1,), 50.0, ("a",), ("rad",)),
    )
    speeds = np.stack([with_few(1e4), USUAL], axis=1)
    values = {"joint_velocity": speeds, "joint_state": with_few(1e4)[:, None]}
    episode = Episode(np.arange(1000) * 0.1, values, USUAL[:, None])
    with pytest.warns(UserWarning, match="1 of 1000 numbers are beyond"):
        (cut,), lines = bounded([episode], streams)
    assert cut.values["joint_velocity"].max() < 1.01
    assert cut.values["joint_state"].max() == 1e4  # a position is not: reading decides
    assert speeds.max() == 1e4  # what was given is as it was
    (line,) = lines
    assert line.startswith("joint_velocity a: 1 of 1000 numbers are beyond -1 to 1 rad/s")
