"""What a policy sees of a message: its size, the part that is kept, and the new size."""

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from pictures import compressed, image, png, raw
from sensor_msgs.msg import CompressedImage, Image
from small_bags import MS, ROBOT, START_NS, TOPICS, T, header, run_messages, small_robot, write_bag

from ddpm_controller.bags.conversions import ConversionError, observation_from
from ddpm_controller.bags.episodes import read_bag
from ddpm_controller.messages.image_encodings import COLORS, DISTANCES, ImageError
from ddpm_controller.messages.images import image_from, seen
from ddpm_controller.messages.resizing import resized

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize("encoding", COLORS)
def test_a_raw_picture_of_another_size_is_refused_with_both_sizes(encoding):
    message = raw(np.zeros((6, 6 * 8), np.uint8), encoding, 6, height=2)
    with pytest.raises(ImageError, match="image of 2 x 6 came .* the robot file has 4 x 6"):
        image_from(message, 4, 6)


@pytest.mark.parametrize(
    "message",
    [
        compressed(simplejpeg.encode_jpeg(np.zeros((18, 16, 3), np.uint8)), "jpeg"),
        compressed(png(np.zeros((18, 16, 3), np.uint8)), "png"),
        compressed(bytes(12) + png(np.zeros((18, 16), np.uint16)), "16UC1; compressedDepth"),
    ],
    ids=["jpeg", "png", "compressedDepth"],
)
def test_a_compressed_picture_of_another_size_is_refused_before_it_is_decoded(message):
    """The body is missing: what was decoded first would be refused for that."""
    content = bytes(message.data)
    body = content.find(b"\xff\xda") if b"PNG" not in content else content.index(b"IDAT")
    message.data = np.frombuffer(content[: body + 14] + b"\xff\xd9", np.uint8)
    depth = (0.2, 2.0) if "Depth" in message.format else None
    with pytest.raises(ImageError, match="image of 18 x 16 came"):
        image_from(message, 16, 16, depth_range_m=depth)
    with pytest.raises(ImageError, match="decoded"):
        image_from(message, 18, 16, depth_range_m=depth)


def test_a_picture_is_cropped_in_pixels_of_the_message_and_then_resized():
    message = image(PIXELS, "rgb8")
    part = PIXELS[1:3, 2:6]
    np.testing.assert_array_equal(image_from(message, 4, 6, crop=(1, 2, 2, 4)), part)
    half = image_from(message, 4, 6, (1, 2), (1, 2, 2, 4))
    np.testing.assert_array_equal(half, resized(part, 1, 2))


@pytest.mark.parametrize("size", [(2, 3), (4, 6), (8, 6), (5, 12)])
def test_a_picture_is_resized_to_a_smaller_or_larger_size(size):
    assert image_from(image(PIXELS, "rgb8"), 4, 6, size).shape == (*size, 3)


def test_what_a_policy_sees_lies_row_behind_row():
    assert seen(PIXELS, crop=(0, 1, 4, 3)).flags.c_contiguous


def test_a_larger_picture_repeats_its_pixels():
    np.testing.assert_array_equal(seen(PIXELS, (8, 6)), PIXELS.repeat(2, axis=0))


CAMERAS = """
  webcam: {topic: webcam, type: sensor_msgs/msg/Image, height: 6, width: 8, crop: [0, 2, 6, 4],
           resize: [3, 2], rate_hz: 25.0, max_age_s: 0.5}
  depth: {topic: depth, type: sensor_msgs/msg/CompressedImage, height: 6, width: 8,
          resize: [3, 4], depth_range_m: [0.2, 2.0], rate_hz: 25.0, max_age_s: 0.5}
"""
RNG = np.random.default_rng(1)
LIVE = {
    "webcam": raw(RNG.integers(0, 256, (6, 16), dtype=np.uint8), "yuyv", 8, padding=4),
    "depth": compressed(
        bytes(12) + png(RNG.integers(0, 2500, (6, 8), dtype=np.uint16)), "16UC1; compressedDepth"
    ),
}


