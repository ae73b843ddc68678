"""An engine tried in a process of its own, where one that crashes ends nothing else.

``python -m ddpm_controller.inference.trial ENGINE SIZES HORIZON THREADS`` binds a U-Net of these
sizes with random weights and compares one answer; it ends with 0, or with a line of why not.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import torch

from ddpm_controller.given_files import one_line
from ddpm_controller.inference.engine import Engine, EngineError, Served, version_of
from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.inference.remembered import digest_of, processor, recall, remember
from ddpm_controller.networks.unet1d import ConditionalUnet1d

_PATIENCE_S = 300.0


def try_first(engine: Engine, served: Served) -> None:
    """Return when the engine is known to run a network of these sizes on this processor.

    Raises:
        EngineError: If it is not: it crashed, refused or computed something else.
    """
    sizes = served.unet.sizes
    words = [engine.name, json.dumps(sizes), str(served.horizon), str(served.threads)]
    key = digest_of("trial", words, version_of(engine), torch.__version__, processor())
    if recall(key).get("runs") is True:
        return
    if problem := _problem(words):
        raise EngineError(problem)
    remember(key, {"runs": True, "engine": engine.name, "version": version_of(engine)})


def _problem(words: list[str]) -> str:
    command = [sys.executable, "-m", "ddpm_controller.inference.trial", *words]
    try:
        ended = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"engine {words[0]!r} could not be tried: {one_line(error)}"
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        return f"engine {words[0]!r} ends its process here: {name}"
    lines = ended.stderr.strip().splitlines() or [f"engine {words[0]!r} failed"]
    return one_line(lines[-1]) if ended.returncode else ""


def tried(name: str, sizes: Mapping[str, Any], horizon: int, threads: int) -> float:
    """Return the largest difference between two answers, of an engine and of torch."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    unet = ConditionalUnet1d(**sizes).eval()
    served = Served(unet, horizon, threads)
    xt = torch.randn(1, horizon, unet.input_dim)
    modulation = torch.randn(1, sum(unet.modulation_sizes))
    with torch.no_grad():
        mine = ENGINES[name].bind(served)(xt, modulation)
        return float((mine - unet.denoise_modulated(xt, modulation)).abs().max())


def main() -> int:
    """Try the engine that the command line names."""
    name, sizes, horizon, threads = sys.argv[1:]
    os.nice(10)
    try:
        difference = tried(name, json.loads(sizes), int(horizon), int(threads))
    except Exception as error:  # a library of another's may raise anything
        known = isinstance(error, EngineError)
        sys.stderr.write(f"{error}\n" if known else f"engine {name!r} failed: {error!r}\n")
        return 1
    if difference <= ENGINES[name].tolerance:
        return 0
    sys.stderr.write(f"engine {name!r} is off by {difference:.2g} in a trial\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
