"""One vector from the messages of several publishers, each joint with its own age."""

import math

import numpy as np
import pytest
from stub_loop import IMAGE, RUNNING, STREAMS, TICK_S, new_loop, see, waves

from ddpm_controller.control.observing.observation_buffer import (
    ObservationBuffer,
    ObservationError,
    OutOfOrderError,
)
from ddpm_controller.control.observing.observation_watch import ObservationWatch
from ddpm_controller.control.states import Reason, State
from ddpm_controller.types import ActionSpec, StreamSpec, measuring_stream

NAMES = ("shoulder", "elbow", "finger")
ARM = StreamSpec("arm", "vector", (3,), 50.0, NAMES, ("rad", "rad", "m"))
SHOULDER, FINGER = np.array([True, False, False]), np.array([False, False, True])
BOTH = np.array([True, True, False])
NAN = math.nan


def arm_buffer(history_s=math.inf):
    return ObservationBuffer((ARM,), {"arm": 0.3}, history_s)


def arm_watch(max_lead_s=5.0):
    return ObservationWatch((ARM,), {"arm": 0.3}, ActionSpec(NAMES, ARM.units, 0.1), max_lead_s)


def row(*values):
    return np.array(values, dtype=np.float64)


def test_a_vector_has_the_newest_of_each_joint_and_the_stamp_of_the_oldest():
    buffer = arm_buffer()
    buffer.add("arm", 1.00, row(1.0, 2.0, NAN), BOTH)
    assert buffer.sample(1.0) is None
    assert math.isnan(buffer.ages(1.0)["arm"])
    buffer.add("arm", 1.01, row(NAN, NAN, 3.0), FINGER)
    buffer.add("arm", 1.02, row(4.0, 5.0, NAN), BOTH)
    sample = buffer.sample(1.5)
    assert sample.values["arm"].tolist() == [4.0, 5.0, 3.0]
    assert sample.source_stamps_s["arm"] == 1.01
    assert sample.element_stamps_s["arm"] == {"shoulder": 1.02, "elbow": 1.02, "finger": 1.01}
    assert buffer.ages(1.5)["arm"] == pytest.approx(0.49)
    assert buffer.sample(1.015).values["arm"].tolist() == [1.0, 2.0, 3.0]
    assert buffer.newest("arm", 1.005) is None


def test_messages_of_one_stamp_are_one_row():
    buffer = arm_buffer()
    buffer.add("arm", 1.0, row(NAN, NAN, 3.0), FINGER)
    buffer.add("arm", 1.0, row(1.0, 2.0, NAN), BOTH)
    sample = buffer.sample(1.0)
    assert sample.values["arm"].tolist() == [1.0, 2.0, 3.0]
    assert (sample.source_stamps_s["arm"], sample.element_stamps_s) == (1.0, {})


@pytest.mark.parametrize("seed", range(8))
def test_whichever_publisher_comes_late_every_moment_has_the_newest_of_each_joint(seed):
    """Messages of one publisher keep their order; those of several overtake each other."""
    random = np.random.default_rng(seed)
    sent = []
    for present, period_s in ((BOTH, 0.02), (FINGER, 0.05)):
        late_s = random.uniform(0, 0.1)
        for k in range(40):
            stamp_s = 1.0 + k * period_s + random.uniform(0, 0.01)
            sent.append((stamp_s + late_s, stamp_s, random.normal(size=3), present))
    buffer = arm_buffer()
    for _, stamp_s, value, present in sorted(sent, key=lambda each: each[0]):
        assert buffer.add("arm", stamp_s, value, present)
    for moment_s in random.uniform(1.1, 1.8, 50):
        sample = buffer.sample(moment_s)
        for column, name in enumerate(NAMES):
            come = [each for each in sent if each[3][column] and each[1] <= moment_s]
            newest = max(come, key=lambda each: each[1])
            assert sample.values["arm"][column] == newest[2][column]
            assert sample.element_stamps_s["arm"][name] == newest[1]


def test_what_was_sampled_does_not_change_when_another_joint_comes_late():
    buffer = arm_buffer()
    buffer.add("arm", 1.0, row(1.0, 2.0, 3.0))
    buffer.add("arm", 1.2, row(4.0, 5.0, NAN), BOTH)
    before = buffer.sample(1.3)
    buffer.add("arm", 1.1, row(NAN, NAN, 9.0), FINGER)
    assert before.values["arm"].tolist() == [4.0, 5.0, 3.0]
    assert buffer.sample(1.3).values["arm"].tolist() == [4.0, 5.0, 9.0]
    assert buffer.sample(1.15).values["arm"].tolist() == [1.0, 2.0, 9.0]


