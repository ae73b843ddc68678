"""A graph as processes, without launch; `start` is its command line.

It starts, watches and stops what `launch` would, from the same description: the same names,
parameters, remappings, life-cycle steps, respawns, prefixes of log lines and order of signals.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ddpm_controller.ros.graph.autostart import Autostart
from ddpm_controller.ros.graph.description import Graph
from ddpm_controller.ros.graph.process_command import child_environment, command_of, python_command
from ddpm_controller.ros.graph.resolution import ResolvedGraph, ResolvedProcess, resolve
from ddpm_controller.ros.graph.transports import stay_here

_ERROR_LINE = re.compile(r"^\[(?:ERROR|FATAL)\] \[[\d.]+\] \[[^\]]+\]: (.*)")
"""What rclpy writes on the console for an error; its text is the group."""
CommandOf = Callable[[ResolvedProcess, Path], list[str]]


@dataclass(frozen=True)
class Timing:
    """How patient the supervisor is; the defaults are launch's.

    Attributes:
        respawn_delay_s: From the end of a process to its next start.
        interrupt_s: From SIGINT to SIGTERM.
        terminate_s: From SIGTERM to SIGKILL.
    """

    respawn_delay_s: float = 2.0
    interrupt_s: float = 5.0
    terminate_s: float = 5.0


class Supervisor:
    """Runs one graph until a required process or all have ended, or a signal comes.

    Args:
        graph: What to run.
        folder: For the parameter files of the processes.
        timing: Delays.
        command: Command line of a process; writes its parameter file into the folder.
    """

    def __init__(
        self, graph: ResolvedGraph, folder: Path, timing: Timing, command: CommandOf = command_of
    ) -> None:
        self._graph = graph
        self._folder = folder
        self._timing = timing
        self._command = command
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._exit_code = 0
        self._autostart: Autostart | None = None
        self._errors: dict[str, str] = {}
        self._refusal: tuple[str, str] | None = None

    async def run(self) -> int:
        """Start everything and return the exit code when everything has ended.

        It is that of the required process which ended first; 128 + N when signal N killed it; 1
        when a process had to be killed, a node refused to be configured or activated or, without
        a required one, when one failed; else 0.
        """
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, self._on_signal, signal_number)
        started = [process for process in self._graph.processes if process.autostart]

        def refused(name: str, what: str) -> None:
            loop.call_soon_threadsafe(self._on_refusal, name, f"{name} refused to {what}")

        if started:
            self._autostart = Autostart([one.full_name for one in started], refused)
        try:
            async with asyncio.TaskGroup() as processes:
                for number, process in enumerate(self._graph.processes, start=1):
                    label = f"{process.executable}-{number}"
                    processes.create_task(self._keep(process, label))
        finally:
            if self._autostart is not None:
                self._autostart.close()
        if self._refusal:  # last, where it is seen, and when all output has been read
            name, text = self._refusal
            _say("start", f"{text}: {self._errors.get(name, 'see its own log')}", "ERROR")
        return self._exit_code

    def stop(self) -> None:
        """Ask every process to end; asked twice, without patience."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def _on_signal(self, number: int) -> None:
        _say("start", f"{signal.Signals(number).name} came, stopping the graph", "WARNING")
        self.stop()

    def _on_refusal(self, name: str, text: str) -> None:
        """End a graph in which a node will not run; its last error is shown at the end."""
        self._exit_code = self._exit_code or 1
        self._refusal = name, text
        _say("start", f"{text}, stopping the graph", "ERROR")
        self.stop()

    def _note_error(self, name: str, line: str) -> None:
        if found := _ERROR_LINE.search(line):
            self._errors[name] = found[1]

    async def _keep(self, process: ResolvedProcess, label: str) -> None:
        """Run one process, again and again where it respawns."""
        while True:
            code = await self._run_once(process, label)
            if process.required and not self._stopping.is_set():
                self._exit_code = code if code >= 0 else 128 - code
                self.stop()
            elif code and not self._stopping.is_set() and not process.respawn:
                self._exit_code = self._exit_code or 1
            if process.required or not process.respawn or self._stopping.is_set():
                return
            if await _happened(self._stopping, self._timing.respawn_delay_s):
                return

    async def _run_once(self, process: ResolvedProcess, label: str) -> int:
        if self._stopping.is_set():
            return 0
        command = self._command(process, self._folder)
        # A node gets a pipe, for the prefix; a command has the terminal, for its live lines.
        # Each leads a session, so that a Ctrl-C reaches it once: from here.
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if process.name else None,
            stderr=subprocess.STDOUT if process.name else None,
            env=child_environment(self._graph.environment, os.environ),
            start_new_session=True,
        )
        _say(label, f"process started with pid [{child.pid}]")
        if process.autostart and self._autostart is not None:
            self._autostart.bring_up(process.full_name)
        note = partial(self._note_error, process.full_name)
        reading = asyncio.create_task(_forward(child.stdout, label, note))
        code = await self._ended(child, label)
        # A grandchild may hold the pipe open for ever.
        with suppress(TimeoutError):
            await asyncio.wait_for(reading, 1.0)
        self._report(label, child.pid, code)
        return code

    async def _ended(self, child: asyncio.subprocess.Process, label: str) -> int:
        """Wait for the end, and bring it about step by step once the graph is stopping."""
        waiting = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        steps = (
            (signal.SIGINT, self._timing.interrupt_s),
            (signal.SIGTERM, self._timing.terminate_s),
            (signal.SIGKILL, None),
        )
        for number, patience_s in steps:
            if waiting.done():
                break
            _say(label, f"sending signal '{number.name}' to process")
            if number == signal.SIGKILL:
                self._exit_code = self._exit_code or 1
            _signal(child.pid, number)
            hurrying = asyncio.create_task(self._hurry.wait())
            await asyncio.wait(
                {waiting, hurrying} if patience_s else {waiting},
                timeout=patience_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            hurrying.cancel()
        return await waiting

    def _report(self, label: str, pid: int, code: int) -> None:
        if code == 0:
            _say(label, f"process has finished cleanly [pid {pid}]")
        elif self._stopping.is_set():
            _say(label, f"process has ended with exit code {code} [pid {pid}]")
        else:
            _say(label, f"process has died [pid {pid}, exit code {code}]", "ERROR")


async def _happened(event: asyncio.Event, patience_s: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), patience_s)
    return event.is_set()


