"""What a position controller makes of a command, and how a tick is divided."""

import mujoco
import numpy as np
import pytest

from ddpm_controller.simulation.joints import JointRange
from ddpm_controller.simulation.set_point import SetPoint, num_substeps

LIMITS = JointRange(np.array([-1.0, 0.0]), np.array([1.0, 0.5]), np.array([2.0, 1.0]))


def set_point() -> SetPoint:
    made = SetPoint(("turn", "slide"), LIMITS, tick_s=0.1)
    made.begin(np.array([0.0, 0.2]))
    return made


def test_it_goes_as_far_as_position_and_velocity_allow():
    made = set_point()
    np.testing.assert_allclose(made.follow(np.array([0.1, 9.0])), [0.1, 0.3])
    for _ in range(9):
        made.follow(np.array([9.0, 9.0]))
    np.testing.assert_allclose(made.position, [1.0, 0.5])


@pytest.mark.parametrize("command", [[0.0], [0.0, np.nan], [[0.0, 0.1]]])
def test_a_bad_command_is_refused_and_changes_nothing(command):
    made = set_point()
    with pytest.raises(ValueError, match=r"2 finite positions for \['turn', 'slide'\]"):
        made.follow(np.array(command))
    np.testing.assert_array_equal(made.position, [0.0, 0.2])


def test_a_position_that_was_given_out_is_a_copy():
    made = set_point()
    made.position[:] = 7.0
    np.testing.assert_array_equal(made.position, [0.0, 0.2])


def test_a_tick_must_be_whole_steps_of_the_physics():
    model = mujoco.MjModel.from_xml_string("<mujoco><option timestep='0.005'/></mujoco>")
    assert num_substeps(model, 50.0) == 4
    for tick_hz in (60.0, 0.0, -50.0):
        with pytest.raises(ValueError, match=f"{tick_hz} must divide 200 Hz"):
            num_substeps(model, tick_hz)
