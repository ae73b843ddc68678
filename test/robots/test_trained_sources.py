"""What a checkpoint keeps of where its streams came from, and how that is compared."""

import json
import re

import pytest
import yaml
from small_bags import ROBOT, small_robot

from ddpm_controller.messages.camera_view import CameraView
from ddpm_controller.robots.trained_sources import compare_sources, sources_of

STREAMS = """
  effort: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [lift], units: [Nm],
           field: effort, rate_hz: 50.0, max_age_s: 0.3}
  pose: {topic: p, type: geometry_msgs/msg/PoseStamped, rate_hz: 50.0, max_age_s: 0.3,
         fields: [pose.position.x, pose.orientation.z]}
  tool: {tf: {parent: base_link, child: tool0}, rate_hz: 50.0, max_age_s: 0.3}
action:"""
TEXT = ROBOT.replace("\naction:", STREAMS)


def changed(folder, stream, changes):
    """Streams of the robot with other keys in one of them."""
    file = yaml.safe_load(TEXT)
    file["streams"][stream] |= changes
    return small_robot(folder, yaml.safe_dump(file, sort_keys=False)).streams


def kept(folder, text=TEXT):
    """As a checkpoint has it: through JSON."""
    robot = small_robot(folder, text)
    views = {"camera": CameraView(-0.5, -0.4, 0.5, 0.4)}
    return json.loads(json.dumps(sources_of(robot.streams, views)))


def test_the_same_robot_and_a_checkpoint_from_before_are_taken(tmp_path):
    streams = small_robot(tmp_path, TEXT).streams
    for trained in (kept(tmp_path), {}):
        compared = compare_sources(trained, streams)
        assert not compared.refused + compared.noted


@pytest.mark.parametrize(
    ("stream", "changes", "text"),
    [
        ("effort", {"field": "velocity"}, "field: checkpoint effort, robot velocity"),
        (
            "pose",
            {"fields": ["pose.position.y", "pose.orientation.z"]},
            r"fields: checkpoint \['pose.position.x', .* robot \['pose.position.y'",
        ),
        ("pose", {"reference": [1, 0, 0, 0]}, r"reference: checkpoint \[0.*1.0\], robot \[1.0"),
        ("camera", {"width": 8, "resize": [4, 6]}, "aspect: checkpoint 1.5, robot 2.0"),
        (
            "camera",
            {"crop": [0, 0, 4, 4], "resize": [4, 6]},
            "aspect: checkpoint 1.5, robot 1.0",
        ),
    ],
)
def test_another_field_or_a_squeezed_picture_is_refused_with_both_sides(
    tmp_path, stream, changes, text
):
    compared = compare_sources(kept(tmp_path), changed(tmp_path, stream, changes))
    assert any(re.search(text, line) for line in compared.refused)
    assert all(f"stream {stream!r}: " in line for line in compared.refused)


@pytest.mark.parametrize(
    ("stream", "changes", "text"),
    [
        (
            "tool",
            {"tf": {"parent": "base_link", "child": "ur_tool0"}},
            r"frames: checkpoint \['base_link', 'tool0'\], robot \['base_link', 'ur_tool0'",
        ),
        (
            "camera",
            {"height": 8, "width": 12, "resize": [4, 6]},
            r"message_size: checkpoint \[4, 6\], robot \[8, 12\]",
        ),
        (
            "pose",
            {
                "type": "geometry_msgs/msg/PoseWithCovarianceStamped",
                "fields": ["pose.pose.position.x", "pose.pose.orientation.z"],
            },
            "type: checkpoint geometry_msgs/msg/PoseStamped, robot ",
        ),
    ],
)
def test_what_may_be_the_same_under_another_name_is_noted_with_both_sides(
    tmp_path, stream, changes, text
):
    compared = compare_sources(kept(tmp_path), changed(tmp_path, stream, changes))
    assert not compared.refused
    assert any(re.search(text, line) for line in compared.noted)
