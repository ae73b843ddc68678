"""Levels and words of each entry; that they come is seen on a real graph, see below."""

import math

import pytest
import rclpy
from controller_driver import FakeRobot, client, process_of
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from ddpm_controller.control.observing.stream_rules import StreamHealth
from ddpm_controller.control.planning.deadline import PlanCost
from ddpm_controller.control.states import LimitCounts, Reason, State
from ddpm_controller.ros.controller.diagnostics import (
    ERROR,
    OK,
    STALE,
    WARN,
    Diagnostics,
    checkpoint_status,
    control_status,
    inference_status,
    latency_status,
    qos_status,
    stream_status,
)
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.status import LatencyStatistics, Status
from ddpm_controller.ros.controller.topics import time_from
from ddpm_controller.ros.qos_events import QosEvents, TopicEvents

LOADED = "models/reach"


@pytest.mark.parametrize(
    ("state", "reason", "level"),
    [
        (State.RUNNING, Reason.NONE, OK),
        (State.RUNNING, Reason.LIMIT_VELOCITY, WARN),
        (State.HOLDING, Reason.NO_PLAN, WARN),
        (State.HOLDING, Reason.NO_OBSERVATION, STALE),
        (State.HOLDING, Reason.STALE_OBSERVATION, ERROR),
        (State.HOLDING, Reason.FROZEN_IMAGE, ERROR),
        (State.HOLDING, Reason.CLOCK_JUMP, ERROR),
        (State.HOLDING, Reason.PLAN_FAILED, ERROR),
        (State.WAITING, Reason.NONE, OK),
        (State.WAITING, Reason.NO_OBSERVATION, STALE),
        (State.WAITING, Reason.CLOCK_JUMP, ERROR),
        (State.INACTIVE, Reason.DEACTIVATED, OK),
    ],
)
def test_the_level_of_the_controller_is_that_of_its_state_and_reason(state, reason, level):
    told = Status(state=state, reason=reason, text="words", missed_ticks=3)
    status = control_status(told, 0.1)
    assert (status.level, status.message) == (level, "words")
    values = {each.key: each.value for each in status.values}
    assert (values["state"], values["reason"]) == (state.name, reason.name)
    assert values["missed_ticks"] == "3"


@pytest.mark.parametrize(
    ("state", "level"), [(State.RUNNING, ERROR), (State.INACTIVE, OK), (State.WAITING, OK)]
)
def test_a_controller_that_ticks_no_more_is_told_unless_it_has_nothing_to_do(state, level):
    status = control_status(Status(state=state), 3.0)
    assert status.level == level
    assert ("no tick for 3.0 s" in status.message) == (level == ERROR)


@pytest.mark.parametrize(
    ("stream", "level", "text"),
    [
        (StreamHealth(0.1, 0.1, 49.0), OK, "good"),
        (StreamHealth(0.1, 0.1, 20.0), WARN, "20.0 Hz instead of 50 Hz"),
        (StreamHealth(reason=Reason.NO_OBSERVATION, text="nothing"), STALE, "nothing"),
        (StreamHealth(reason=Reason.STALE_OBSERVATION, text="old"), STALE, "old"),
        (StreamHealth(reason=Reason.INVALID_OBSERVATION, text="NaN"), ERROR, "NaN"),
        (StreamHealth(reason=Reason.FROZEN_IMAGE, text="same"), ERROR, "same"),
    ],
)
def test_the_level_of_a_stream_is_that_of_what_is_wrong_with_it(stream, level, text):
    status = stream_status("camera", stream, 50.0, 0)
    assert (status.level, status.name) == (level, "stream camera")
    assert text in status.message


def test_messages_out_of_order_are_worth_a_warning():
    status = stream_status("camera", StreamHealth(0.1, 0.1, 50.0, out_of_order=7), 50.0, 2)
    assert (status.level, status.message) == (WARN, "2 messages came out of order")


