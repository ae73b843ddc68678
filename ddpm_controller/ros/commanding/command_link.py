"""The controller's end of the command process: begins it, sends orders, receives what was done."""

import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.states import State
from ddpm_controller.ros.commanding.command_messages import (
    LARGEST_PACKET,
    CommandSettings,
    Told,
    limits_packet,
    opened,
    order_packet,
    settings_packet,
    told_from,
)
from ddpm_controller.ros.commanding.sent_positions import SentCommands
from ddpm_controller.ros.graph.process_command import child_environment
from ddpm_controller.ros.graph.transports import (
    PROFILES,
    RANGE,
    has_own_profile,
    stays_here,
    uses_fast_dds,
)
from ddpm_controller.share import share_path


def command_environment(surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which commands are published, by UDP where Fast DDS sends them.

    Through shared memory a publisher may wait 333 ms, a third of the transport's
    ``healthy_check_timeout_ms``, for a listener whose process was put off. What stays on this
    machine still does: then the profile has the loopback interface only. Profiles other than
    this package's own, which are for images, are the user's and stay.
    """
    environment = child_environment({}, surroundings)
    if not (uses_fast_dds(environment) and has_own_profile(environment)):
        return environment
    if stays_here(environment):
        environment[PROFILES] = share_path("config/fastdds_commands.xml")
        environment[RANGE] = "SYSTEM_DEFAULT"  # which leaves everything to the profile
        return environment
    environment.pop(PROFILES, None)
    return {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", **environment}


_PATIENCE_S = 5.0
_STANDBY_PAUSE_S = 5.0
"""After a death the machine has other work than to begin a process that is not needed yet."""


@dataclass(frozen=True)
class _Child:
    """A process and the socket to it."""

    process: subprocess.Popen[bytes]
    socket: socket.socket


class CommandLink:
    """One command process, and another one that takes over when it dies.

    The one that stands by has begun, so that it can take over at once, but has no topics: there is
    one publisher of commands at any time.

    Args:
        settings: What it is begun with.
        standby: Whether another one stands by; else it is begun when it is needed.

    Attributes:
        is_quiet: Whether it has nothing to send, by its own word.
        is_at_rest: Whether what it sent last lets the robot rest, by its own word.
        is_ready: Whether it has sent a packet at all.
        was_at_rest: Whether the one before has ended by itself, which it does only at rest.
        sent: What it has sent lately, by its own word.
        node_names: Full names of the nodes that have published commands.
    """

    def __init__(self, settings: CommandSettings, *, standby: bool = False) -> None:
        self._settings = settings
        self._number = self._num_begun = 0
        self.sent = SentCommands(settings.outputs)
        self.sent.note_read()
        self.node_names: list[str] = []
        self._wants_standby, self._standby_from_s = standby, -math.inf
        self._standby: _Child | None = None
        self.was_at_rest = False
        self._begin()
        self._stand_by()

    def _begin(self) -> None:
        """Let the one that stands by command, or a new one."""
        self.is_quiet, self.is_at_rest, self.is_ready = True, True, False
        self._asked_for_quiet = True
        self._limits: JointLimits | None = None
        child, self._standby = self._standby, None
        if child is not None and child.process.poll() is not None:
            child.socket.close()
            child = None
        if child is None:
            child = self._child(stands_by=False)
        else:
            child.socket.send(settings_packet(self._settings))
        self._process, self._socket = child.process, child.socket
        self.sent.note_gap()  # the last words of one that died are lost

    def _stand_by(self) -> None:
        """Have another process that stands by, unless one has only just been begun."""
        if not self._wants_standby or time.monotonic() < self._standby_from_s:
            return
        if self._standby is not None:
            if self._standby.process.poll() is None:
                return
            self._standby.socket.close()
        self._standby_from_s = time.monotonic() + _STANDBY_PAUSE_S
        self._standby = self._child(stands_by=True)

    def _child(self, stands_by: bool) -> _Child:
        self._num_begun += 1
        name = self._settings.node_name
        # One that was killed is remembered by others for a while.
        name = name if self._num_begun == 1 else f"{name}_{self._num_begun}"
        self.node_names.append(f"{self._settings.namespace.rstrip('/')}/{name}")
        # A packet arrives whole, and its reader learns at once that the other end has died.
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-m", "ddpm_controller.ros.commanding.command_process"]
        process = subprocess.Popen(
            [*command, str(other.fileno())],
            pass_fds=[other.fileno()],
            env=command_environment(os.environ),
        )
        other.close()
        own.setblocking(False)
        own.send(settings_packet(replace(self._settings, node_name=name, stands_by=stands_by)))
        return _Child(process, own)

    @property
    def pid(self) -> int:
        """Of the process that commands."""
        return self._process.pid

    def revive(self) -> bool:
        """Let another process take over if this one has died; return whether that was so."""
        if self._process.poll() is None:
            self._stand_by()
            return False
        self.was_at_rest = self._process.returncode == 0
        self._socket.close()
        self._standby_from_s = time.monotonic() + _STANDBY_PAUSE_S
        self._begin()
        return True

    def send(self, order: Order, limits: JointLimits | None) -> int:
        """Send an order, with the limits before the first; return its number.

        Raises:
            OSError: It was not sent: the process is stopped or has died.
        """
        if limits is not None and self._limits is not limits:
            self._socket.send(limits_packet(limits))
            self._limits = limits
        self._socket.send(order_packet(self._number + 1, order))
        self._number += 1
        self._asked_for_quiet = order.verdict.state == State.WAITING
        self.is_quiet = self.is_quiet and self._asked_for_quiet
        return self._number

    def heard(self) -> list[Told]:
        """Return what the process has reported since the last call, oldest first.

        Where the link is cut in one direction only, the other one is cut too: the process then
        brings the robot to rest and ends, and another one can take over.
        """
        told = []
        while True:
            try:
                data = self._socket.recv(LARGEST_PACKET)
            except ConnectionResetError:  # reported once; what was sent before comes then
                continue
            except OSError:  # nothing more
                break
            if not data:
                self._socket.close()
                break
            _, content = opened(data)
            told.append(told_from(content))
            # A packet from before the last order is not about that order.
            self.is_quiet = told[-1].state == State.WAITING and self._asked_for_quiet
            self.is_ready = True
            sent, limits = told[-1].sent, self._limits
            self.is_at_rest = (
                sent is None
                or limits is None
                or limits.is_rest(sent.motion.position, sent.motion.velocity)
            )
            if told[-1].motion:
                self.sent.note(np.array(told[-1].motion[0]))
        if self._socket.fileno() >= 0:  # else what it still sends, to come to rest, is not known
            self.sent.note_read()
        return told

    def close(self) -> None:
        """Let the processes end: the one that commands brings the robot to rest, if it is not."""
        children = [_Child(self._process, self._socket)]
        children += [self._standby] if self._standby else []
        for child in children:
            child.socket.close()
        for child in children:
            try:
                child.process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
