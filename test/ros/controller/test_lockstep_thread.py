"""One tick per time on /clock, however often it is told, without ROS."""

import threading

import pytest

from ddpm_controller.ros.controller.thread import AnswerWatch, LockstepThread

PATIENCE_S = 30.0


class SlowSession:
    """Takes so long for a tick that its time is told twice more meanwhile, as a world does."""

    def __init__(self):
        self.stepped, self.repeated = [], 0
        self.over = threading.Event()
        self.thread = None
        self._changed = threading.Event()

    def step_in_lockstep(self, now_s):
        self.stepped.append(now_s)
        if now_s == 1.0:
            for _ in range(2):
                self.thread.on_clock(1.0)
            self.thread.on_clock(1.02)
        else:
            self.over.set()
        return True

    def repeat(self):
        self.repeated += 1

    def stand_still(self, now_s, text):
        pass

    def sleep(self, seconds):
        self._changed.wait(seconds)
        self._changed.clear()

    def wake(self):
        self._changed.set()

    def abort(self):
        self.wake()

    def close(self):
        pass


def test_a_tick_that_takes_long_is_answered_once():
    """A repetition from before the answer says nothing of its loss: 51 commands for 50 ticks."""
    session = SlowSession()
    session.thread = LockstepThread(session, pytest.fail)
    session.thread.on_clock(1.0)
    assert session.over.wait(PATIENCE_S)
    session.thread.close()
    assert (session.stepped, session.repeated) == ([1.0, 1.02], 0)


class FailingSession(SlowSession):
    """Fails once at the first time, before its command is sent or behind that."""

    def __init__(self, has_sent):
        super().__init__()
        self.has_sent = False
        self._fails_behind = has_sent

    def step_in_lockstep(self, now_s):
        self.stepped.append(now_s)
        self.has_sent = self._fails_behind or len(self.stepped) > 1
        if len(self.stepped) == 1:
            raise OSError("no space left")
        self.over.set()
        return True


@pytest.mark.parametrize(
    ("has_sent", "stepped", "said"),
    [(True, [1.0, 1.02], "its command was sent"), (False, [1.0, 1.0, 1.02], "nothing was sent")],
)
def test_a_tick_that_fails_is_stepped_again_only_where_nothing_was_sent(has_sent, stepped, said):
    session, errors = FailingSession(has_sent), []
    session.thread = LockstepThread(session, errors.append)
    session.thread.on_clock(1.0)
    if not has_sent:
        assert session.over.wait(PATIENCE_S)
        session.over.clear()
    session.thread.on_clock(1.02)
    assert session.over.wait(PATIENCE_S)
    session.thread.close()
    assert session.stepped == stepped
    (error,) = errors
    assert said in error
    assert "no space left" in error


@pytest.mark.parametrize(
    ("heard_s", "lost"),
    [
        ([9.9, 10.0], [False, False]),  # waited in the queue until the answer
        ([10.02], [False]),  # has crossed the answer
        ([10.02, 10.03, 10.05], [False] * 3),  # so have these, which came in a burst
        ([10.02, 10.52], [False, True]),
        ([9.9, 10.02, 10.52, 11.02, 11.52], [False, False, True, False, True]),
    ],
)
def test_an_answer_is_lost_when_its_time_is_told_again_and_again(heard_s, lost):
    watch = AnswerWatch()
    watch.answered(10.0)
    found = []
    for each_s in heard_s:
        found.append(watch.is_lost(each_s))
        if found[-1]:
            watch.answered(each_s)
    assert found == lost


def test_the_next_tick_begins_with_nothing_heard():
    watch = AnswerWatch()
    watch.answered(10.0)
    assert not watch.is_lost(10.02)
    watch.answered(10.5)
    assert not watch.is_lost(10.6)
