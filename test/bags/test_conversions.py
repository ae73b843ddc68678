import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.bags.conversions import (
    ConversionError,
    byte_array,
    command_from,
    image_from,
    resized,
    seconds,
    stamp_from,
    vector_from,
)
from ddpm_controller.robots.robot import JOINT_TRAJECTORY, RobotAction
from ddpm_controller.types import ActionSpec

NAMES = ("shoulder", "elbow")
ACTION = RobotAction(ActionSpec(NAMES, ("rad", "rad"), 0.1), "joint_trajectory", JOINT_TRAJECTORY)


@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))
def test_a_stamp_becomes_the_same_float_again_after_a_round_trip(sec, nanosec):
    stamp_s = seconds(SimpleNamespace(sec=sec, nanosec=nanosec))
    again = stamp_from(stamp_s)
    assert 0 <= again[1] < 1_000_000_000
    assert seconds(SimpleNamespace(sec=again[0], nanosec=again[1])) == stamp_s


@pytest.mark.parametrize(
    ("stamp_s", "parts"),
    [
        (1.5, (1, 500_000_000)),
        (0.1, (0, 100_000_000)),
        (2.9999999999, (3, 0)),
        (-0.25, (-1, 75e7)),
    ],
)
def test_a_time_is_rounded_to_the_nearest_nanosecond(stamp_s, parts):
    assert stamp_from(stamp_s) == parts


def test_joints_are_taken_by_name_whatever_their_order():
    message = JointState(name=["elbow", "gripper", "shoulder"], position=[2.0, 3.0, 1.0])
    np.testing.assert_array_equal(vector_from(message, NAMES), [1.0, 2.0])


BAD_STATES = {
    "a name is missing": (["elbow"], [1.0], r"\['shoulder'\] are missing"),
    "fewer numbers": (["elbow", "shoulder"], [1.0], "2 joint names but 1"),
    "no numbers": (["elbow", "shoulder"], [], "2 joint names but 0"),
}


@pytest.mark.parametrize(("names", "numbers", "text"), BAD_STATES.values(), ids=BAD_STATES)
def test_joints_that_are_not_all_there_are_refused_with_both_lists(names, numbers, text):
    with pytest.raises(ConversionError, match=text):
        vector_from(JointState(name=names, position=numbers), NAMES)


def test_a_trajectory_commands_the_first_point_by_name_and_an_array_by_order():
    point = JointTrajectoryPoint(positions=[2.0, 1.0])
    trajectory = JointTrajectory(joint_names=["elbow", "shoulder"], points=[point])
    np.testing.assert_array_equal(command_from(trajectory, ACTION), [1.0, 2.0])
    array = Float64MultiArray(data=[1.0, 2.0])
    np.testing.assert_array_equal(command_from(array, ACTION), [1.0, 2.0])


@pytest.mark.parametrize(
    "message", [JointTrajectory(joint_names=list(NAMES)), Float64MultiArray(data=[1.0])]
)
def test_a_command_of_another_size_is_refused(message):
    with pytest.raises(ConversionError, match="command"):
        command_from(message, ACTION)


PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def image(pixels, encoding, padding=0):
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)), constant_values=99)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.data = byte_array(rows)
    return message


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("pixels", "encoding", "expected"),
    [
        (PIXELS, "rgb8", PIXELS),
        (PIXELS[:, :, ::-1], "bgr8", PIXELS),
        (PIXELS[:, :, 0], "mono8", PIXELS[:, :, [0, 0, 0]]),
    ],
)
def test_every_encoding_gives_rgb_and_padded_rows_are_cut(pixels, encoding, expected, padding):
    taken = image_from(image(pixels, encoding, padding), 4, 6)
    np.testing.assert_array_equal(taken, expected)
    assert taken.flags.c_contiguous


def test_an_image_does_not_share_the_memory_of_its_message():
    message = image(PIXELS, "rgb8")
    taken = image_from(message, 4, 6)
    message.data[0] = (int(message.data[0]) + 1) % 256
    np.testing.assert_array_equal(taken, PIXELS)