def test_a_joint_out_of_order_is_refused_and_a_repeat_is_not_taken():
    buffer = arm_buffer()
    buffer.add("arm", 1.0, row(1.0, 2.0, 3.0))
    buffer.add("arm", 1.1, row(NAN, NAN, 4.0), FINGER)
    assert buffer.add("arm", 1.1, row(NAN, NAN, 5.0), FINGER) is False
    with pytest.raises(OutOfOrderError, match=r"0\.050 s older"):
        buffer.add("arm", 1.05, row(NAN, NAN, 5.0), FINGER)
    assert buffer.add("arm", 1.05, row(2.0, 3.0, NAN), BOTH)
    assert buffer.sample(2.0).values["arm"].tolist() == [2.0, 3.0, 4.0]
    with pytest.raises(ObservationError, match="not finite: finger"):
        buffer.add("arm", 1.2, row(NAN, NAN, NAN), FINGER)


def test_a_window_begins_when_the_last_joint_has_come():
    buffer = arm_buffer()
    for k in range(21):
        buffer.add("arm", 1.0 + 0.01 * k, row(k, k, NAN), BOTH)
    buffer.add("arm", 1.15, row(NAN, NAN, 3.0), FINGER)
    window = buffer.window(1.2, 3, 0.1)
    assert [each.stamp_s for each in window] == pytest.approx([1.15, 1.15, 1.2])
    assert [each.values["arm"].tolist() for each in window] == [
        [15.0, 15.0, 3.0],
        [15.0, 15.0, 3.0],
        [20.0, 20.0, 3.0],
    ]


def test_the_newest_of_a_slow_joint_outlives_a_short_history():
    buffer = arm_buffer(history_s=0.1)
    buffer.add("arm", 1.0, row(NAN, NAN, 3.0), FINGER)
    for k in range(100):
        buffer.add("arm", 1.0 + 0.01 * k, row(k, -k, NAN), BOTH)
    assert buffer.sample(2.0).values["arm"].tolist() == [99.0, -99.0, 3.0]
    assert buffer.sample(2.0).source_stamps_s["arm"] == 1.0


def test_a_run_that_begins_forgets_the_joints_from_before_it():
    buffer = arm_buffer()
    buffer.add("arm", 1.0, row(NAN, NAN, 3.0), FINGER)
    buffer.add("arm", 1.5, row(1.0, 2.0, NAN), BOTH)
    buffer.reset(not_before_s=1.2)
    assert buffer.sample(2.0) is None
    buffer.add("arm", 1.6, row(NAN, NAN, 4.0), FINGER)
    (observation,) = buffer.window(2.0, 1, 0.1)
    assert observation.values["arm"].tolist() == [1.0, 2.0, 4.0]
    buffer.advance(2.0)
    assert buffer.advance(0.5) is True
    assert buffer.sample(9.0) is None


def test_the_joint_that_stays_away_is_named_and_the_others_are_current():
    watch = arm_watch()
    for k in range(50):
        now_s = 1.0 + 0.02 * k
        watch.advance(now_s)
        watch.observe("arm", now_s, row(1.0, 2.0, NAN), BOTH, now_s + 0.001)
        if k < 20:
            watch.observe("arm", now_s, row(NAN, NAN, 3.0), FINGER, now_s + 0.001)
    verdict = watch.problem(1.98)
    assert (verdict.state, verdict.reason) == (State.HOLDING, Reason.STALE_OBSERVATION)
    assert verdict.text == (
        "joint 'finger' of arm: no message for 0.60 s; its other joints are current"
    )
    assert watch.healths(1.98)["arm"].age_s == pytest.approx(0.6)
    watch.observe("arm", 1.98, row(NAN, NAN, 3.0), FINGER, 1.98)
    assert watch.problem(1.98) is None
    watch.advance(2.5)
    assert "arm is 0.52 s old by its stamp" in watch.problem(2.5).text


def test_a_joint_that_comes_with_old_stamps_or_stamps_ahead_is_named():
    watch = arm_watch()
    watch.advance(1.0)
    watch.observe("arm", 1.0, row(1.0, 2.0, NAN), BOTH, 1.0)
    watch.observe("arm", 0.5, row(NAN, NAN, 3.0), FINGER, 1.0)
    text = watch.problem(1.0).text
    assert text == (
        "joint 'finger' of arm is 0.50 s old by its stamp, it came 0.00 s ago; its other joints "
        "are current"
    )
    watch.observe("arm", 1.4, row(NAN, NAN, 3.0), FINGER, 1.0)
    assert "joint 'finger' of arm is 0.40 s ahead of its arrival" in watch.problem(1.0).text


