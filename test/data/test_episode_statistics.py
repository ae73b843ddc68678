from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.data.statistics import episode_statistics, episodes_digest, refuse_misfits
from ddpm_controller.types import Episode, StreamSpec

STREAMS = (
    StreamSpec("joint_state", "vector", (2,), 50.0, ("a", "b"), ("rad", "rad")),
    StreamSpec("camera", "image", (2, 2, 3), 25.0),
)


def episode(positions, actions) -> Episode:
    positions = np.array(positions, dtype=float)
    length = len(positions)
    values = {"joint_state": positions, "camera": np.zeros((length, 2, 2, 3), np.uint8)}
    return Episode(np.arange(length) * 0.1, values, np.array(actions, dtype=float), "bag 1")


def test_limits_are_taken_over_all_episodes_per_element():
    one = episode([[0, 5], [1, -2]], [[1, 1], [2, 2]])
    two = episode([[-3, 0]], [[0, 9]])
    assert episode_statistics([one, two], STREAMS) == {
        "joint_state": {"min": [-3, -2], "max": [1, 5]},
        "action": {"min": [0, 1], "max": [2, 9]},
    }


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_place(value):
    wrong = episode([[0, 0], [0, value]], [[0, 0], [0, 0]])
    with pytest.raises(ValueError, match=r"bag 1: joint_state is .* at moment 1 of 2"):
        episode_statistics([wrong], STREAMS)


def test_an_action_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="action is"):
        episode_statistics([episode([[0, 0]], [[np.nan, 0]])], STREAMS)


def test_misfits_are_refused_with_both_sides():
    good = episode([[0, 0]], [[0, 0]])
    refuse_misfits([good], STREAMS, 2)
    with pytest.raises(ValueError, match=r"rows of shape \(2,\), expected 3 joints"):
        refuse_misfits([good], STREAMS, 3)
    with pytest.raises(ValueError, match=r"'camera': \(2, 2, 3\)\}, expected \{'joint_state'"):
        refuse_misfits([good], STREAMS[:1], 2)


def test_the_digest_changes_with_any_byte_and_not_with_the_source():
    one = episode([[0, 0], [1, 1]], [[0, 0], [1, 1]])
    digest = episodes_digest([one])
    assert episodes_digest([replace(one, source="elsewhere")]) == digest
    assert episodes_digest([one, one]) != digest
    images = one.values["camera"].copy()
    images[1, 1, 1, 2] = 1
    assert episodes_digest([replace(one, values={**one.values, "camera": images})]) != digest
    assert episodes_digest([replace(one, actions=one.actions + 1e-12)]) != digest
