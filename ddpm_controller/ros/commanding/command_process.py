"""The process that commands: a motion loop and a publisher, and nothing else.

It imports neither torch nor has it a callback, so that no denoiser, no image and no garbage
collection of another thread can delay a tick. Others may stand by with everything imported.
"""

import contextlib
import ctypes
import gc
import os
import socket
import time

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ddpm_controller.ros.commanding.command_loop import CommandLoop
from ddpm_controller.ros.commanding.command_messages import (
    LARGEST_PACKET,
    CommandSettings,
    opened,
    ready_packet,
    settings_from,
)
from ddpm_controller.ros.commanding.zygote import call_itself

_GOODBYE_S = 1.0
"""At most so long it waits until every listener has the last command."""


def _settings(link: socket.socket) -> CommandSettings | None:
    """Wait for settings; return None when the controller has ended instead."""
    try:
        data = link.recv(LARGEST_PACKET)
    except ConnectionError:
        return None
    if not data:
        return None
    kind, content = opened(data)
    assert kind == "settings"
    return settings_from(content)


def _hurry(priority: int) -> bool:
    """Ask for a real-time priority, also for threads that begin later; return whether it is there.

    The threads of DDS need it too: while one that was put off holds a lock, nothing is published.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        return False
    return True


def _keep_memory() -> None:
    """Ask that no memory is taken away once it was used, and leave what is there to no collection.

    Not what is only reserved, as the stacks of threads are: that is three times as much.
    """
    gc.collect()
    gc.freeze()
    ctypes.CDLL(None).mlockall(1 | 2 | 4)  # MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT


def command(link: socket.socket) -> None:
    """Command, or stand by until that is needed, and end with the controller."""
    settings = _settings(link)
    if settings is None:
        return
    call_itself("standby" if settings.stands_by else "commands")
    hurries = settings.priority > 0 and _hurry(settings.priority)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node(
        settings.node_name,
        namespace=settings.namespace,
        enable_rosout=False,
        start_parameter_services=False,
    )
    try:
        if settings.priority > 0 and not hurries:
            node.get_logger().warning(
                f"no real-time priority {settings.priority} for the commands: ticks may come late."
                " Allow it with 'rtprio 99' and 'memlock unlimited' for this user in "
                "/etc/security/limits.conf"
            )
        _work(link, settings, node)
    finally:
        node.destroy_node()
        with contextlib.suppress(Exception):
            rclpy.shutdown()


def _work(link: socket.socket, settings: CommandSettings, node: Node) -> None:
    """Stand by where that was asked for, then command until the controller has ended."""
    known_s = time.monotonic()
    called: CommandSettings | None = settings
    if settings.stands_by:
        _keep_memory()
        with contextlib.suppress(ConnectionError):
            link.send(ready_packet())
        called = _settings(link)
    if called is None:
        return
    call_itself("commands")
    link.setblocking(False)
    loop = CommandLoop(link, called, node, known_s, takes_over=settings.stands_by)
    if not settings.stands_by:
        _keep_memory()
    loop.run()
    loop.wait_until_heard(_GOODBYE_S)
