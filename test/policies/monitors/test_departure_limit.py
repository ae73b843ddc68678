import json
import math
import os

import numpy as np
import pytest

from ddpm_controller.checkpoint import DEPARTURE_LIMIT_NAME, CheckpointError
from ddpm_controller.policies.monitors.departure_limit import (
    FLOOR,
    asked_departure_limit,
    fit_departure_limit,
    load_departure_limit,
    save_departure_limit,
)
from ddpm_controller.policy import DepartureLimit, TrainingRange
from ddpm_controller.types import ActionSpec

SPEC = ActionSpec(("lift", "grip"), ("rad", "m"), 0.1)
HALF = np.array([0.5, 0.04])


def training_range(low, high):
    ends = np.array(low), np.array(high)
    return TrainingRange(*ends, *ends)


def test_the_limit_is_a_multiple_of_a_quantile_of_the_largest_departure():
    """Of 100 rows one departs by 0.5 and 99 by 0.1; the other joint never does."""
    measured, expected = np.zeros((100, 2)), np.zeros((100, 2))
    expected[:, 0] = [0.5, *[0.1, -0.1] * 49, 0.1]
    usual = np.sqrt((0.25 + 99 * 0.01) / 100)
    limit = fit_departure_limit(measured, expected, HALF, 1.0, 2.0)
    np.testing.assert_allclose(limit.scale, [usual, FLOOR * 0.04])
    assert limit.limit == pytest.approx(2 * 0.5 / usual)
    assert fit_departure_limit(measured, expected, HALF, 0.5, 1.0).limit == 1.0  # at the least
    for quantile, margin in ((0.0, 2.0), (1.1, 2.0), (0.9, 0.5)):
        with pytest.raises(ValueError, match="quantile"):
            fit_departure_limit(measured, expected, HALF, quantile, margin)
    with pytest.raises(ValueError, match="alike"):
        fit_departure_limit(measured[:0], expected[:0], HALF, 0.9, 1.5)


def test_a_deployment_asks_for_the_learned_limit_another_one_or_none():
    learned, known = DepartureLimit(HALF, 3.0), training_range([0, 0, 1], [1, 0, 5])
    assert asked_departure_limit(known, learned, None) is learned
    assert asked_departure_limit(known, None, None) is None
    assert asked_departure_limit(known, learned, math.inf) is None
    found = asked_departure_limit(known, learned, 9.0)
    assert (found.limit, found.scale is HALF) == (9.0, True)
    found = asked_departure_limit(known, None, 9.0)
    # 2 % of half the range; of the largest one for a joint that never moved.
    np.testing.assert_allclose(found.scale, [0.01, 0.04, 0.04])
    with pytest.raises(ValueError, match="reset_state_above"):
        asked_departure_limit(None, None, 9.0)


def test_what_was_learned_is_kept_beside_the_checkpoint_and_belongs_to_it(tmp_path):
    assert load_departure_limit(tmp_path, "ab", SPEC) is None
    limit = DepartureLimit(HALF / 3, 7.1)
    save_departure_limit(tmp_path, "ab", SPEC, limit, "2 episodes")
    found = load_departure_limit(tmp_path, "ab", SPEC)
    np.testing.assert_array_equal(found.scale, limit.scale)
    assert found.limit == 7.1
    with pytest.raises(CheckpointError, match=r"is for checkpoint ab, this one is cd; .*fit-st"):
        load_departure_limit(tmp_path, "cd", SPEC)
    path = tmp_path / DEPARTURE_LIMIT_NAME
    for changed in ({"limit": 9.0}, {"joint_names": ["grip", "lift"]}):
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
        with pytest.raises(CheckpointError, match="was damaged or changed"):
            load_departure_limit(tmp_path, "ab", SPEC)
    path.write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_departure_limit(tmp_path, "ab", SPEC)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="not a regular file"):
        load_departure_limit(tmp_path, "ab", SPEC)
