"""Services of a node answer what rclpy raises for."""

import pytest
import rclpy
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from ddpm_controller.ros.answered import answer_always


async def _answer_later(_, response):
    response.success, response.message = True, "later"
    return response


async def _fail_later(_, response):
    raise ValueError("never")


@pytest.fixture
def asked():
    """Ask a service of a lifecycle node, and return the answer."""
    rclpy.init()
    node, client = LifecycleNode("answers"), rclpy.create_node("asks")
    node.declare_parameter("rate", 1.0)
    node.create_service(Trigger, "answers/later", _answer_later)
    node.create_service(Trigger, "answers/never", _fail_later)
    answer_always(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(client)

    def ask(kind, name, request):
        service = client.create_client(kind, f"answers/{name}")
        assert service.wait_for_service(10.0)
        future = service.call_async(request)
        executor.spin_until_future_complete(future, 10.0)
        return future.result()

    yield ask
    executor.shutdown()
    node.destroy_node()
    client.destroy_node()
    rclpy.shutdown()


def test_a_transition_that_is_not_possible_or_not_there_is_refused(asked):
    for number in (3, 99):  # activate, which an unconfigured node cannot; and none
        request = ChangeState.Request()
        request.transition.id = number
        assert asked(ChangeState, "change_state", request).success is False
    request = ChangeState.Request()
    request.transition.id = 1
    assert asked(ChangeState, "change_state", request).success is True


def test_a_parameter_of_a_type_that_is_none_is_refused(asked):
    wrong = Parameter(name="rate", value=ParameterValue(type=77))
    (result,) = asked(
        SetParameters, "set_parameters", SetParameters.Request(parameters=[wrong])
    ).results
    assert not result.successful
    assert "77" in result.reason
    request = SetParametersAtomically.Request(parameters=[wrong])
    assert not asked(
        SetParametersAtomically, "set_parameters_atomically", request
    ).result.successful


def test_a_service_that_answers_later_is_awaited_and_refuses_what_it_raises(asked):
    assert asked(Trigger, "later", Trigger.Request()).message == "later"
    assert asked(Trigger, "never", Trigger.Request()).success is False
