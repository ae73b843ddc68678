import numpy as np
import pytest

from ddpm_controller.types import ActionChunk, StreamSpec, rows_at

ROWS = np.array([[0.0, 10.0], [1.0, 10.0], [4.0, -10.0]])


def test_a_chunk_is_linear_between_its_rows_and_rests_outside():
    chunk = ActionChunk(5.0, 0.5, ("one", "two"), ROWS)
    found = chunk.at(np.array([4.0, 5.0, 5.25, 5.5, 5.75, 6.0, 9.0]))
    expected = [[0, 10], [0, 10], [0.5, 10], [1, 10], [2.5, 0], [4, -10], [4, -10]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.shape == (7, 2)


def test_at_the_moments_of_its_rows_a_chunk_is_these_rows_bit_for_bit():
    chunk = ActionChunk(5.0, 0.5, ("one", "two"), ROWS)
    assert np.array_equal(chunk.at(5.0 + 0.5 * np.arange(3)), ROWS)


def test_what_is_not_known_is_between_no_rows():
    unknown = np.array([[0.0], [np.nan]])
    found = rows_at(unknown, np.array([0.0, 0.5, np.nan]))[:, 0]
    assert np.isnan(found).tolist() == [False, True, True]


def test_a_chunk_of_one_row_says_it_at_all_moments():
    assert ActionChunk(5.0, 0.5, ("one", "two"), ROWS[:1]).at(np.array([0.0, 9.0])).tolist() == [
        [0.0, 10.0],
        [0.0, 10.0],
    ]


def test_only_an_image_has_a_range_of_depth_and_that_is_one_of_distances():
    StreamSpec("depth", "image", (4, 6, 3), 25.0, depth_range_m=(0.0, 2.0))
    with pytest.raises(ValueError, match="'joints': depth_range_m is for images"):
        StreamSpec("joints", "vector", (1,), 50.0, ("a",), ("m",), depth_range_m=(0.2, 2.0))
    for wrong in ((-0.1, 2.0), (2.0, 2.0), (0.2, np.nan), (0.2, np.inf)):
        with pytest.raises(ValueError, match="'depth': depth_range_m needs 0 <= nearest"):
            StreamSpec("depth", "image", (4, 6, 3), 25.0, depth_range_m=wrong)
