"""Asks a service until it answers."""

import time
from collections.abc import Callable
from typing import Any

from rclpy.client import Client

ASK_AGAIN_S = 10.0


def ask(
    client: Client,
    request: Any,
    spin: Callable[[], None],
    patience_s: float,
    again_s: float = ASK_AGAIN_S,
) -> Any:
    """Return the answer to a request, which is sent again while none comes.

    A client that has found a service may not yet have been found by it, and then the answer is
    lost; no call reports it. So only for requests that may be carried out twice.

    Args:
        client: Client of the service.
        request: To send.
        spin: Waits for one callback of the client's node, for a short time at most.
        patience_s: Wall time after which none is waited for any more.
        again_s: Wall time after which an answer counts as lost; longer each time, so that a
            slow one comes in the end.

    Raises:
        TimeoutError: No answer came within the patience.
    """
    deadline_s = time.monotonic() + patience_s
    while (now_s := time.monotonic()) < deadline_s:
        answer = client.call_async(request)
        lost_s = min(deadline_s, now_s + again_s)
        try:
            while not answer.done() and time.monotonic() < lost_s:
                spin()
            if answer.done():
                return answer.result()
        finally:
            client.remove_pending_request(answer)
        again_s *= 2.0
    raise TimeoutError(f"{client.srv_name} gave no answer within {patience_s:g} s")
