"""Orientations against scipy, and their forms that a policy sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from ddpm_controller.control.observing.rotations import (
    IDENTITY,
    RotationError,
    between,
    inverse,
    normalized,
    on_the_side_of,
    product,
    rotated,
    rotation_vector,
    six_numbers,
)

seeds = st.integers(0, 2**32 - 1)


def rotations(seed, count=2):
    return Rotation.random(count, np.random.default_rng(seed))


def same(a, b):
    return abs(abs(np.dot(a, b)) - 1) < 1e-9


@given(seeds)
def test_products_inverses_and_rotated_vectors_are_those_of_scipy(seed):
    a, b = rotations(seed)
    p, q = map(tuple, (a.as_quat(), b.as_quat()))
    assert same(product(p, q), (a * b).as_quat())
    assert same(inverse(p), a.inv().as_quat())
    vector = (0.3, -1.2, 2.0)
    np.testing.assert_allclose(rotated(p, vector), a.apply(vector), atol=1e-12)


@given(seeds, st.floats(0, 1), st.sampled_from([1.0, -1.0]))
def test_the_way_between_two_is_the_shorter_one_whatever_the_signs_are(seed, share, sign):
    a, b = rotations(seed)
    expected = Slerp([0, 1], Rotation.concatenate([a, b]))(share)
    found = between(tuple(a.as_quat()), tuple(sign * b.as_quat()), share)
    assert same(found, expected.as_quat())


@given(seeds, st.sampled_from([1.0, -1.0]))
def test_six_numbers_are_two_columns_of_the_matrix_for_both_signs(seed, sign):
    (a,) = rotations(seed, 1)
    found = six_numbers(tuple(sign * a.as_quat()))
    matrix = a.as_matrix()
    np.testing.assert_allclose(found, np.concatenate([matrix[:, 0], matrix[:, 1]]), atol=1e-12)


@given(seeds, st.floats(0.0, 2.9), st.sampled_from([1.0, -1.0]))
def test_a_rotation_vector_counts_from_its_reference_in_the_fixed_frame(seed, angle, sign):
    reference, axis = rotations(seed)
    turn = Rotation.from_rotvec(angle * axis.apply([0, 0, 1]))
    q = tuple(sign * (turn * reference).as_quat())
    found = rotation_vector(tuple(reference.as_quat()), q)
    np.testing.assert_allclose(found, turn.as_rotvec(), atol=1e-9)


def test_a_whole_turn_has_no_jump_in_six_numbers_and_is_refused_as_a_vector():
    turns = [Rotation.from_rotvec([0, 0, angle]) for angle in np.linspace(0, 2 * np.pi, 200)]
    # As a driver that keeps the last number positive sends them.
    sent = [normalized(each.as_quat(canonical=True)) for each in turns]
    rows = np.array([six_numbers(each) for each in sent])
    assert np.abs(np.diff(rows, axis=0)).max() < 0.04
    raised = 0
    for each in sent:
        try:
            rotation_vector(IDENTITY, each)
        except RotationError:
            raised += 1
    assert raised > 5


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_components_keep_to_the_side_of_their_reference(sign):
    reference = (1.0, 0.0, 0.0, 0.0)
    q = tuple(sign * Rotation.from_euler("xyz", [3.0, 0.2, 0.1]).as_quat())
    assert on_the_side_of(reference, q)[0] > 0.9
