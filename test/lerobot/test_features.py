"""Features of foreign data sets found for the streams of a robot: by name, never by luck."""

import math

import numpy as np
import pytest
from small_bags import ROBOT, small_robot

from ddpm_controller.lerobot.features import Matching, image_size, matched
from ddpm_controller.lerobot.libraries import LeRobotError

CAMERA = {"dtype": "video", "shape": [4, 6, 3], "names": ["height", "width", "channels"]}
ROW = np.array([[1.0, 2.0]])


def features(names=("lift", "grip"), **changes):
    vector = {"dtype": "float32", "shape": [2], "names": names}
    return {
        "observation.state": vector,
        "action": vector,
        "observation.images.camera": CAMERA,
        **changes,
    }


def taken(tmp_path, found, matching=None):
    """Return the state and the action of a row 1, 2 of the data set."""
    vectors, images, action = matched(small_robot(tmp_path), found, matching or Matching({}))
    assert images == {"camera": "observation.images.camera"}
    return vectors["joint_state"].taken(ROW)[0].tolist(), action.taken(ROW)[0].tolist()


@pytest.mark.parametrize(
    "names",
    [["grip", "lift"], ["grip.pos", "lift.pos"], {"motors": ["grip", "lift"]}, [["grip", "lift"]]],
    ids=["another order", "as LeRobot names motors", "below a word", "in a list"],
)
def test_numbers_are_taken_by_name(tmp_path, names):
    assert taken(tmp_path, features(names)) == ([2.0, 1.0], [2.0, 1.0])


@pytest.mark.parametrize("names", [None, ["motor_1", "motor_2"], ["lift", "lift"], ["lift"]])
def test_without_fitting_names_their_order_has_to_be_confirmed(tmp_path, names):
    with pytest.raises(LeRobotError, match="--by-position"):
        taken(tmp_path, features(names))
    found = taken(tmp_path, features(names), Matching({}, by_position=True))
    assert found == ([1.0, 2.0], [1.0, 2.0])


def test_angles_in_degrees_become_rad_and_lengths_stay(tmp_path):
    state, _ = taken(tmp_path, features(), Matching({}, angles="deg"))
    np.testing.assert_allclose(state, [math.radians(1.0), 2.0])


def test_units_that_a_data_set_names_go_before(tmp_path):
    vector = {"dtype": "float32", "shape": [2], "names": ["lift", "grip"], "units": ["rad", "mm"]}
    found = features(**{"observation.state": vector})
    state, _ = taken(tmp_path, found, Matching({}, angles="deg"))
    assert state == [1.0, 0.002]
    with pytest.raises(LeRobotError, match="'lift' is in 'mm', the robot file has 'rad'"):
        taken(tmp_path, features(**{"observation.state": {**vector, "units": ["mm", "m"]}}))


def test_a_feature_of_another_name_is_given(tmp_path):
    found = features()
    found["observation.images.top"] = found.pop("observation.images.camera")
    robot = small_robot(tmp_path)
    with pytest.raises(LeRobotError, match="--feature camera=FEATURE"):
        matched(robot, found, Matching({}))
    _, images, _ = matched(robot, found, Matching({"camera": "observation.images.top"}))
    assert images == {"camera": "observation.images.top"}
    with pytest.raises(LeRobotError, match="no stream is called"):
        matched(robot, found, Matching({"cam": "observation.images.top"}))


def test_pictures_of_another_size_are_refused_with_both(tmp_path):
    found = features(**{"observation.images.camera": {**CAMERA, "shape": [8, 6, 3]}})
    with pytest.raises(LeRobotError, match=r"\[8, 6\].*\[4, 6\]"):
        matched(small_robot(tmp_path, ROBOT), found, Matching({}))


def test_channels_may_stand_first():
    assert image_size({"shape": [3, 4, 6]}) == image_size({"shape": [4, 6, 3]}) == (4, 6)
