"""A scripted robot as a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 60.0


@contextmanager
def robot_process(name: str, *words: str) -> Iterator[subprocess.Popen]:
    """Have the robot ``name`` of robot_drivers.yaml on the graph."""
    program = Path(__file__).with_name("scripted_robot.py")
    process = subprocess.Popen([sys.executable, str(program), name, *words])
    try:
        yield process
        assert process.poll() is None, f"{name} has ended by itself"
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
