"""Bags that are no run of a controller, or a damaged one: named in a line."""

import pytest
import yaml
from small_bags import START_NS, TOPICS, T, run_messages, small_robot, write_bag

from ddpm_controller.bags.files import BagError
from ddpm_controller.replay.recorded_run import PARAMETERS_KEY, read_run


def test_a_topic_of_another_type_is_named_with_both(tmp_path):
    topics = {**TOPICS, "/controller/status": "std_msgs/msg/String"}
    message = ("/controller/status", START_NS, T["std_msgs/msg/String"]("running"))
    bag = write_bag(tmp_path / "bag", [*run_messages(100), message], topics=topics)
    text = "controller/status has type std_msgs/msg/String, a run has ddpm_msgs/msg/Controller"
    with pytest.raises(BagError, match=text):
        read_run(bag, small_robot(tmp_path))


@pytest.mark.parametrize(
    "parameters", ["{", "[1]", "[" * 99 + "]" * 99, '{"control_rate_hz": []}']
)
def test_parameters_that_cannot_be_read_are_named(tmp_path, parameters):
    """A list where names are expected, cut or nested text, a number that is none."""
    bag = write_bag(tmp_path / "bag", run_messages(100))
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())
    metadata["rosbag2_bagfile_information"]["custom_data"] = {PARAMETERS_KEY: parameters}
    (bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    with pytest.raises(BagError) as error:
        read_run(bag, small_robot(tmp_path))
    assert "\n" not in str(error.value)
