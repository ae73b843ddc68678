"""A lifecycle node comes up though requests are lost on their way, as on a busy machine."""

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.task import Future

from ddpm_controller.ros.graph import autostart
from ddpm_controller.ros.graph.autostart import _Ascent

AFTER = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
}


class LosingNode:
    """The node that brings up and the one that is brought up, with some requests in between."""

    def __init__(self, lost):
        self.state, self.asked, self._lost = State.PRIMARY_STATE_UNCONFIGURED, [], list(lost)

    def create_client(self, kind, name):
        return LosingClient(self)

    def create_subscription(self, *_):
        pass

    def answer(self, request):
        if isinstance(request, GetState.Request):
            return GetState.Response(current_state=State(id=self.state))
        transition = request.transition.id
        self.asked.append(transition)
        if transition in self._lost:
            self._lost.remove(transition)
            return None
        self.state = AFTER[transition]
        return ChangeState.Response(success=True)


class LosingClient:
    def __init__(self, node):
        self._node = node

    def service_is_ready(self):
        return True

    def call_async(self, request):
        future, answer = Future(), self._node.answer(request)
        if answer is not None:
            future.set_result(answer)
        return future


@pytest.mark.parametrize("lost", [(), *((each,) for each in AFTER), tuple(AFTER)])
def test_a_request_that_was_lost_is_sent_again(lost, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(autostart.time, "monotonic", lambda: now[0])
    node = LosingNode(lost)
    ascent = _Ascent(node, "/left/controller", lambda name, what: None)
    ascent.begin()
    for _ in range(40):
        ascent.go_on()
        now[0] += 1.0
    assert node.state == State.PRIMARY_STATE_ACTIVE
    assert sorted(node.asked) == sorted([*AFTER, *lost])
