"""Every plan that is followed is reported, however late the command process reports it."""

from types import SimpleNamespace

import numpy as np
import pytest
from stub_loop import MEMORY, SPEC, TICK_S, new_loop, see, ticks, waves

from ddpm_controller.control.states import Reason, State
from ddpm_controller.policy import DepartureLimit, PolicyFacts
from ddpm_controller.ros.commanding.command_messages import Told
from ddpm_controller.ros.commanding.commanding import CommandByOrder
from ddpm_controller.ros.controller.planner import PlanAnswer
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.session import ControlSession

LOADED = SimpleNamespace(
    policy=SimpleNamespace(
        facts=PolicyFacts((), SPEC, n_obs_steps=2), initial_memory=lambda seed: MEMORY
    ),
    folder="",
    hash="a",
)


class Link:
    """A command process that follows every order at once and reports it some orders later."""

    def __init__(self, late_orders):
        self.is_quiet, self.is_at_rest, self.is_ready = False, False, True
        self._late, self._orders = late_orders, []

    def send(self, order, limits):
        self._orders.append(order)
        return len(self._orders)

    def heard(self):
        number = len(self._orders) - self._late
        if number < 1:
            return []
        order = self._orders[number - 1]
        took_over = number if order.chunk is not None else 0
        return [Told(0.0, 1.0, State.RUNNING, Reason.NONE, took_over=took_over)]

    def revive(self):
        return False


class Planner:
    """Answers every request after some ticks."""

    def __init__(self, delay_ticks):
        self._delay, self._waiting = delay_ticks, []
        self.requests = []

    def submit(self, loaded, request):
        self.requests.append(request)
        answer = PlanAnswer(request, loaded, waves(request), "", 0.1)
        self._waiting.append([self._delay, answer])

    def collect(self):
        for each in self._waiting:
            each[0] -= 1
        return self._waiting.pop(0)[1] if self._waiting and self._waiting[0][0] < 0 else None


class Topics:
    """Keeps what was made from what."""

    def __init__(self):
        self.requests = []

    def tell(self, status):
        pass

    def tell_chunk(self, takeover, *_):
        pass

    def tell_memory(self, takeover, *_):
        self.requests.append(takeover.request)


def driven(late_orders, pushed_at=(), num_ticks=150):
    """Drive a session; return the requests of its planner and those that were reported."""
    departure = DepartureLimit(np.ones(2), 0.6)
    loop, planner, topics = new_loop(departure=departure), Planner(9), Topics()
    session = ControlSession(
        loop,
        planner,
        ControlReport(topics, lambda: LOADED, lambda: ""),
        CommandByOrder(loop, Link(late_orders), lambda text: None),
        run_on_activate=True,
        lockstep=False,
        stop_s=0.2,
        terms_of=lambda loaded: None,
        loaded=LOADED,
    )
    for tick, now_s in enumerate(ticks(1.0, num_ticks)):
        followed = loop.schedule.in_force
        place = followed.plan.chunk.at(np.array([now_s]))[0] if followed else np.zeros(2)
        see(loop, now_s, *(place + (0.9 if tick in pushed_at else 0.0)))
        session.step(now_s)
    return planner.requests, topics.requests


@pytest.mark.parametrize("late_orders", [1, 8, 25, 45])
def test_a_plan_is_reported_when_its_report_comes_behind_the_next_plan(late_orders):
    requests, reported = driven(late_orders)
    numbers = [each.plan_number for each in reported]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= len(requests) - 1 - np.ceil(late_orders * TICK_S / 0.4)


@pytest.mark.parametrize("late_orders", [1, 8, 25, 45])
def test_a_plan_from_a_reset_state_is_reported_though_the_push_is_over(late_orders):
    """The robot is where it is planned again when the plan comes, as after a short push."""
    requests, reported = driven(late_orders, pushed_at=range(45, 70), num_ticks=200)
    reset = next(each for each in requests if each.epoch > requests[0].epoch)
    assert any(each is reset for each in reported)
