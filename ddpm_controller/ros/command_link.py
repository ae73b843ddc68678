"""The controller's end of the command process: begins it, sends orders, hears what was done."""

import os
import socket
import subprocess
import sys

from ddpm_controller.control.motion_loop import Order
from ddpm_controller.control.safety import JointLimits
from ddpm_controller.control.states import State
from ddpm_controller.ros.command_environment import command_environment
from ddpm_controller.ros.command_messages import (
    LARGEST_PACKET,
    CommandSettings,
    Told,
    limits_packet,
    opened,
    order_packet,
    settings_packet,
    told_from,
)

_PATIENCE_S = 5.0


class CommandLink:
    """One command process, begun again when it has died.

    Args:
        settings: What it is begun with.

    Attributes:
        is_quiet: Whether it has nothing to send, by its own word.
        is_at_rest: Whether what it sent last had no velocity, by its own word.
        is_ready: Whether it has said a word at all.
    """

    def __init__(self, settings: CommandSettings) -> None:
        self._settings = settings
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self.is_quiet, self.is_at_rest, self.is_ready = True, True, False
        self._limits: JointLimits | None = None
        # A packet arrives whole, and its reader is told when the other end has died.
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-m", "ddpm_controller.ros.command_process"]
        self._process = subprocess.Popen(
            [*command, str(other.fileno())],
            pass_fds=[other.fileno()],
            env=command_environment(os.environ),
        )
        other.close()
        self._socket.setblocking(False)
        self._socket.send(settings_packet(self._settings))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def revive(self) -> bool:
        """Begin the process again if it has died; return whether that was so."""
        if self._process.poll() is None:
            return False
        self._socket.close()
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
        if order.verdict.state != State.WAITING:
            self.is_quiet = False
        return self._number

    def heard(self) -> list[Told]:
        """Return what the process has told since the last call, oldest first."""
        told = []
        while True:
            try:
                data = self._socket.recv(LARGEST_PACKET)
            except OSError:  # nothing more, or the process has died
                break
            if not data:
                break
            _, content = opened(data)
            told.append(told_from(content))
            self.is_quiet, self.is_ready = told[-1].state == State.WAITING, True
            self.is_at_rest = not told[-1].moves
        return told

    def close(self) -> None:
        """Let the process end: it brings the robot to rest, if it is not."""
        self._socket.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
