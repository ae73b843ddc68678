"""The controller's end of the command process: begins it, sends orders, receives what was done."""

import math
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

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
from ddpm_controller.ros.commanding.zygote import Forked, Zygote
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


_MODULE = "ddpm_controller.ros.commanding.command_zygote"
_STANDBYS = 2
"""So that a second death just after the first finds one that others have long found too."""
_AGAIN_S = 1.0
"""After one that has ended before it was ready, so that one that cannot begin is no storm."""


class CommandLink:
    """One command process, and others that take over when it dies.

    Those that stand by have begun, so that they can take over at once, but have no topics: there
    is one publisher of commands at any time.

    Args:
        settings: What it is begun with.
        standby: Whether others stand by; else one is begun when it is needed.

    Attributes:
        is_quiet: Whether it has nothing to send, by its own word.
        is_at_rest: Whether what it sent last lets the robot rest, by its own word.
        is_ready: Whether it takes orders: it has sent a packet, or stood by.
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
        self._num_standbys = _STANDBYS if standby else 0
        self._standbys: list[Forked] = []
        self._begun_s, self._has_failed = -math.inf, False
        self._known_dead: Forked | None = None
        self.was_at_rest = False
        self._zygote = Zygote(_MODULE, command_environment(os.environ))
        self._begin()
        self._stand_by()

    def _begin(self) -> None:
        """Let one that stands by command, the oldest, or a new one."""
        self.is_quiet, self.is_at_rest, self.is_ready = True, True, False
        self._asked_for_quiet = True
        self._limits: JointLimits | None = None
        if self._standbys:
            child = self._standbys.pop(0)
            self.is_ready = _is_ready(child.link)
            with suppress(OSError):  # it dies this moment
                child.link.send(settings_packet(self._settings))
        else:
            child = self._forked(stands_by=False)
        self._child = child
        self.sent.note_gap()  # the last words of one that died are lost

    def _stand_by(self) -> None:
        """Have others stand by."""
        self._drop_dead()
        while len(self._standbys) < self._num_standbys and self._may_fork:
            self._standbys.append(self._forked(stands_by=True))

    def _drop_dead(self) -> None:
        for child in [each for each in self._standbys if each.has_ended]:
            self._standbys.remove(child)
            self._has_failed |= not _is_ready(child.link)
            child.close()

    @property
    def _may_fork(self) -> bool:
        return not self._has_failed or time.monotonic() > self._begun_s + _AGAIN_S

    def _forked(self, stands_by: bool) -> Forked:
        self._num_begun += 1
        self._begun_s, self._has_failed = time.monotonic(), False
        name = self._settings.node_name
        # One that was killed is remembered by others for a while.
        name = name if self._num_begun == 1 else f"{name}_{self._num_begun}"
        self.node_names.append(f"{self._settings.namespace.rstrip('/')}/{name}")
        child = self._zygote.fork()
        with suppress(OSError):  # it has died before it began
            settings = replace(self._settings, node_name=name, stands_by=stands_by)
            child.link.send(settings_packet(settings))
        return child

    @property
    def pid(self) -> int:
        """Number of the process that commands."""
        return self._child.pid

    @property
    def standby_pids(self) -> list[int]:
        """Numbers of those that stand by, the one that takes over first."""
        return [each.pid for each in self._standbys]

    def wait(self, end_s: float) -> bool:
        """Wait until ``end_s``, monotonic time; return whether the process has died before, once.

        The kernel reports its end at once, however long it is until the next order.
        """
        child = self._child
        if self._known_dead is not child:
            left_s = end_s - time.monotonic()
            # Whole milliseconds, which are rounded up.
            if left_s > 2e-3 and child.wait(left_s - 1e-3):
                self._known_dead = child
                return True
        time.sleep(max(end_s - time.monotonic(), 0.0))
        return False

    def revive(self) -> bool:
        """Let another process take over if this one has died; return whether that was so."""
        if not self._child.has_ended:
            self._stand_by()
            return False
        self._drop_dead()
        self._has_failed |= not self.is_ready
        if not (self._standbys or self._may_fork):
            return False
        self.was_at_rest = self._child.has_ended_well
        self._child.close()
        self._begin()
        return True

    def send(self, order: Order, limits: JointLimits | None) -> int:
        """Send an order, with the limits before the first; return its number.

        Raises:
            OSError: It was not sent: the process is stopped or has died.
        """
        if limits is not None and self._limits is not limits:
            self._child.link.send(limits_packet(limits))
            self._limits = limits
        self._child.link.send(order_packet(self._number + 1, order))
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
                data = self._child.link.recv(LARGEST_PACKET)
            except ConnectionResetError:  # reported once; what was sent before comes then
                continue
            except OSError:  # nothing more
                break
            if not data:
                self._child.link.close()
                break
            kind, content = opened(data)
            if kind != "told":  # it stood by when it was called
                continue
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
        if (
            self._child.link.fileno() >= 0
        ):  # else what it still sends, to come to rest, is not known
            self.sent.note_read()
        return told

    def close(self) -> None:
        """Let the processes end: the one that commands brings the robot to rest, if it is not."""
        children = [self._child, *self._standbys]
        for child in children:
            child.link.close()
        for child in children:
            child.close()
        self._zygote.close()


def _is_ready(link: socket.socket) -> bool:
    """Return whether a process that stands by has reported so; takes its packet."""
    try:
        return bool(link.recv(LARGEST_PACKET))
    except OSError:  # nothing yet, or it has ended
        return False
