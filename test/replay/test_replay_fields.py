"""Windows with fields and frames are put together again from a bag of the run."""

from pathlib import Path

import numpy as np
import pytest
from field_messages import KINDS, STREAMS, recorded
from small_bags import MS, ROBOT, START_NS, TOPICS, T, header, small_robot, write_bag

from ddpm_controller.bags.element_stamps import element_stamps
from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.stream_reader import StreamReader
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.messages.stamps import stamp_from
from ddpm_controller.replay.recorded_run import RecordedChunk, RecordedRun, read_run
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path

NOW_S = START_NS * 1e-9 + 0.731
LATE_S = 0.004
"""A message without a stamp came to the controller so much later than to the recorder."""


@pytest.fixture
def robot(tmp_path):
    return small_robot(tmp_path, ROBOT.replace("\naction:", STREAMS))


@pytest.fixture
def window(robot):
    """What a controller sees."""
    limits = JointLimits(np.full(2, -9.0), np.full(2, 9.0), np.full(2, 9.0))
    deployment = Deployment(replan_period_s=0.1, lockstep=True, stream="single_point")
    loop = ControlLoop(loop_settings(robot, PolicyTerms(2), deployment, limits=limits))
    loop.start({})
    reader = StreamReader(robot.streams)
    for topic, log_ns, message in recorded():
        for source in robot.sources_of_topics.get(topic, ()) or robot.sources_of_topics.get(
            topic[1:], ()
        ):
            found = reader.read(source, message, log_ns * 1e-9 + LATE_S)
            if found is not None and found.stamp_s <= NOW_S:
                name = source.stream.spec.name
                assert not loop.observe(name, found.stamp_s, found.value, found.present)
    return loop.plan_request(NOW_S).window


def time(stamp_s):
    return T["builtin_interfaces/msg/Time"](*stamp_from(stamp_s))


def chunk(window):
    names = list(window[-1].values)
    elements, stamps_s = element_stamps(window)
    return T["ddpm_msgs/msg/ActionChunk"](
        header=header(round(NOW_S * 1e9)),
        start=time(NOW_S),
        period=T["builtin_interfaces/msg/Duration"](0, 100 * MS),
        joint_names=["lift", "grip"],
        num_rows=1,
        rows=np.zeros(2),
        plan_number=0,
        seed=0,
        checkpoint_hash="",
        num_inference_steps=1,
        expected_delay_s=0.0,
        override_names=[],
        override_values=[],
        requested=time(NOW_S),
        observation_stamp=time(NOW_S),
        stream_names=names,
        window_stamps=[time(each.stamp_s) for each in window],
        source_stamps=[time(each.source_stamps_s[name]) for each in window for name in names],
        element_names=elements,
        element_stamps=[time(each_s) for each_s in stamps_s],
        masked_streams=[],
        inference_time_s=0.0,
        engine="torch",
    )


def bag_of(folder, window, messages):
    kinds = TOPICS | KINDS | {"/controller/action_chunk": "ddpm_msgs/msg/ActionChunk"}
    sent = ("/controller/action_chunk", round(NOW_S * 1e9), chunk(window))
    return write_bag(folder / "bag", sorted([*messages, sent], key=lambda m: m[1]), topics=kinds)


def test_a_window_is_put_together_again_bit_for_bit(tmp_path, robot, window):
    run = read_run(bag_of(tmp_path, window, recorded()), robot)
    for again, before in zip(run.window(run.chunks[0]), window, strict=True):
        assert set(again.values) == set(before.values)
        for name, value in before.values.items():
            np.testing.assert_array_equal(again.values[name], value)


def test_a_message_without_a_stamp_that_the_recorder_lost_is_named(tmp_path, robot, window):
    others = [message for message in recorded() if message[0] != "/weight"]
    early = [each for each in recorded() if each[0] == "/weight"][:2]
    run = read_run(bag_of(tmp_path, window, [*others, *early]), robot)
    with pytest.raises(BagError, match="message of weight .*the recorder lost it"):
        run.window(run.chunks[0])


def test_a_plan_from_before_an_optional_stream_came_is_made_again_without_it():
    robot = load_robot(share_path("config/robots/go1.yaml"))
    run = RecordedRun(Path("bag"), robot, values={"base_height": {2.0: np.array([0.3])}})
    chunk = RecordedChunk(
        takeover_s=2.0, requested_s=2.0, start_s=2.0, joint_names=(), rows=np.zeros((1, 0)),
        plan_number=0, seed=0, checkpoint_hash="", settings={}, num_inference_steps=0,
        expected_delay_s=0.0, window=((2.0, {"base_height": 2.0, "cmd_vel": 0.0}),),
        masked=("cmd_vel",),
    )  # fmt: skip
    (seen,) = run.window(chunk)
    assert seen.masked == ("cmd_vel",)
    np.testing.assert_array_equal(seen.values["cmd_vel"], [np.nan] * 3)
    np.testing.assert_array_equal(seen.values["base_height"], [0.3])
