"""LeRobot, the peer of the speed benchmarks, in a virtual environment of its own.

python benchmarks/peer_environment.py          (makes it, a few minutes; prints its Python)

Its packages are public and pinned, and torch is of the version that the Makefile takes, so that
both sides of a comparison run on the same one. It is made once, in the user's cache folder. What
the variable PIP_ARGS holds is added to each `pip install`, as `make` does. A script that runs in
it begins with `declare_operators()`.
"""

import fcntl
import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TORCH = "torch==2.13.0"
ALONE = ("lerobot==0.4.4", "torchvision==0.28.0")
"""Installed without what they name: an older torch, and much that a policy does not need."""
REST = (
    "accelerate==1.10.1",
    "av==15.1.0",
    "datasets==4.1.1",
    "deepdiff==8.6.1",
    "diffusers==0.35.2",
    "draccus==0.10.0",
    "einops==0.8.1",
    "gymnasium==1.2.0",
    "huggingface-hub==0.35.3",
    "imageio==2.37.0",
    "jsonlines==4.0.0",
    "numpy==2.2.6",
    "opencv-python-headless==4.12.0.88",
    "packaging==25.0",
    "pillow==11.3.0",
    "pyserial==3.5",
    "termcolor==3.1.0",
)
OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
"""Names of torchvision's own operators that its import needs; policies call none of them."""


class PeerError(RuntimeError):
    """The environment cannot be made; the message has what pip reported."""


def peer_python() -> Path:
    """Return the Python of the peer's environment, which is made where it is missing.

    Raises:
        PeerError: A package cannot be installed.
    """
    return environment("peer", "LeRobot", ([TORCH], ["--no-deps", *ALONE], [TORCH, *REST]))


def environment(name: str, shown: str, installs: Sequence[Sequence[str]]) -> Path:
    """Return the Python of an environment, which is made where it is missing.

    Args:
        name: Beginning of the name of its folder.
        shown: Name of what it holds, for people.
        installs: Words of each ``pip install``.

    Raises:
        PeerError: A package cannot be installed.
    """
    folder = _folder(name, [word for words in installs for word in words])
    python, complete = folder / "bin" / "python", folder / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another benchmark may be making it
        if not complete.exists():
            sys.stderr.write(f"making the environment of {shown} in {folder}\n")
            _run([sys.executable, "-m", "venv", folder])
            for words in installs:
                _run([python, "-m", "pip", "install", *words])
            complete.touch()
    return python


def peer_variables() -> dict[str, str]:
    """Return environment variables for a process of the peer: nothing of ours leads it astray."""
    leading = ("PYTHON", "AMENT_", "LD_LIBRARY_PATH")
    kept = {name: each for name, each in os.environ.items() if not name.startswith(leading)}
    return {**kept, "HF_HUB_OFFLINE": "1"}


def declare_operators() -> None:
    """Make torchvision importable beside a torch for which its operators are not built."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in OPERATORS:
            library.define(operator)
        torch.library._peer_operators = library  # they are gone with the object


def _folder(name: str, pins: Sequence[str]) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    text = "\n".join([sys.version, *pins])
    return cache / "ddpm_controller" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _run(words: list[str | Path]) -> None:
    """Run a command; pip's gets the words of PIP_ARGS."""
    command = [str(word) for word in words]
    if "install" in command:
        command += shlex.split(os.environ.get("PIP_ARGS", ""))
    done = subprocess.run(command, env=peer_variables(), capture_output=True, text=True)
    if done.returncode:
        raise PeerError(f"{shlex.join(command)} failed:\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    sys.stdout.write(f"{peer_python()}\n")
