"""Processes that are forked by one that has imported what they need, the zygote.

It has one thread, so that it may fork at any moment. A process that it forks begins soon, and
shares all memory that neither of them writes to.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

_PATIENCE_S = 5.0
_NUMBER_BYTES = 4
_PR_SET_NAME = 15
ENDED_WELL = b"\1"
"""What a forked process writes behind its number before it ends by itself."""


def call_itself(name: str) -> None:
    """Give this process a name that distinguishes it from others with its command line."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def note_begun(life: int) -> None:
    """Write the number of this process, which has been forked, to its pipe ``life``."""
    os.write(life, os.getpid().to_bytes(_NUMBER_BYTES, "little"))


@dataclass
class Forked:
    """A forked process; no child of this one, so it is known by the pipe that ends with it.

    Attributes:
        link: Socket to it; a packet arrives whole, and an end is noticed at once.
        life: Reading end of a pipe whose other end it alone has.
    """

    link: socket.socket
    life: int
    _written: bytes = field(default=b"", init=False)
    _has_ended: bool = field(default=False, init=False)

    def _read(self, patience_s: float) -> bool:
        """Read what it has written; return whether something came, its end included."""
        if self._has_ended:
            return True
        poll = select.poll()  # select knows no file above 1024
        poll.register(self.life, select.POLLIN)
        if not poll.poll(1e3 * patience_s):
            return False
        found = os.read(self.life, 2 * _NUMBER_BYTES)
        self._written += found
        if not found:
            os.close(self.life)
            self._has_ended = True
        return True

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        while not self._has_ended and self._read(0.0):
            pass
        return self._has_ended

    @property
    def has_ended_well(self) -> bool:
        """Whether it has ended by itself, not by a signal or an error."""
        return self.has_ended and self._written[_NUMBER_BYTES:] == ENDED_WELL

    @property
    def pid(self) -> int:
        """Its number; waits until it has begun.

        Raises:
            ProcessLookupError: It has ended before it had one.
        """
        while len(self._written) < _NUMBER_BYTES and not self._has_ended:
            self._read(_PATIENCE_S)
        if len(self._written) < _NUMBER_BYTES:
            raise ProcessLookupError("the forked process has never begun")
        return int.from_bytes(self._written[:_NUMBER_BYTES], "little")

    def wait(self, patience_s: float) -> bool:
        """Return whether it has ended, within ``patience_s`` seconds for each of its words."""
        while not self._has_ended and self._read(patience_s):
            pass
        return self._has_ended

    def close(self, patience_s: float = _PATIENCE_S) -> None:
        """Cut its link, with which it is to end, and make sure that it does."""
        self.link.close()
        if not self.wait(patience_s) and self._written:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(patience_s)


class Zygote:
    """The process that forks others; begun again where it has died.

    Args:
        module: Module that it runs, with the number of a socket as its only argument.
        environment: Environment of it and of all that it forks.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self._module, self._environment = module, dict(environment)
        self._begin()

    def _begin(self) -> None:
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", self._module, str(other.fileno())],
            pass_fds=[other.fileno()],
            env=self._environment,
        )
        other.close()
        own.setblocking(False)
        self._orders = own

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def fork(self) -> Forked:
        """Return another process, which begins as soon as the zygote has imported everything."""
        own, link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reading, writing = os.pipe()
        own.setblocking(False)
        try:
            if self._process.poll() is not None:
                self._orders.close()
                self._begin()
            socket.send_fds(self._orders, [b"fork"], [link.fileno(), writing])
        except OSError:  # it has died this moment: so has this process, before it began
            pass
        finally:
            link.close()
            os.close(writing)
        return Forked(own, reading)

    def close(self) -> None:
        """End it; what it has forked runs on."""
        self._process.kill()  # it has nothing to leave behind
        self._process.wait()
        self._orders.close()


def forks(orders: socket.socket) -> tuple[socket.socket, int] | None:
    """Fork a process for each order; return its link and its life in each, None in the zygote.

    Args:
        orders: Socket to the process that orders. In a forked process its number is that of the
            link: the command line, which all share, then names the link.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing is left of one that has ended
    while True:
        content, numbers, _, _ = socket.recv_fds(orders, 16, 2)
        if not content:
            return None
        link, life = numbers
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(link, orders.fileno(), inheritable=False)
            os.close(link)
            note_begun(life)
            return socket.socket(fileno=orders.detach()), life
        os.close(link)
        os.close(life)
