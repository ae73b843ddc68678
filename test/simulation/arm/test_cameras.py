import itertools

import mujoco
import numpy as np
import pytest

from ddpm_controller.simulation.arm.pick_place_world import CUBE_AREA, PickPlaceWorld
from ddpm_controller.simulation.arm.reach_world import BALL_AREA, ReachWorld
from ddpm_controller.simulation.camera import CameraSpec


def reddish(picture: np.ndarray) -> np.ndarray:
    """Mask (H, W) of the ball or the cube: nothing else is red."""
    red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
    return (red > 80) & (red > 2 * green) & (red > 2 * blue)


def greenish(picture: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
    return (green > 80) & (green > 2 * red) & (green > 2 * blue)


def put(world: PickPlaceWorld, cube: tuple[float, float], pad: tuple[float, float]) -> None:
    world._state.joint("cube").qpos[:2] = cube
    world._state.mocap_pos[0, :2] = pad
    mujoco.mj_forward(world.scene.model, world._state)


def test_cube_and_pad_are_seen_by_the_fixed_camera_all_over_their_area():
    world = PickPlaceWorld()
    world.reset(0)
    corners = list(itertools.product(CUBE_AREA[0], CUBE_AREA[1]))
    for cube, pad in zip(corners, reversed(corners), strict=True):
        put(world, cube, pad)
        picture = world.render("camera_fixed")
        assert reddish(picture).sum() > 40
        rows, columns = np.nonzero(greenish(picture))
        assert len(rows) > 300
        # The whole pad, not cut by the border.
        assert min(rows.min(), columns.min()) > 0
        assert max(rows.max(), columns.max()) < 95
    world.close()


def test_the_ball_is_seen_by_the_fixed_camera_all_over_its_area():
    world = ReachWorld()
    world.reset(0)
    for corner in itertools.product(BALL_AREA[0], BALL_AREA[1]):
        world._state.mocap_pos[0, :2] = corner
        mujoco.mj_forward(world.scene.model, world._state)
        assert (world.render("camera_fixed")[:, :, 0] > 120).sum() > 60
    world.close()


def test_the_wrist_camera_sees_the_cube_between_the_fingers():
    world = PickPlaceWorld()
    world.reset(0)
    put(world, tuple(world.tip[:2]), (0.5, 0.15))
    mask = reddish(world.render("camera_wrist"))
    assert (mask != reddish(world.render("camera_fixed"))).any()
    rows, columns = np.nonzero(mask)
    assert len(rows) > 30
    assert columns.mean() == pytest.approx(48, abs=8)
    world.close()


def test_intrinsics_project_the_cube_to_where_it_is_seen():
    """Pinhole by hand: camera axes from position, target and up; y of a picture is down."""
    world = PickPlaceWorld()
    world.reset(4)
    put(world, (0.5, 0.15), (0.3, -0.15))
    camera = next(camera for camera in world.cameras if camera.name == "camera_fixed")
    forward = np.subtract(camera.target, camera.position)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, camera.up)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])
    pixel = camera.intrinsics @ axes @ (world.cube - np.array(camera.position))
    rows, columns = np.nonzero(reddish(world.render("camera_fixed")))
    # Half the size of the cube in the picture is five pixels; its centre is seen to one or two.
    assert pixel[0] / pixel[2] == pytest.approx(columns.mean(), abs=2.0)
    assert pixel[1] / pixel[2] == pytest.approx(rows.mean(), abs=2.0)
    world.close()


def test_a_new_renderer_after_close_shows_the_present_and_not_an_old_frame():
    world = ReachWorld()
    world.reset(1)
    old = world.render("camera_fixed")
    world.close()
    world.reset(2)
    new = world.render("camera_fixed")
    assert (new != old).any()
    world.reset(1)
    np.testing.assert_array_equal(world.render("camera_fixed"), old)
    world.close()


def test_pictures_are_rgb_bytes_of_the_size_that_the_camera_says():
    world = ReachWorld()
    for camera in world.cameras:
        picture = world.render(camera.name)
        assert picture.shape == (camera.height, camera.width, 3)
        assert picture.dtype == np.uint8
    world.close()


def test_an_impossible_angle_of_view_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and pi, got 4\.0"):
        CameraSpec("eye", "world", (0, 0, 1), (0, 0, 0), (1, 0, 0), 4.0)