def test_a_joint_that_has_not_come_is_named_with_what_its_topic_has():
    watch = arm_watch()
    watch.advance(1.0)
    assert watch.problem(1.0).text == "nothing yet from arm"
    watch.see_others("arm", ["wheel_left", "wheel_right"])
    watch.observe("arm", 1.0, row(1.0, 2.0, NAN), BOTH)
    verdict = watch.problem(1.0)
    assert verdict.reason == Reason.NO_OBSERVATION
    assert verdict.text == (
        "nothing yet from joint 'finger' of arm; its topic has ['wheel_left', 'wheel_right'] "
        "besides"
    )
    assert watch.measured(1.0) is None


def test_a_refused_joint_stays_refused_until_a_good_message_brings_it():
    """Messages of the arm do not make up for a gripper whose values are not finite."""
    watch = arm_watch()
    watch.advance(1.0)
    watch.observe("arm", 1.0, row(1.0, 2.0, 3.0))
    assert "not finite: finger" in watch.observe("arm", 1.02, row(NAN, NAN, NAN), FINGER)
    watch.observe("arm", 1.02, row(1.0, 2.0, NAN), BOTH)
    assert watch.problem(1.02).reason == Reason.INVALID_OBSERVATION
    watch.observe("arm", 1.04, row(NAN, NAN, 3.0), FINGER)
    assert watch.problem(1.04) is None
    watch.refuse("arm", "2 numbers for 3 names", ["shoulder", "elbow"])
    watch.observe("arm", 1.06, row(1.0, NAN, NAN), SHOULDER)
    assert watch.problem(1.06).text == "2 numbers for 3 names"
    watch.observe("arm", 1.08, row(1.0, 2.0, NAN), BOTH)
    assert watch.problem(1.08) is None


def test_the_rate_of_a_stream_is_that_of_its_slowest_joint():
    watch = arm_watch()
    for k in range(60):
        watch.observe("arm", 1.0 + 0.01 * k, row(1.0, 2.0, NAN), BOTH)
        if k % 5 == 0:
            watch.observe("arm", 1.0 + 0.01 * k, row(NAN, NAN, 3.0), FINGER)
    assert watch.healths(1.6)["arm"].rate_hz == pytest.approx(20.0)


def test_in_lockstep_a_stream_is_awaited_until_every_joint_has_come():
    watch = arm_watch()
    watch.observe("arm", 1.0, row(1.0, 2.0, 3.0))
    watch.observe("arm", 1.02, row(1.0, 2.0, NAN), BOTH)
    assert watch.late(1.02, 0.01) == ["arm"]
    watch.observe("arm", 1.02, row(NAN, NAN, 3.0), FINGER)
    assert watch.late(1.02, 0.01) == []


def commands(in_parts):
    """A loop that is shown each vector whole, or each joint with a stamp of its own message."""
    loop, found = new_loop(), []
    position, parts = np.zeros(2), (np.array([True, False]), np.array([False, True]))
    for k in range(150):
        now_s = 1.0 + k * TICK_S
        if in_parts:
            for present in parts:
                loop.observe("joint_state", now_s, np.where(present, position, NAN), present)
            loop.observe("camera", now_s, IMAGE)
        else:
            see(loop, now_s, position[1], position[0])
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(waves(request), request)
        command = loop.tick(now_s)
        position = command.position[::-1]
        found.append(command.position)
    assert command.state == RUNNING
    return np.array(found)


def test_a_run_is_the_same_whether_its_joints_come_together_or_apart():
    np.testing.assert_array_equal(commands(True), commands(False))


def test_velocities_of_the_same_joints_are_not_taken_for_their_positions():
    rates = StreamSpec("rates", "vector", (3,), 50.0, NAMES, ("rad/s", "rad/s", "m/s"))
    assert measuring_stream((rates, ARM), NAMES) is ARM
    assert measuring_stream((rates, *STREAMS), ("elbow",)).name == "joint_state"
    assert measuring_stream(STREAMS, NAMES) is None


def test_each_commanded_joint_has_the_stamp_of_its_own_message():
    """The commanded joints are in another order than those of the stream."""
    loop = new_loop()
    for stamp_s, value, present in ((1.0, (0.5, NAN), [True, False]), (0.9, (NAN, 0.2), None)):
        present = np.array(present or [False, True])
        loop.observe("joint_state", stamp_s, np.array(value), present)
    loop.observe("camera", 1.0, IMAGE)
    position, stamps_s = loop.watch.measured_in(loop.watch.buffer.sample(1.0))
    assert position.tolist() == loop.watch.measured(1.0).tolist() == [0.2, 0.5]
    assert stamps_s.tolist() == [0.9, 1.0]
