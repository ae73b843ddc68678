"""Joint states of a simulated robot: at which moments, from whom, and with which values."""

from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.ros.simulation.joint_states import WHEELS, JointStates
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.simulation.session import Tick

TICK_NS = 20_000_000
BEGIN_NS = 1_790_000_000_250_000_000
NAMES = ReachWorld.joint_names


class Publishers:
    """Keeps what is published, publisher by publisher."""

    def __init__(self):
        self.sent = []

    def create_publisher(self, kind, topic, qos):
        assert topic == "joint_states"
        self.sent.append([])
        return Publisher(self.sent[-1])


class Publisher:
    def __init__(self, sent):
        self.publish = sent.append


def tick(number, begins=False):
    """Every joint at a value that grows by 1 from tick to tick."""
    row = number + 0.1 * np.arange(len(NAMES))
    stamp_ns = BEGIN_NS + number * TICK_NS
    empty = ({}, {}, False, None, {}, begins, False, 0, 0, "")
    return Tick(stamp_ns, row, 50.0 * np.ones(len(NAMES)), *empty)


def sent_over(num_ticks, **settings):
    node = Publishers()
    states = JointStates(node, ReachWorld, 0.02, **settings)
    for number in range(num_ticks):
        states.tell(tick(number, begins=number == 0))
        for ns in range(0, TICK_NS, 1_000_000):
            states.advance(BEGIN_NS + number * TICK_NS + ns)
    return node.sent


def ticks_since_begin(message):
    return (seconds(message.header.stamp) - BEGIN_NS * 1e-9) / 0.02


def test_states_come_with_the_ticks_where_nothing_else_is_set():
    (sent,) = sent_over(5)
    assert [ticks_since_begin(each) for each in sent] == pytest.approx(range(5), abs=1e-4)
    assert list(sent[0].name) == list(ReachWorld.published_joint_names)
    gripper = list(sent[0].name).index("gripper")
    assert [each.position[gripper] for each in sent] == pytest.approx([k + 0.6 for k in range(5)])


def test_states_between_two_ticks_are_on_the_line_between_them():
    (sent,) = sent_over(6, states_hz=1000.0)
    assert len(sent) == 4 * 20 + 19  # up to one tick before the last millisecond
    for message in sent:
        # A position grows by 1 a tick; a stamp of 1.8e9 s is rounded to 2e-7 s, 1e-5 of a tick.
        shoulder = message.position[list(message.name).index(NAMES[0])]
        assert shoulder == pytest.approx(ticks_since_begin(message), abs=2e-5)
    moments = np.array([ticks_since_begin(message) for message in sent])
    np.testing.assert_allclose(np.diff(moments), 0.05, atol=2e-5)


def test_arm_gripper_and_base_are_three_publishers_with_rates_of_their_own():
    arm, gripper, base = sent_over(101, is_apart=True, states_hz=125.0)
    assert set(arm[0].name) == set(NAMES[:-1])
    assert list(gripper[0].name) == [NAMES[-1]]
    assert list(base[0].name) == list(WHEELS)
    # Within 1.999 s: 125, 30 and 50 in a second.
    assert (len(arm), len(gripper), len(base)) == (249, 59, 99)
    for message in gripper:
        assert message.position[0] - 0.6 == pytest.approx(ticks_since_begin(message), abs=2e-5)


def test_the_stamps_are_of_the_clock_of_the_robot():
    for settings in ({}, {"states_hz": 500.0}):
        (on_time,), (ahead,) = (
            sent_over(5, clock_offset_s=offset_s, **settings) for offset_s in (0.0, 0.75)
        )
        assert len(on_time) == len(ahead) > 3
        for one, other in zip(on_time, ahead, strict=True):
            late_s = seconds(other.header.stamp) - seconds(one.header.stamp)
            assert late_s == pytest.approx(0.75, abs=1e-6)
            assert one.position == other.position


def test_there_is_no_line_from_one_episode_to_the_next():
    node = Publishers()
    states = JointStates(node, ReachWorld, 0.02, states_hz=500.0)
    for number in range(4):
        states.tell(tick(number, begins=number == 0))
        states.advance(BEGIN_NS + number * TICK_NS)
    count = len(node.sent[0])
    fresh = tick(4, begins=True)
    states.tell(replace(fresh, positions=fresh.positions - 100.0))
    states.advance(BEGIN_NS + 5 * TICK_NS)
    assert (len(node.sent[0]), states.due_ns()) == (count, None)
