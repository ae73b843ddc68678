"""What was found about engines on this machine, kept from one start to the next.

Small files in the user's cache folder, named by a digest of all that the finding depends on. One
that is missing, broken or cannot be written costs time, never a plan.
"""

import contextlib
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ddpm_controller.given_files import file_text, parsed_json
from ddpm_controller.inference.engine import Served
from ddpm_controller.networks.unet1d import ConditionalUnet1d

_CPU_FACTS = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features")


def cache_folder() -> Path:
    """Return the folder of the findings, in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return root / "ddpm_controller" / "engines"


def digest_of(*parts: object) -> str:
    """Return a digest of values that JSON has a text for."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def weights_digest(unet: ConditionalUnet1d) -> str:
    """Return a digest of the weights, with their names, shapes and types."""
    digest = hashlib.sha256()
    for name, weight in sorted(unet.state_dict().items()):
        array = weight.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(memoryview(array).cast("B"))
    return digest.hexdigest()


def processor() -> str:
    """Return what the kernel reports of the first processor: name, model and instructions."""
    found = {}
    with contextlib.suppress(OSError, UnicodeDecodeError):
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0]
        lines = (line.partition(":") for line in first.splitlines())
        found = {key.strip(): value.strip() for key, _, value in lines}
    facts = [found.get(name, "") for name in _CPU_FACTS]
    return digest_of(platform.machine(), platform.processor(), facts)


def recall(digest: str) -> Mapping[str, object]:
    """Return a finding; empty where there is none that can be read."""
    try:
        found = parsed_json(file_text(cache_folder() / f"{digest}.json"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(digest: str, finding: Mapping[str, object]) -> None:
    """Keep a finding where that is possible, in one step."""
    folder = cache_folder()
    with contextlib.suppress(OSError, RuntimeError):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
            json.dump(finding, file)
        os.replace(file.name, folder / f"{digest}.json")


def chosen_key(served: Served, versions: Sequence[str]) -> str:
    """Return the digest under which the choice for a network is kept."""
    weights = weights_digest(served.unet)
    return digest_of("choice", weights, served.horizon, served.threads, versions, processor())


def forget() -> None:
    """Remove all findings, where that is possible."""
    with contextlib.suppress(OSError, RuntimeError):
        for path in cache_folder().glob("*.json"):
            path.unlink(missing_ok=True)