def recorded(message, stamp_ns):
    """Return a message as a reader of bags has it, of another class than on a robot."""
    data = np.frombuffer(message.data, np.uint8)
    if isinstance(message, CompressedImage):
        kind = T["sensor_msgs/msg/CompressedImage"]
        return kind(header(stamp_ns), message.format, data)
    size = (message.height, message.width, message.encoding, message.is_bigendian, message.step)
    return T["sensor_msgs/msg/Image"](header(stamp_ns), *size, data)


def test_a_bag_and_a_live_topic_give_the_same_pictures(tmp_path):
    robot = small_robot(tmp_path, ROBOT.replace("\naction:", CAMERAS.rstrip() + "\naction:"))
    messages = list(run_messages())
    for name, message in LIVE.items():
        for ms in range(0, 1001, 40):
            stamp_ns = START_NS + ms * MS
            messages.append((f"/{name}", stamp_ns, recorded(message, stamp_ns)))
    topics = {**TOPICS, "/webcam": "sensor_msgs/msg/Image"}
    topics["/depth"] = "sensor_msgs/msg/CompressedImage"
    bag = write_bag(tmp_path / "bag", messages, topics=topics)
    (episode,) = read_bag(bag, robot)
    for stream in robot.streams[-2:]:
        _, live, _ = observation_from(LIVE[stream.spec.name], stream)
        assert live.shape == stream.spec.shape
        assert 0 < live.mean() < 255
        for picture in episode.values[stream.spec.name]:
            np.testing.assert_array_equal(picture, live)


def test_a_picture_that_is_refused_names_its_stream(tmp_path):
    robot = small_robot(tmp_path)
    with pytest.raises(ConversionError, match="camera: encoding 'yuv420' is not read"):
        observation_from(Image(height=4, width=6, encoding="yuv420"), robot.streams[1])


def picture_or_refusal(message, height, width, depth):
    """Decode whatever came; only a refusal may be raised."""
    try:
        pixels = image_from(message, height, width, (3, 2), depth_range_m=depth)
    except ImageError:
        return
    assert (pixels.shape, pixels.dtype) == ((3, 2, 3), np.uint8)


DEPTHS = st.sampled_from([None, (0.2, 2.0)])


@given(
    st.sampled_from([*COLORS, *DISTANCES, "other"]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(0, 80),
    st.binary(max_size=400),
    st.booleans(),
    DEPTHS,
)
def test_whatever_raw_message_comes_it_is_a_picture_or_refused(
    encoding, size, step, content, is_bigendian, depth
):
    message = Image(height=size[0], width=size[1], encoding=encoding, step=step)
    message.is_bigendian = int(is_bigendian)
    message.data = np.frombuffer(content, np.uint8)
    picture_or_refusal(message, *size, depth)


FILES = [
    simplejpeg.encode_jpeg(np.full((8, 8, 3), 90, np.uint8)),
    png(PIXELS),
    png(PIXELS[..., 0].astype(np.uint16) * 300),
    bytes(12) + png(PIXELS[..., 0].astype(np.uint16) * 300),
]
FORMATS = ["png", "jpeg", "16UC1; compressedDepth", "32FC1; compressedDepth", "bayer_rggb8; png"]


@given(
    st.sampled_from(FILES),
    st.sampled_from(FORMATS),
    st.integers(0, 900),
    st.binary(max_size=6),
    st.integers(0, 900),
    DEPTHS,
)
def test_whatever_compressed_message_comes_it_is_a_picture_or_refused(
    content, format_, place, bytes_, kept, depth
):
    place %= len(content)
    changed = content[:place] + bytes_ + content[place + len(bytes_) :]
    for each in (changed, changed[:kept]):
        for size in ((8, 8), (4, 6)):
            picture_or_refusal(compressed(each, format_), *size, depth)