@pytest.mark.parametrize(
    ("lead_s", "level", "text"),
    [
        (0.05, OK, "good"),
        (math.nan, OK, "good"),
        (0.1, WARN, "stamps are 0.100 s ahead of their arrival, more than 0.06 s"),
        (-0.1, WARN, "stamps are 0.100 s behind their arrival, more than 0.06 s"),
    ],
)
def test_a_robot_whose_clock_is_off_by_more_than_a_trajectory_begins_early_is_told(
    lead_s, level, text
):
    health = StreamHealth(0.0, 0.0, 50.0, clock_lead_s=lead_s)
    status = stream_status("joint_state", health, 50.0, 0, most_clock_s=0.06)
    assert status.level == level
    assert text in status.message
    assert stream_status("joint_state", health, 50.0, 0).level == OK


@pytest.mark.parametrize(
    ("inference_s", "level", "text"),
    [(math.nan, OK, "no plan yet"), (0.2, OK, "0.200 s"), (0.9, WARN, "more than 0.8 s")],
)
def test_a_plan_that_takes_longer_than_it_may_is_worth_a_warning(inference_s, level, text):
    status = inference_status(Status(inference_time_s=inference_s), 0.8)
    assert status.level == level
    assert text in status.message


def values_of(status):
    return {each.key: each.value for each in status.values}


def test_the_steps_of_a_plan_and_their_cost_are_told_where_they_are_chosen():
    values = values_of(inference_status(Status(num_inference_steps=7), 0.8))
    assert values["num_inference_steps"] == "7"
    assert "plan_fixed_s" not in values
    values = values_of(inference_status(Status(plan_cost=PlanCost(0.02, 0.03)), 0.8))
    assert (values["plan_fixed_s"], values["plan_per_step_s"]) == ("0.02", "0.03")


def test_latencies_since_the_activation_are_told():
    assert latency_status(Status()).message == "no plan yet"
    latencies = LatencyStatistics()
    for k in range(101):
        latencies.add(0.1 + 0.001 * k)
    status = latency_status(Status(latencies=latencies.figures))
    assert (status.level, status.name) == (OK, "latency")
    assert status.message == "150 ms in the median, 95 % within 195 ms (101 plans)"
    expected = {"p50_s": "0.15", "p95_s": "0.195", "max_s": "0.2", "plans": "101"}
    assert values_of(status) == expected


def test_the_ticks_that_each_limit_changed_are_told():
    limits = LimitCounts()
    limits.add(("jerk", "step"))
    limits.add(("jerk",))
    values = values_of(control_status(Status(limit_counts=tuple(limits.counts)), 0.0))
    told = {name: value for name, value in values.items() if name.startswith("limited_by_")}
    assert len(told) == len(limits.names)
    assert (told["limited_by_jerk"], told["limited_by_step"]) == ("2", "1")
    assert told["limited_by_position"] == "0"


@pytest.mark.parametrize(
    ("loaded", "error", "state", "level"),
    [
        (LOADED, "", State.RUNNING, OK),
        (LOADED, "broken", State.RUNNING, WARN),
        ("", "broken", State.INACTIVE, ERROR),
        ("", "", State.INACTIVE, OK),
        ("", "", State.HOLDING, WARN),
    ],
)
def test_the_level_of_the_checkpoint(loaded, error, state, level):
    status = checkpoint_status(Status(state=state, checkpoint=loaded, checkpoint_error=error))
    assert status.level == level
    assert error in status.message


def test_topics_that_are_not_connected_are_named():
    assert qos_status({"a": TopicEvents()}).level == OK
    status = qos_status({"a": TopicEvents(), "b": TopicEvents(1, "RELIABILITY")})
    assert status.level == WARN
    assert status.message == "b: 1 not connected: RELIABILITY does not fit"


# On a real graph


def listen(node):
    """Return a function that gives the newest entry of a name, or None."""
    arrays: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", arrays.append, 10)

    def entry(name):
        found = {each.name: each for each in arrays[-1].status} if arrays else {}
        return found.get(f"controller: {name}")

    return entry