def test_a_jpeg_is_decoded_to_rgb():
    smooth = np.zeros((16, 16, 3), np.uint8) + np.array([200, 100, 30], np.uint8)
    message = CompressedImage(format="jpeg")
    message.data = byte_array(np.frombuffer(simplejpeg.encode_jpeg(smooth, 95), np.uint8))
    taken = image_from(message, 16, 16)
    # JPEG quantizes an even colour by a few levels.
    assert np.abs(taken.astype(int) - smooth).max() <= 4
    with pytest.raises(ConversionError, match="16 x 16 came"):
        image_from(message, 16, 32)
    message.data = message.data[:100]
    with pytest.raises(ConversionError, match=r"JPEG|decoded"):
        image_from(message, 16, 16)


def test_a_jpeg_of_another_size_is_refused_by_its_header_before_it_is_decoded():
    """The body is missing: what was decoded first would be refused for that."""
    whole = simplejpeg.encode_jpeg(np.zeros((18, 16, 3), np.uint8))
    headers = whole[: whole.index(b"\xff\xda") + 14] + b"\xff\xd9"
    message = CompressedImage(format="jpeg", data=np.frombuffer(headers, np.uint8))
    with pytest.raises(ConversionError, match="image of 18 x 16 came"):
        image_from(message, 16, 16)


def test_something_that_is_no_jpeg_is_refused():
    message = CompressedImage(format="png")
    message.data = byte_array(np.arange(50, dtype=np.uint8))
    with pytest.raises(ConversionError, match="'png' is not a JPEG"):
        image_from(message, 4, 6)


def cut(message):
    del message.data[-1:]
    return message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (image(PIXELS[:2], "rgb8"), "2 x 6 came"),
        (image(PIXELS, "yuv422"), "yuv422"),
        (cut(image(PIXELS, "rgb8")), "71 bytes"),
    ],
)
def test_an_image_that_is_not_what_the_robot_file_says_is_refused(message, text):
    with pytest.raises(ConversionError, match=text):
        image_from(message, 4, 6)


def test_a_smaller_image_is_the_mean_over_areas():
    blocks = resized(PIXELS, 2, 3)
    expected = PIXELS.reshape(2, 2, 3, 2, 3).astype(float).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks, expected, atol=0.5)
    # 4 rows on 3: the first new row is all of row 0 and a third of row 1.
    uneven = resized(PIXELS, 3, 6)[0]
    np.testing.assert_allclose(uneven, (PIXELS[0] * 3.0 + PIXELS[1]) / 4, atol=0.51)
    even = np.full((480, 640, 3), 77, np.uint8)
    assert (resized(even, 96, 96) == 77).all()


def test_an_image_is_resized_where_the_policy_wants_another_size():
    assert image_from(image(PIXELS, "rgb8"), 4, 6, (2, 3)).shape == (2, 3, 3)


def area_mean(pixels, height, width):
    """The mean over areas by its definition, with dense weights in double precision."""
    weights = []
    for size, new_size in zip(pixels.shape, (height, width), strict=False):
        edges, pixel = np.arange(new_size + 1) * (size / new_size), np.arange(size)
        overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
        weights.append(np.clip(overlap, 0, None) * (new_size / size))
    return np.einsum("ih,jw,hwc->ijc", *weights, pixels.astype(float))


@pytest.mark.parametrize(
    ("size", "new_size"),
    [((96, 96), (64, 64)), ((48, 60), (7, 11)), ((30, 20), (30, 50)), ((64, 64), (64, 64))],
)
def test_a_resized_picture_is_the_mean_over_areas(size, new_size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    exact = area_mean(pixels, *new_size)
    # Half a grey level is rounded; single precision adds less than a thousandth.
    assert np.abs(resized(pixels, *new_size) - exact).max() < 0.501


RESIZE = """
import time
import numpy as np
from ddpm_controller.bags.conversions import resized
pixels = np.zeros((1440, 1920, 3), np.uint8)
resized(pixels, 448, 448)
all_s, this_s = time.process_time(), time.thread_time()
for _ in range(5):
    resized(pixels, 448, 448)
print((time.process_time() - all_s) / (time.thread_time() - this_s))
"""


def test_a_picture_is_resized_by_the_calling_thread_alone():
    """A library that starts a thread a core would be slower beside other processes, not faster."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    words = [sys.executable, "-c", RESIZE]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    # CPU time of the process as a share of that of the thread; 2 with two threads at work.
    assert float(done.stdout) < 1.05
