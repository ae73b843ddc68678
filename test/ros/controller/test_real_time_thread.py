"""Ticks at deadlines that do not drift, and one more where something cannot wait, without ROS."""

import itertools
import threading

import pytest

from ddpm_controller.ros.controller.thread import RealTimeThread

PERIOD_S = 60.0
PATIENCE_S = 30.0


class Session:
    """Waits for nothing, and has no patience for the second deadline."""

    def __init__(self):
        self.deadlines_s, self.ticks = [], 0
        self.over, self.closing = threading.Event(), threading.Event()

    def wait(self, end_s):
        self.deadlines_s.append(end_s)
        if len(self.deadlines_s) == 4:
            self.over.set()
            self.closing.wait(PATIENCE_S)
        return len(self.deadlines_s) == 2

    def step(self, now_s):
        self.ticks += 1

    def miss(self, ticks):
        pytest.fail("no tick was left out")

    def close(self):
        pass


def test_what_cannot_wait_has_a_tick_of_its_own_and_the_deadlines_stay():
    session, times = Session(), itertools.count(1.0)
    thread = RealTimeThread(session, PERIOD_S, lambda: next(times), pytest.fail)
    assert session.over.wait(PATIENCE_S)
    assert session.ticks == 3
    session.closing.set()
    thread.close()
    first_s, second_s, again_s, third_s = session.deadlines_s[:4]
    assert (second_s, third_s) == (first_s + PERIOD_S, again_s + PERIOD_S)
    assert again_s == second_s