def test_an_entry_has_the_namespace_of_its_node_in_its_name():
    """Two arms on one graph have entries of their own."""
    with client() as node:
        arrays = []
        node.create_subscription(DiagnosticArray, "/diagnostics", arrays.append, 10)
        owner = rclpy.create_node("controller", namespace="left")
        report = ControlReport(None, lambda: None, lambda: "")
        diagnostics = Diagnostics(owner, lambda: report, QosEvents(print))

        def has_come() -> bool:
            diagnostics.tell()
            return bool(arrays)

        node.until(has_come)
        names = [entry.name for entry in arrays[0].status]
        assert names
        assert all(name.startswith("left/controller: ") for name in names)
        owner.destroy_node()


def test_every_entry_comes_with_the_name_of_the_robot(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint):
        robot, entry = FakeRobot(node), listen(node)
        node.bring_up()
        node.until_running()
        node.until(lambda: (e := entry("control")) and e.level in (OK, WARN) and "RUN" in str(e))
        assert entry("control").hardware_id == "sim_arm"
        for name in ("checkpoint", "inference", "latency", "qos", "stream camera_fixed"):
            node.until(lambda n=name: entry(n).level == OK, entry(name))
        node.until(lambda: "no plan" not in entry("latency").message)
        assert float(values_of(entry("latency"))["max_s"]) > 0
        assert int(values_of(entry("inference"))["num_inference_steps"]) > 0
        node.until(lambda: node.status.stream_rates_hz[0] > 25)
        node.until(lambda: max(node.status.stream_arrival_ages_s) < 0.3)
        robot.messages["camera_fixed"] = lambda _: None
        node.until_state(State.HOLDING, Reason.STALE_OBSERVATION)
        node.until(lambda: entry("stream camera_fixed").level == STALE)
        assert entry("control").level == ERROR
        assert "camera_fixed" in entry("control").message


def test_a_camera_that_sends_one_picture_with_new_stamps_stops_the_arm(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint):
        robot = FakeRobot(node)
        node.bring_up()
        node.until_running()
        first = []

        def freeze(message):
            first.append(message.data)
            message.data = first[0]
            return message

        robot.messages["camera_wrist"] = freeze
        status = node.until_state(State.HOLDING, Reason.FROZEN_IMAGE)
        assert "camera_wrist sends the same picture" in status.text
        robot.messages.clear()
        node.until_running(num_chunks=1)


def test_without_a_clock_it_says_so_and_deactivates_all_the_same(checkpoint):
    parameters = {"checkpoint": checkpoint, "use_sim_time": True}
    with client() as node, process_of("controller", **parameters):
        entry = listen(node)
        FakeRobot(node)
        node.bring_up()
        status = node.until_state(State.WAITING, Reason.CLOCK_JUMP)
        assert "no time has come on /clock" in status.text
        node.until(lambda: (e := entry("control")) and "no time has come" in e.message)
        assert entry("control").level == ERROR
        clock = node.create_publisher(Clock, "/clock", 10)

        def stands_still() -> bool:
            clock.publish(Clock(clock=time_from(12.5)))  # again: not everybody finds it at once
            return "stands still at 12.500 s" in node.status.text

        node.until(stands_still)


def test_a_publisher_that_does_not_fit_is_told_in_the_diagnostics(checkpoint):
    parameters = {"checkpoint": checkpoint, "use_sim_time": True, "lockstep": True}
    with client() as node, process_of("controller", **parameters):
        entry = listen(node)
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        node.create_publisher(Image, "camera_wrist/image_raw", best_effort)
        node.bring_up()
        node.until(lambda: (e := entry("qos")) and e.level == WARN)
        assert "camera_wrist/image_raw: 1 not connected: RELIABILITY" in entry("qos").message
        status = node.until_state(State.WAITING, Reason.CLOCK_JUMP)
        assert "no time has come on /clock" in status.text


def test_a_deadline_is_asked_for_by_a_parameter(checkpoint):
    name = "qos_overrides./joint_states.subscription.deadline"
    with client() as node, process_of("controller", **{"checkpoint": checkpoint, name: 10**8}):
        entry = listen(node)
        FakeRobot(node)
        node.bring_up()
        node.until(lambda: (e := entry("qos")) and e.level == WARN)
        # FakeRobot promises nothing; the cameras, which nothing was set for, are connected.
        assert "joint_states: 1 not connected: DEADLINE" in entry("qos").message
        assert "camera" not in entry("qos").message
