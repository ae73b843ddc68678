"""A question whose answer is lost is asked again."""

import pytest
import rclpy
from std_srvs.srv import Trigger

from ddpm_controller.ros.asking import ask

PATIENCE_S = 90.0


@pytest.fixture
def node():
    rclpy.init()
    node = rclpy.create_node("asking")
    yield node
    node.destroy_node()
    rclpy.shutdown()


def test_a_request_that_nobody_heard_is_sent_again(node):
    """The service comes after the first request, which is lost like an answer that is."""
    client = node.create_client(Trigger, "late")
    heard, spins = [], []

    def answer(request, response):
        heard.append(request)
        response.message = "here"
        return response

    def spin():
        spins.append(None)
        if len(spins) == 2:
            node.create_service(Trigger, "late", answer)
        rclpy.spin_once(node, timeout_sec=0.05)

    assert ask(client, Trigger.Request(), spin, PATIENCE_S, again_s=0.5).message == "here"
    assert heard


def test_no_answer_is_an_error_that_names_the_service_and_leaves_nothing_pending(node):
    client = node.create_client(Trigger, "nobody")

    def spin():
        rclpy.spin_once(node, timeout_sec=0.01)

    with pytest.raises(TimeoutError, match=r"^nobody gave no answer within 0.2 s$"):
        ask(client, Trigger.Request(), spin, 0.2, again_s=0.05)
    assert not client._pending_requests
