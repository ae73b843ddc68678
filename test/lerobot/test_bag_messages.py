"""Every message that is written for an episode is read as the numbers that it was made of."""

import numpy as np
import pytest
from small_bags import ROBOT, small_robot

from ddpm_controller.bags.command_messages import command_from
from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.stream_reader import StreamReader
from ddpm_controller.lerobot.bag_messages import (
    EpisodeMessages,
    bag_topics,
    refuse_unwritable_streams,
)
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.robots.outputs import ACTIONS, TYPES

FIELDS = """
  wrench: {topic: wrench, type: geometry_msgs/msg/WrenchStamped, rate_hz: 50.0, max_age_s: 0.3}
  array: {topic: array, type: std_msgs/msg/Float64MultiArray, fields: ["data[1]", "data[3]"],
          units: [deg, "1"], rate_hz: 50.0, max_age_s: 0.3}
  switch: {topic: switch, type: std_msgs/msg/Bool, rate_hz: 50.0, max_age_s: 0.3}
  pose: {topic: pose, type: geometry_msgs/msg/PoseStamped, rate_hz: 50.0, max_age_s: 0.3,
         fields: [pose.position, pose.orientation.rotation_vector], names: [x, y, z, rx, ry, rz],
         units: [mm, mm, mm, rad, rad, rad]}
action:"""
TOOL = "  tool: {tf: {parent: a, child: b}, rate_hz: 9.0, max_age_s: 1.0}\naction:"
DEPTH = "width: 6, depth_range_m: [0.2, 2.0],"
NAMES = {
    "twist": "names: [linear.x, angular.z], units: [m/s, rad/s]",
    "pose": "names: [x, y, z, rx, ry, rz], units: [m, m, m, rad, rad, rad]",
    "joint_position": "names: [lift, grip], units: [rad, m]",
    "joint_velocity": "names: [lift, grip], units: [rad/s, m/s]",
}
PAIRS = [(kind, each) for kind, types in TYPES.items() for each in types]


def recoded(message):
    """Return a message as it comes out of a bag."""
    types, kind = message_types(), message.__msgtype__
    return types.deserialize_cdr(bytes(types.serialize_cdr(message, kind)), kind)


def values_of(robot, number=0.3):
    return {
        spec.name: np.full(spec.shape, number)
        if spec.kind == "vector"
        else np.full((4, 6, 3), 7, np.uint8)
        for spec in robot.stream_specs
    }


@pytest.mark.parametrize(("kind", "message_type"), PAIRS)
def test_a_command_of_every_kind_and_type_is_read_as_it_was_written(tmp_path, kind, message_type):
    names = NAMES[kind]
    if message_type in {*ACTIONS, "std_msgs/msg/Float64"}:
        unit = "rad/s" if kind == "joint_velocity" else "rad"
        names = f"names: [lift], units: [{unit}]"
    action = (
        f"action: {{topic: cmd, type: {message_type}, kind: {kind}, {names}, period_s: 0.1}}\n"
    )
    robot = small_robot(tmp_path, ROBOT[: ROBOT.index("action:")] + action)
    row = 0.1 + 0.2 * np.arange(len(robot.action_spec.joint_names))
    made = dict(EpisodeMessages(robot, 10**8).at(10**9, values_of(robot), row))
    (output,) = robot.outputs
    topic, recorded = output.in_bags
    found = command_from(recoded(made[f"/{topic}"]), output, recorded)
    np.testing.assert_allclose(found, row, rtol=1e-12)


def test_fields_of_all_forms_are_read_as_they_were_written_in_the_units_of_the_messages(tmp_path):
    robot = small_robot(tmp_path, ROBOT.replace("action:", FIELDS))
    refuse_unwritable_streams(robot)
    values = values_of(robot)
    values["switch"] = np.ones(1)
    made = dict(EpisodeMessages(robot, 10**8).at(10**9, values, np.zeros(2)))
    assert set(made) == {each.name for each in bag_topics(robot)}
    reader = StreamReader(robot.streams)
    for stream in robot.streams:
        (source,) = stream.sources
        found = reader.read(source, recoded(made[f"/{source.topic}"]), 1.0)
        np.testing.assert_allclose(found.value, values[stream.spec.name], rtol=1e-12)
        assert found.stamp_s == 1.0


def test_a_compressed_picture_comes_back_exactly(tmp_path):
    robot = small_robot(tmp_path, ROBOT.replace("msg/Image", "msg/CompressedImage"))
    values = values_of(robot)
    values["camera"] = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    made = dict(EpisodeMessages(robot, 10**8).at(10**9, values, np.zeros(2)))
    camera = robot.streams[1].sources[0]
    found = StreamReader(robot.streams).read(camera, recoded(made[f"/{camera.topic}"]), 1.0)
    np.testing.assert_array_equal(found.value, values["camera"])


@pytest.mark.parametrize(
    ("change", "text"),
    [(("action:", TOOL), "'tool': frames"), (("width: 6,", DEPTH), "are of depth")],
    ids=["frames", "depth"],
)
def test_what_cannot_be_written_back_is_refused(tmp_path, change, text):
    robot = small_robot(tmp_path, ROBOT.replace(*change))
    with pytest.raises(LeRobotError, match=text):
        refuse_unwritable_streams(robot)
