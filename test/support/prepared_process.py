"""Processes of nodes that begin at once: they are forked from one that has imported everything.

A node imports torch and much more, which takes seconds of a busy machine for each of the many
processes of the tests. Here one process a test run does so once, is asked for another one, and
forks: what the child then does is what the executable does, in a process, with an environment, a
folder and outputs of its own. How an executable begins by itself, other tests see.
"""

import atexit
import ctypes
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from ddpm_controller.ros.graph.executables import EXECUTABLES

PREPARED = ("controller", "simulation")
IMPORTED = (
    "ddpm_controller.policies.diffusion_policy.policy",
    "ddpm_controller.policies.diffusion_policy.network",
    "mujoco",
)
LARGEST = 1 << 20


class PreparedProcess:
    """What ``subprocess.Popen`` is of a process, as far as tests need it.

    Args:
        words: The executable, and the words behind it.

    Attributes:
        pid: Of the process.
        returncode: None while it runs; below 0 for a signal.
    """

    def __init__(self, words: list[str]) -> None:
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {"words": words, "environment": dict(os.environ), "folder": os.getcwd()}
        sys.stdout.flush()
        sys.stderr.flush()
        data = [json.dumps(request).encode()]
        socket.send_fds(_nursery(), data, [1, 2, other.fileno()])
        other.close()
        self._socket, self.returncode = own, None
        self.pid = json.loads(own.recv(LARGEST))

    def poll(self) -> int | None:
        """Return the code with which it has ended, if it has."""
        self._hear(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the code once it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not.
        """
        self._hear(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _hear(self, timeout: float | None) -> None:
        if self.returncode is not None:
            return
        self._socket.settimeout(timeout)
        try:
            self.returncode = json.loads(self._socket.recv(LARGEST))
        except (BlockingIOError, TimeoutError):
            return
        self._socket.close()


_SOCKETS: list[socket.socket] = []


def _nursery() -> socket.socket:
    """Return the connection to the process that forks, which ends with this one."""
    if not _SOCKETS:
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", str(Path(__file__)), str(other.fileno())]
        process = subprocess.Popen(command, pass_fds=[other.fileno()])
        other.close()
        _SOCKETS.append(own)
        atexit.register(process.wait)
        atexit.register(own.close)
    return _SOCKETS[0]


def _fork_when_asked(connection: socket.socket) -> dict[str, Any]:
    """Return, in a child alone, what is asked of it; ends with the other side."""
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data is not None:  # a child has ended
                pid, status = key.data
                _, code = os.waitpid(pid, 0)
                status.send(json.dumps(os.waitstatus_to_exitcode(code)).encode())
                status.close()
                selector.unregister(key.fd)
                os.close(key.fd)
                continue
            data, received, _, _ = socket.recv_fds(connection, LARGEST, 3)
            if not data:
                os._exit(0)
            out, error, status_fd = received
            pid = os.fork()
            if pid == 0:
                selector.close()
                connection.close()
                for kept, given in ((1, out), (2, error)):
                    os.dup2(given, kept)
                for given in received:
                    os.close(given)
                return json.loads(data)
            os.close(out)
            os.close(error)
            status = socket.socket(fileno=status_fd)
            status.send(json.dumps(pid).encode())
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))


def main() -> Any:
    """Import, wait to be asked, and be that process."""
    modules = [EXECUTABLES[name].split(":")[0] for name in PREPARED]
    for module in (*modules, *IMPORTED):
        importlib.import_module(module)
    request = _fork_when_asked(socket.socket(fileno=int(sys.argv[1])))
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # as every process of this package begins
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    executable, *words = request["words"]
    sys.argv = [f"ddpm {executable}", *words]
    from ddpm_controller.ros.graph.transports import stay_here

    stay_here()
    module, function = EXECUTABLES[executable].split(":")
    return getattr(importlib.import_module(module), function)()


if __name__ == "__main__":
    sys.exit(main())
