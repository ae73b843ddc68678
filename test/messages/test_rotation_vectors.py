import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ddpm_controller.messages.rotation_vectors import quaternion_from, rotation_vector_from

IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


def test_vectors_and_quaternions_are_those_of_scipy_about_any_reference():
    generator = np.random.default_rng(3)
    for _ in range(200):
        reference, turn = Rotation.random(2, generator)
        vector = turn.as_rotvec()
        found = quaternion_from(vector, reference.as_quat())
        # The turn is in the fixed frame: it comes after the reference.
        assert (Rotation.from_quat(found) * (turn * reference).inv()).magnitude() < 1e-7
        again = rotation_vector_from(found, reference.as_quat())
        np.testing.assert_allclose(again, vector, atol=1e-7)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_both_quaternions_of_an_orientation_are_the_same_vector(sign):
    quarter = np.array([0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)])
    vector = rotation_vector_from(sign * quarter, IDENTITY)
    np.testing.assert_allclose(vector, [0, 0, np.pi / 2], atol=1e-12)


def test_a_turn_near_nothing_is_exact():
    vector = np.array([1e-10, 0.0, -3e-12])
    found = rotation_vector_from(quaternion_from(vector, IDENTITY), IDENTITY)
    np.testing.assert_allclose(found, vector, rtol=1e-6)


@pytest.mark.parametrize("quaternion", [[0, 0, 0, 0], [0, 0, np.nan, 1]])
def test_an_orientation_without_length_is_refused(quaternion):
    with pytest.raises(ValueError, match="length 1"):
        rotation_vector_from(np.array(quaternion, dtype=float), IDENTITY)
