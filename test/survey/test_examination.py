"""A bag beside a robot file: what fits, what does not, and what to do."""

import numpy as np
import pytest
from described_bags import DESCRIBED, described
from small_bags import MS, ROBOT, TOPICS, joint_state, run_messages, small_robot, write_bag

from ddpm_controller.survey.bag_examination import examined_bag


def rows_of(tmp_path, messages, text=ROBOT, topics=DESCRIBED):
    robot = small_robot(tmp_path, text)
    bag = write_bag(tmp_path / "bag", messages, topics=topics)
    return {row.what: row for row in examined_bag(bag, robot, {})}


def test_a_bag_that_fits_has_no_fault(tmp_path):
    rows = rows_of(tmp_path, described(run_messages()))
    assert {row.level for row in rows.values()} == {"fits"}
    assert rows["stream joint_state"].found == "/joint_states, 50 Hz"
    assert rows["limits"].found == "lift -2 to 3 rad, grip -3 to 1 m"
    assert rows["episodes"].found == "1 with 11 moments"


@pytest.mark.parametrize(
    ("change", "what", "found"),
    [
        (("topic: joint_states", "topic: states"), "stream joint_state", "no such topic"),
        (
            ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
            "stream camera",
            "/camera/image_raw: sensor_msgs/msg/Image",
        ),
        (("height: 4", "height: 8"), "stream camera", "image of 4 x 6 came"),
        (
            ("names: [lift, grip],\n", "names: [lift, wrist],\n"),
            "stream joint_state",
            "without ['wrist']",
        ),
        (("joint_trajectory, type", "commands, type"), "commands action", "/commands: std_msgs"),
    ],
    ids=["topic", "type", "size", "names", "command"],
)
def test_what_does_not_fit_is_named_with_a_remedy(tmp_path, change, what, found):
    assert change[0] in ROBOT
    rows = rows_of(tmp_path, described(run_messages()), ROBOT.replace(*change))
    assert rows[what].level == "fault"
    assert found in rows[what].found
    assert rows[what].remedy


def test_a_slow_stream_is_worth_a_look(tmp_path):
    rows = rows_of(tmp_path, described(run_messages()), ROBOT.replace("25.0", "60.0"))
    assert rows["stream camera"].level == "look"
    assert "25 Hz" in rows["stream camera"].found


def test_stamps_of_another_clock_are_a_fault(tmp_path):
    def late(message):
        topic, log_ns, each = message
        return (topic, log_ns + 4000 * MS, each) if topic == "/joint_states" else message

    messages = sorted(map(late, run_messages(8000)), key=lambda each: each[1])
    rows = rows_of(tmp_path, described(messages))
    assert rows["clocks"].level == "fault"
    assert "joint_state -4.000 s" in rows["clocks"].found


def test_positions_in_degrees_are_beyond_the_limits(tmp_path):
    def in_degrees(message):
        topic, log_ns, _ = message
        if topic != "/joint_states":
            return message
        return topic, log_ns, joint_state(log_ns, np.degrees(1.0), 0.0)

    rows = rows_of(tmp_path, described(map(in_degrees, run_messages())))
    assert rows["measured joints"].level == "fault"
    assert "lift 57.3 rad" in rows["measured joints"].found
    assert "units" in rows["measured joints"].remedy


def test_without_a_description_the_limits_are_a_fault(tmp_path):
    assert rows_of(tmp_path, run_messages(), topics=TOPICS)["limits"].level == "fault"
