"""The virtual environment as the set-up sees it: its variables, its log, its stamps."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Variables of another ROS, or of another environment of wheels, that would lead astray.
FOREIGN = (
    "AMENT_PREFIX_PATH",
    "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
)


class SetupError(RuntimeError):
    """Something is missing; the text says what, and what to do."""


class Progress:
    """One changing line on a terminal, a line now and then elsewhere."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun_s = time.monotonic()
        self._shown_s = 0.0
        self._interval_s = 0.2 if sys.stdout.isatty() else 20.0
        self._show("")

    def line(self, text: str) -> None:
        """Show the newest line of output, if it is time to."""
        if time.monotonic() - self._shown_s >= self._interval_s:
            self._show(text)

    def end(self, text: str) -> None:
        """Show how it ended."""
        self._show(text, "\n")

    def _show(self, text: str, end: str = "") -> None:
        self._shown_s = time.monotonic()
        line = f"  {self._title} ... {self._shown_s - self._begun_s:4.0f} s  {text.strip()}"
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r" + line[:width].ljust(width) + end)
        else:
            sys.stdout.write(line[:120] + "\n")
        sys.stdout.flush()


def run_logged(title: str, command: list[str], log: Path, variables: dict[str, str]) -> None:
    """Run a command with its output in the log and its progress on one line.

    Raises:
        SetupError: With the end of its output when it fails.
    """
    progress = Progress(title)
    tail: list[str] = []
    with (
        log.open("a", encoding="utf-8") as logged,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=variables,
            cwd=ROOT,
        ) as child,
    ):
        logged.write(f"$ {shlex.join(command)}\n")
        for line in child.stdout or ():
            logged.write(line)
            if not line.startswith("Requirement already satisfied"):
                tail = [*tail[-14:], line.rstrip()[:300]]
            progress.line(line)
    if child.returncode != 0:
        progress.end("failed")
        text = "\n    ".join(tail)
        raise SetupError(f"{shlex.join(command[:6])} ... failed:\n    {text}\n  log: {log}")
    progress.end("done")


class Environment:
    """The virtual environment.

    A stamp is an empty file named after a step and after all that went into it.

    Args:
        folder: Of the virtual environment.
        pip_arguments: Words added to every ``pip install``.
    """

    def __init__(self, folder: Path, pip_arguments: list[str]) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.pip_arguments = pip_arguments
        self.log = folder / "setup.log"
        self.stamps = folder / "stamps"
        self.variables = {k: v for k, v in os.environ.items() if k not in FOREIGN} | {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(folder),
            "AMENT_PREFIX_PATH": str(folder),
            "CMAKE_PREFIX_PATH": str(folder),
        }

    def run(self, title: str, command: list[str]) -> None:
        """Run a command in the environment.

        Raises:
            SetupError: When it fails.
        """
        run_logged(title, command, self.log, self.variables)

    def pip(self, title: str, words: Iterable[str]) -> None:
        """Install packages.

        Raises:
            SetupError: When it fails.
        """
        quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        command = [str(self.python), "-m", "pip", "install", *quiet, *self.pip_arguments]
        self.run(title, [*command, *words])

    def is_done(self, step: str, inputs: Iterable[Path | str]) -> bool:
        """Whether the step was done with exactly these files and words."""
        return self._stamp(step, inputs).exists()

    def mark_done(self, step: str, inputs: Iterable[Path | str]) -> None:
        """Remember that the step is done; what it was done with before is forgotten."""
        self.stamps.mkdir(parents=True, exist_ok=True)
        for old in self.stamps.glob(f"{step}-*"):
            old.unlink()
        self._stamp(step, inputs).touch()

    def _stamp(self, step: str, inputs: Iterable[Path | str]) -> Path:
        digest = hashlib.sha256()
        for one in inputs:
            digest.update(one.read_bytes() if isinstance(one, Path) else one.encode())
            digest.update(b"\0")
        return self.stamps / f"{step}-{digest.hexdigest()[:16]}"
