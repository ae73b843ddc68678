"""Chains of frames, static and moving, against matrices."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from ddpm_controller.control.observing.transforms import (
    KEPT_S,
    Transform,
    TransformBuffer,
    TransformError,
)


def transform(random):
    x, y, z = random.normal(size=3)
    return Transform((x, y, z), tuple(Rotation.random(None, random).as_quat()))


def matrix(of):
    found = np.eye(4)
    found[:3, :3] = Rotation.from_quat(of.rotation).as_matrix()
    found[:3, 3] = of.translation
    return found


def at(translation):
    return Transform((float(translation), 0.0, 0.0))


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_a_chain_up_and_down_the_tree_is_the_product_of_its_links(random):
    """The tool is two links below base, the camera two links below world, base one."""
    buffer, links = TransformBuffer(), {}
    for parent, child, is_static in (
        ("world", "base", True),
        ("base", "wrist", False),
        ("wrist", "tool", True),
        ("world", "mast", False),
        ("mast", "camera", True),
    ):
        links[child] = transform(random)
        buffer.add(parent, child, 5.0, links[child], is_static=is_static)
    up = matrix(links["base"]) @ matrix(links["wrist"]) @ matrix(links["tool"])
    down = matrix(links["mast"]) @ matrix(links["camera"])
    stamp_s, found = buffer.newest("camera", "tool")
    assert stamp_s == 5.0
    np.testing.assert_allclose(matrix(found), np.linalg.inv(down) @ up, atol=1e-12)
    _, whole = buffer.newest("world", "tool")
    np.testing.assert_allclose(matrix(whole), up, atol=1e-12)
    _, back = buffer.newest("tool", "world")
    np.testing.assert_allclose(matrix(back), np.linalg.inv(up), atol=1e-12)


def test_the_moment_is_the_latest_that_every_moving_link_is_known_for(random):
    buffer, ends = TransformBuffer(), [transform(random), transform(random)]
    buffer.add("base", "wrist", 1.0, ends[0], is_static=False)
    buffer.add("base", "wrist", 2.0, ends[1], is_static=False)
    buffer.add("wrist", "tool", 1.25, Transform(), is_static=False)
    stamp_s, found = buffer.newest("base", "tool")
    assert stamp_s == 1.25
    turns = Rotation.from_quat([each.rotation for each in ends])
    expected = np.eye(4)
    expected[:3, :3] = Slerp([1.0, 2.0], turns)(1.25).as_matrix()
    expected[:3, 3] = 0.75 * np.array(ends[0].translation) + 0.25 * np.array(ends[1].translation)
    np.testing.assert_allclose(matrix(found), expected, atol=1e-12)


def test_frames_that_are_not_connected_or_not_at_one_moment_are_waited_for():
    buffer = TransformBuffer()
    assert buffer.newest("base", "tool") is None
    buffer.add("base", "wrist", 5.0, at(1), is_static=False)
    assert buffer.newest("base", "tool") is None
    buffer.add("wrist", "tool", 4.0, at(1), is_static=False)
    assert buffer.newest("base", "tool") is None  # base to wrist is not known at 4
    buffer.add("wrist", "tool", 6.0, at(3), is_static=False)
    assert buffer.newest("base", "tool") == (5.0, at(3))
    assert buffer.frames == ["base", "tool", "wrist"]


def test_static_links_alone_hold_at_any_moment():
    buffer = TransformBuffer()
    buffer.add("base", "camera", 3.0, at(1), is_static=True)
    assert buffer.newest("base", "camera") == (math.inf, at(1))
    buffer.add("base", "camera", 4.0, at(2), is_static=True)
    assert buffer.newest("base", "camera") == (math.inf, at(2))


def test_a_loop_of_frames_is_refused_with_its_frames():
    buffer = TransformBuffer()
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a")):
        buffer.add(parent, child, 1.0, at(1), is_static=False)
    with pytest.raises(TransformError, match="loop.*b -> a -> c -> b"):
        buffer.newest("world", "b")


def test_a_frame_that_gets_another_parent_moves_there():
    buffer = TransformBuffer()
    buffer.add("table", "cup", 1.0, at(1), is_static=False)
    buffer.add("table", "hand", 1.0, at(10), is_static=False)
    buffer.add("hand", "cup", 2.0, at(3), is_static=False)
    buffer.add("table", "hand", 2.0, at(20), is_static=False)
    assert buffer.newest("table", "cup") == (2.0, at(23))


def test_what_is_older_than_the_history_is_forgotten():
    buffer = TransformBuffer()
    for second in range(30):
        buffer.add("base", "wrist", float(second), at(second), is_static=False)
    buffer.add("wrist", "tool", 29.0 - KEPT_S - 1.0, at(0), is_static=False)
    assert buffer.newest("base", "tool") is None
    buffer.add("wrist", "tool", 25.5, at(0), is_static=False)
    assert buffer.newest("base", "tool") == (25.5, at(25.5))


def test_a_message_that_is_late_or_comes_twice_changes_nothing_that_was_there():
    buffer = TransformBuffer()
    for second in (1.0, 3.0, 2.0):
        buffer.add("base", "tool", second, at(second), is_static=False)
    buffer.add("base", "tool", 3.0, at(99), is_static=False)
    assert buffer.newest("base", "tool") == (3.0, at(3))
