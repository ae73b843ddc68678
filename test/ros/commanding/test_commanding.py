"""Orders to a command process that does not take them, without ROS processes."""

from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.commanding.command_messages import Told
from ddpm_controller.ros.commanding.commanding import CommandAhead, CommandByOrder
from ddpm_controller.types import ActionChunk, ActionSpec, Plan, StreamSpec, Trajectory

JOINTS = ("shoulder", "elbow")
SPEC = ActionSpec(JOINTS, ("rad", "rad"), 0.1)
STREAM = StreamSpec("joint_state", "vector", (2,), 50.0, JOINTS, ("rad", "rad"))
LIMITS = JointLimits(np.array([-1.0, -1.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]))


class StoppedLink:
    """A link whose process is stopped: its orders are kept once it goes on."""

    def __init__(self) -> None:
        self.is_quiet = self.is_at_rest = self.is_ready = self.is_stopped = True
        self.was_at_rest = False
        self.orders: list[Order] = []

    def send(self, order, limits):
        if self.is_stopped:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.orders.append(order)
        return len(self.orders)

    def heard(self):
        return []

    def revive(self):
        return False


def loop_with_a_plan() -> ControlLoop:
    loop = ControlLoop(
        LoopSettings((STREAM,), {"joint_state": 1.0}, SPEC, 0.01, 0.5, limits=LIMITS)
    )
    loop.start({})
    plan_for(loop, 0.0)
    return loop


def plan_for(loop: ControlLoop, now_s: float) -> None:
    loop.advance(now_s)
    loop.observe("joint_state", now_s, np.zeros(2))
    request = loop.plan_request(now_s)
    assert request is not None
    loop.accept(Plan(ActionChunk(now_s, 0.1, JOINTS, np.zeros((8, 2))), {}), request)


def test_a_beginning_and_a_chunk_that_were_not_taken_are_ordered_again():
    loop, link, told = loop_with_a_plan(), StoppedLink(), []
    commanding = CommandByOrder(loop, link, told.append)
    for tick in range(1, 5):
        commanding.step(tick * 0.01)
    assert told == [
        "the command process takes no orders: "
        + str(BlockingIOError(11, "Resource temporarily unavailable"))
    ]
    link.is_stopped = False
    plan_for(loop, 0.05)
    commanding.step(0.06)
    (order,) = link.orders
    assert order.verdict.state == State.RUNNING
    assert order.chunk is not None
    np.testing.assert_array_equal(order.begin_at, np.zeros(2))


def test_a_process_that_says_nothing_is_told_to_be_lost(monkeypatch):
    loop, link = loop_with_a_plan(), StoppedLink()
    link.is_stopped = link.is_quiet = False
    commanding = CommandByOrder(loop, link, lambda text: None)
    assert commanding.step(0.01) == []
    monkeypatch.setattr(commanding, "_heard_s", commanding._heard_s - 2.0)
    (done,) = commanding.step(0.02)
    assert (done.command.state, done.command.reason) == (State.HOLDING, Reason.CONTROLLER_LOST)
    assert "was silent for 2." in done.command.text
    link.is_quiet = True  # it has nothing to say
    assert commanding.step(0.03) == []


class DyingLink(StoppedLink):
    """A link whose process tells one command and dies; the next one is ready when it is let."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.is_stopped = False
        self.told, self.dies = [told], True

    def heard(self):
        told, self.told = self.told, []
        return told

    def revive(self):
        died, self.dies = self.dies, False
        self.is_ready = self.is_ready and not died
        return died


@pytest.mark.parametrize(
    ("position", "stamp_s", "ready_s", "goes_on"),
    [
        ((0.1, 0.0), 0.02, 0.1, True),
        ((0.1, 0.0), 0.02, 0.9, False),  # it has long stopped where it was
        ((0.5, 0.0), 0.02, 0.1, False),  # somebody has moved it
    ],
)
def test_the_motion_goes_on_after_a_death_while_it_is_one(position, stamp_s, ready_s, goes_on):
    loop = loop_with_a_plan()
    motion = (position, (0.3, 0.0), (0.0, 0.1))
    told = Told(stamp_s, 1.0, State.RUNNING, Reason.NONE, motion=motion)
    link, errors = DyingLink(told), []
    commanding = CommandByOrder(loop, link, errors.append)
    link.told = [told]
    (ran, died) = commanding.step(0.03)
    assert (ran.command.state, died.command.state) == (State.RUNNING, State.WAITING)
    assert died.command.reason == Reason.CONTROLLER_LOST
    assert errors == [died.command.text]
    assert link.orders == []
    link.is_ready = True
    loop.advance(ready_s)
    loop.observe("joint_state", ready_s, np.zeros(2))
    commanding.step(ready_s)
    commanding.step(ready_s + 0.01)
    first, second = link.orders
    assert first.verdict.state == State.HOLDING
    assert second.sent is None
    assert second.begin_at is None
    if not goes_on:
        assert first.sent is None
        np.testing.assert_array_equal(first.begin_at, np.zeros(2))
        return
    assert first.begin_at is None
    assert first.sent.stamp_s == stamp_s
    expected = Motion(*map(np.array, motion))
    for name in vars(expected):
        np.testing.assert_array_equal(getattr(first.sent.motion, name), getattr(expected, name))


def test_a_motion_that_its_process_has_brought_to_rest_is_not_taken_up():
    loop = loop_with_a_plan()
    moving = ((0.1, 0.0), (0.3, 0.0), (0.0, 0.1))
    link = DyingLink(Told(0.02, 1.0, State.RUNNING, Reason.NONE, motion=moving))
    link.was_at_rest = True
    commanding = CommandByOrder(loop, link, lambda text: None)
    link.told = [Told(0.02, 1.0, State.RUNNING, Reason.NONE, motion=moving)]
    *_, cut = commanding.step(0.03)
    assert "the link to the command process was cut" in cut.command.text
    link.is_ready = True
    plan_for(loop, 0.1)
    commanding.step(0.1)
    (order,) = link.orders
    assert order.sent is None
    np.testing.assert_array_equal(order.begin_at, np.zeros(2))


class Teller(StoppedLink):
    """A link whose process reports what a test lets it report."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stopped = self.is_quiet = False
        self.told: list[Told] = []

    def heard(self):
        told, self.told = self.told, []
        return told


