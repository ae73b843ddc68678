"""Services that answer whatever is asked; what a callback raises would leave a client waiting."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node

from ddpm_controller.given_files import one_line


def answer_always(node: Node) -> None:
    """Let every service that ``node`` has so far answer a request that cannot be carried out.

    rclpy raises for a lifecycle transition that does not exist and for a parameter of a type that
    does not, and sends no answer then.
    """
    for service in node.services:
        service.callback = _answered(service.callback, node)


def _answered(callback: Callable[[Any, Any], Any], node: Node) -> Callable[[Any, Any], Any]:
    def refused(request: Any, response: Any, error: Exception) -> Any:
        text = f"{type(error).__name__}: {one_line(error)}"
        asked = type(request).__name__.removesuffix("_Request")
        node.get_logger().error(f"{asked} was refused: {text}")
        return _refusal(request, type(response)(), text)

    @functools.wraps(callback)
    def run(request: Any, response: Any) -> Any:
        try:
            return callback(request, response)
        except Exception as error:
            return refused(request, response, error)

    @functools.wraps(callback)
    async def run_later(request: Any, response: Any) -> Any:
        try:
            return await callback(request, response)
        except Exception as error:
            return refused(request, response, error)

    # rclpy awaits only what is a coroutine function itself.
    return run_later if inspect.iscoroutinefunction(callback) else run


def _refusal(request: Any, response: Any, text: str) -> Any:
    """Return an answer that refuses; what has no field for it is answered with nothing."""
    refused = SetParametersResult(successful=False, reason=text)
    if hasattr(response, "results"):
        response.results = [refused for _ in request.parameters]
    elif hasattr(response, "result") and hasattr(request, "parameters"):
        response.result = refused
    elif hasattr(response, "success"):
        response.success = False
    return response