async def _forward(
    stream: asyncio.StreamReader | None, label: str, note: Callable[[str], None]
) -> None:
    """Print every line with the process's label; the last one also without its newline."""
    rest = b""
    while stream is not None and (piece := await stream.read(65536)):
        *lines, rest = (rest + piece).split(b"\n")
        _print_lines(lines, label, note)
    _print_lines([rest] if rest else [], label, note)


def _print_lines(lines: list[bytes], label: str, note: Callable[[str], None]) -> None:
    for line in lines:
        text = line.decode(errors="replace")
        note(text)
        sys.stdout.write(f"[{label}] {text}\n")
    sys.stdout.flush()


def _say(label: str, text: str, severity: str = "INFO") -> None:
    sys.stdout.write(f"[{severity}] [{label}]: {text}\n")
    sys.stdout.flush()


def _signal(pid: int, number: signal.Signals) -> None:
    """Signal the process; the last signal goes to all that it has started, too."""
    with suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def run(
    graph: Graph,
    given: Mapping[str, str],
    timing: Timing | None = None,
    command: CommandOf = command_of,
) -> int:
    """Run a graph in the foreground and return its exit code.

    Raises:
        GraphArgumentError: See `resolve`.
    """
    resolved = resolve(graph, given, os.environ)
    # The supervisor's own node must be on the same network as the graph's.
    os.environ.update(resolved.environment)
    stay_here()
    with tempfile.TemporaryDirectory(prefix="start_") as folder:

        async def supervise() -> int:
            return await Supervisor(resolved, Path(folder), timing or Timing(), command).run()

        return asyncio.run(supervise())


@contextmanager
def started(graph: str, given: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Have a graph running beside the caller's own work; it is stopped at the end.

    The output goes where the caller's goes. Look at ``poll()`` to see that it has ended early.
    """
    words = [f"{name}:={text}" for name, text in given.items()]
    child = subprocess.Popen(
        [*python_command("start"), graph, *words],
        env=child_environment({}, os.environ),
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
        child.wait()
