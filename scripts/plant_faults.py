"""Plants faults in diffusion/ one by one and sees whether the tests notice every one.

    python scripts/plant_faults.py              all faults of test/diffusion/faults.yaml
    python scripts/plant_faults.py bound solver only those whose file or text has one of the words

Each fault is planted in a copy; the working tree is not touched. Ends with 1 when one survives.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ROOT / "test" / "diffusion" / "faults.yaml"
COPIED = ("ddpm_controller", "test", "pyproject.toml")
TIMEOUT_S = 300.0  # a fault may also hang; that is noticed too


@dataclass(frozen=True)
class Fault:
    """One wrong line.

    Attributes:
        file: Below ddpm_controller/diffusion.
        old: Text that occurs in it exactly once.
        new: What takes its place.
        tests: The test file below test/diffusion that is to notice.
        kind: index, sign, coefficient, dtype, condition, spacing or another word.
    """

    file: str
    old: str
    new: str
    tests: str
    kind: str

    def planted_in(self, text: str) -> str:
        """Return the file's text with the fault.

        Raises:
            ValueError: The old text does not occur exactly once.
        """
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.file}: {self.old!r} occurs {text.count(self.old)} times, not once"
            )
        return text.replace(self.old, self.new)


def read_faults(path: Path = FAULTS) -> list[Fault]:
    """Return the faults of the list."""
    return [Fault(**fields) for fields in yaml.safe_load(path.read_text(encoding="utf-8"))]


def is_noticed(fault: Fault, tree: Path) -> bool:
    """Plant the fault in ``tree``, run its tests there and take it out again."""
    path = tree / "ddpm_controller" / "diffusion" / fault.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(fault.planted_in(sound), encoding="utf-8")
    try:
        return _exit_code(tree, fault.tests) != 0
    finally:
        path.write_text(sound, encoding="utf-8")


def _copied(tree: Path) -> Path:
    """Copy what the tests need into ``tree``."""
    tree.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    return tree


def _tried(fault: Fault, trees: "Queue[Path]") -> bool:
    tree = trees.get()
    try:
        return is_noticed(fault, tree)
    finally:
        trees.put(tree)


def _exit_code(tree: Path, tests: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            [*command, f"test/diffusion/{tests}"],
            cwd=tree,
            env=environment,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="only faults with one of these words")
    parser.add_argument("--jobs", type=int, default=1, help="faults that are tried side by side")
    options = parser.parse_args(arguments)
    words = options.words
    faults = [
        fault
        for fault in read_faults()
        if not words or any(word in f"{fault.file} {fault.old} {fault.new}" for word in words)
    ]
    console = Console(highlight=False)
    table = Table("file", "kind", "fault", "tests", "noticed", title="planted faults")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        trees: Queue[Path] = Queue()
        for job in range(options.jobs):
            trees.put(_copied(Path(folder) / str(job)))
        sound = _copied(Path(folder) / "sound")
        for tests in sorted({fault.tests for fault in faults}):
            if _exit_code(sound, tests) != 0:
                console.print(f"{tests} fails without any fault: mend that first")
                return 1
        results = pool.map(lambda fault: _tried(fault, trees), faults)
        noticed = list(track(results, "planting", total=len(faults), console=console))
    for fault, is_seen in zip(faults, noticed, strict=True):
        seen = "yes" if is_seen else "[red]NO[/]"
        table.add_row(fault.file, fault.kind, escape(fault.new), fault.tests, seen)
    survivors = len(faults) - sum(noticed)
    console.print(table)
    console.print(f"{len(faults) - survivors} of {len(faults)} faults noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
