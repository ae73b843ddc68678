"""The field of view of what a policy sees, by CameraInfo."""

from types import SimpleNamespace as Message

import numpy as np
import pytest

from ddpm_controller.messages.camera_view import (
    CameraError,
    CameraView,
    as_fact,
    view_from,
    view_problem,
    views_in,
)

WHOLE = (0, 0, 480, 640)
NO_ROI = Message(width=0, height=0, x_offset=0, y_offset=0)


def info(focal=600.0, width=640, height=480, centre=None, roi=NO_ROI):
    x, y = centre or (width / 2, height / 2)
    k = np.array([focal, 0, x, 0, focal, y, 0, 0, 1.0])
    return Message(k=k, width=width, height=height, roi=roi)


def test_the_view_of_a_whole_picture_is_that_of_its_edges():
    view = view_from(info(), (480, 640), WHOLE)
    assert view.right == pytest.approx(320 / 600)
    assert view.top == pytest.approx(-240 / 600)
    assert str(view) == "56.1 x 43.6 degrees, optical axis at 50 % and 50 %"


def test_a_calibration_of_another_resolution_gives_the_same_view():
    large = info(1200.0, 1280, 960)
    assert view_from(large, (480, 640), WHOLE) == view_from(info(), (480, 640), WHOLE)


def test_what_is_cropped_by_the_driver_and_by_the_robot_file_is_not_seen():
    part = view_from(info(), (480, 640), (0, 80, 480, 480))
    assert (part.left, part.right) == pytest.approx((-240 / 600, 240 / 600))
    roi = Message(width=480, height=480, x_offset=80, y_offset=0)
    assert view_from(info(roi=roi), (480, 480), (0, 0, 480, 480)) == part


@pytest.mark.parametrize("focal", [0.0, np.nan])
def test_a_camera_that_is_not_calibrated_has_no_view(focal):
    assert view_from(info(focal), (480, 640), WHOLE) is None


def test_a_calibration_of_another_shape_is_named_with_both_sizes():
    with pytest.raises(CameraError, match="of 720 x 1280 pixels, the pictures have 480 x 640"):
        view_from(info(900.0, 1280, 720), (480, 640), WHOLE)


@pytest.mark.parametrize(
    ("now", "differs"),
    [
        (info(), False),
        (info(612.0), False),  # two calibrations of one camera
        (info(centre=(328.0, 236.0)), False),
        (info(700.0), True),  # another lens
        (info(540.0), True),
        (info(centre=(360.0, 240.0)), True),  # another part of the picture
    ],
)
def test_another_view_than_in_training_is_named_with_both(now, differs):
    trained = view_from(info(), (480, 640), WHOLE)
    text = view_problem("front", trained, view_from(now, (480, 640), WHOLE))
    assert bool(text) == differs
    if differs:
        assert "front: the field of view is " in text
        assert "in training it was 56.1 x 43.6 degrees" in text


def test_a_checkpoint_keeps_a_view():
    view = view_from(info(), (480, 640), WHOLE)
    sources = {"front": {"view": as_fact(view)}, "joint_state": {"field": "position"}}
    (kept,) = views_in(sources).values()
    assert not kept.differs_from(view)
    assert isinstance(kept, CameraView)
    assert views_in({}) == {}
