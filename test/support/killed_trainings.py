"""Kills trainings at every n-th change of a file below a folder and lets each go on afterwards.

As a program: killed_trainings.py OUTPUT FIRST STRIDE. A process of its own, because it forks,
which a process with ROS threads must not. Prints the folder of each training.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path

from ddpm_controller.training import run

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir"}


def load_tiny():
    """Return the module beside this file."""
    path = Path(__file__).with_name("tiny_training.py")
    spec = importlib.util.spec_from_file_location("tiny_training", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_child(action) -> int:
    """Run ``action`` in a forked process and return its wait status."""
    child = os.fork()
    if child == 0:
        action()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def train_until_killed(tiny, output: Path, change: int) -> None:
    """Train; SIGKILL this process at change number ``change`` of a file of the training."""
    seen = 0

    def on_event(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event not in CHANGES or str(output) not in str(arguments[0]):
            return
        if event == "open" and not set(str(arguments[1])) & set("wax"):
            return
        if seen == change:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    sys.addaudithook(on_event)
    tiny.train_tiny(output)


def main() -> None:
    """Kill at change FIRST, FIRST + STRIDE, ... until a training ends before it is killed."""
    tiny, parent = load_tiny(), Path(sys.argv[1])
    change, stride = int(sys.argv[2]), int(sys.argv[3])
    # Pictures come after all that must not be lost, and take longer than the training.
    run.draw_curves = run.draw_samples = lambda *arguments: None
    tiny.train_tiny(parent / "warm", tiny.replace(tiny.CONFIG, num_steps=1))
    while True:
        output = parent / f"killed_at_{change}"
        status = in_child(lambda: train_until_killed(tiny, output, change))  # noqa: B023
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert in_child(lambda: tiny.train_tiny(output)) == 0  # noqa: B023
        print(output, flush=True)
        change += stride


if __name__ == "__main__":
    main()