def test_a_streamed_run_plans_once_its_beginning_is_over_as_the_process_reports_it():
    stream = StreamSettings()
    loop = ControlLoop(
        LoopSettings(
            (STREAM,), {"joint_state": 1.0}, SPEC, 0.01, 0.5, limits=LIMITS, stream=stream
        )
    )
    loop.start({})
    link = Teller()
    commanding = CommandByOrder(loop, link, lambda text: None)

    def asks(now_s: float) -> bool:
        loop.observe("joint_state", now_s, np.zeros(2))
        commanding.step(now_s)
        return loop.plan_request(now_s) is not None

    assert not asks(1.0)
    assert link.orders[0].begin_at is not None
    rest = ((0.0, 0.0),) * 3
    told = Told(1.9, 1.0, State.HOLDING, Reason.NO_PLAN, motion=rest, motion_s=1.9, began=1)
    # A tick that begins nothing, and the beginning of another run.
    link.told = [replace(told, motion_s=1.1, began=number) for number in (0, 7)]
    assert not asks(1.2)
    link.told = [told]
    assert not asks(1.9 - stream.lead_s - 0.3)
    assert asks(1.9 - stream.lead_s)


class Sender:
    """Keeps the trajectories that are sent."""

    def __init__(self) -> None:
        self.sent: list[Trajectory] = []

    def send_ahead(self, trajectory, commands, now_s):
        if trajectory is not None:
            self.sent.append(trajectory)


@pytest.mark.parametrize("rests", ["not at all", "just", "for long"])
def test_a_run_that_begins_behind_a_motion_is_free_when_that_motion_has_ended(rests):
    """However fast the robot is: not a longest stop later."""
    stream, period_s = StreamSettings(), 0.01
    loop = ControlLoop(
        LoopSettings(
            (STREAM,), {"joint_state": 9.0}, SPEC, period_s, 0.3, limits=LIMITS, stream=stream
        )
    )
    loop.start({})
    sender = Sender()
    commanding = CommandAhead(loop, sender)
    place, taken_s, commanded_s = np.zeros(2), [], []

    def step(now_s: float) -> None:
        nonlocal place
        loop.observe("joint_state", now_s, place)
        for done in commanding.step(now_s):
            place = done.command.position if done.command.position is not None else place
            commanded_s.append(done.command.stamp_s)
            if done.command.takeover is not None:
                taken_s.append(now_s)
        request = loop.plan_request(now_s)
        if request is not None:
            rows = place + 0.02 * np.arange(8)[:, None]
            loop.accept(Plan(ActionChunk(now_s, 0.1, JOINTS, rows), {}), request)

    moments_s = iter(1.0 + period_s * np.arange(400))
    for _ in range(150):
        step(next(moments_s))
    assert len(taken_s) > 2
    last = sender.sent[-1]
    over_s = last.stamp_s + last.times_s[-1]  # the stop that it ends with
    if rests != "not at all":
        loop.stop()
        step(next(moments_s))
        while not commanding.is_at_rest:
            step(next(moments_s))
        over_s = commanded_s[-1]
    for _ in range(20 if rests == "for long" else 0):
        step(next(moments_s))
    loop.start({}, not_before_s=-np.inf)
    count, begin_s = len(taken_s), next(moments_s)
    step(begin_s)
    while len(taken_s) == count:
        step(next(moments_s))
    at_least_s = max(over_s, begin_s) + stream.begin_s + stream.past_s
    assert at_least_s - 1e-6 <= taken_s[count] < at_least_s + 2.5 * period_s
