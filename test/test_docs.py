"""The words beside the code: links, pictures, commands, and the Python that the README shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_controller.ros.graph.executables import EXECUTABLES
from ddpm_controller.ros.graph.graphs import GRAPHS

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "models").glob("*/CARD.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|`|\s)(?:ddpm|ros2 run ddpm_controller) ([a-z][\w-]*)", re.MULTILINE)
GRAPH = re.compile(r"\bddpm start ([a-z]\w*)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
KINDS = {"tutorial", "how_to", "explanation", "reference", "pictures"}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors_of(page: Path) -> set[str]:
    """Names that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", NAMES)
def test_every_relative_link_and_picture_of_a_page_exists(page):
    for link in LINK.findall(read(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path if path else ROOT / page).resolve()
        assert target.exists(), f"{page} links to {link}, which does not exist"
        if anchor:
            assert anchor in anchors_of(target), f"{page}: no heading for {link}"


@pytest.mark.parametrize("page", NAMES)
def test_every_command_that_a_page_names_exists(page):
    code = "\n".join(CODE.findall(read(page)))
    known = {name.replace("_", "-") for name in EXECUTABLES} | set(EXECUTABLES)
    assert set(COMMAND.findall(code)) <= known
    assert set(GRAPH.findall(code)) <= set(GRAPHS)


@pytest.mark.parametrize("page", NAMES)
def test_every_file_of_the_repository_that_a_page_names_exists(page):
    named = re.findall(
        r"(?<![\w./-])((?:benchmarks|scripts|config|docs|launch|models|test|examples)/[\w/.-]*\w)",
        read(page),
    )
    missing = [name for name in named if not (ROOT / name).exists()]
    # What a reader makes, and a folder of results that a command writes.
    made = {"config/robots/my_arm.yaml", "config/robots", "models/mine"}
    assert not [name for name in missing if name not in made], page


def test_every_file_that_contributing_names_exists():
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", read("CONTRIBUTING.md")))
    by_room = {
        name for name in named if name.count("/") or (ROOT / "ddpm_controller" / name).exists()
    }
    # `config.py` and the like, alone, are what a file of that name holds in every system.
    roots = (ROOT / "ddpm_controller", ROOT)
    assert not [name for name in by_room if not any((root / name).exists() for root in roots)]
    assert len(by_room) > 40


def test_every_picture_is_shown_somewhere():
    shown = {Path(link).name for page in NAMES for link in LINK.findall(read(page))}
    pictures = {path.name for path in (ROOT / "docs" / "pictures").iterdir()}
    assert pictures <= shown


def test_every_page_is_listed_and_of_a_known_kind():
    index = ROOT / "docs" / "README.md"
    listed = {
        (index.parent / link.partition("#")[0]).resolve()
        for link in LINK.findall(index.read_text(encoding="utf-8"))
    }
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page.name != "README.md"}
    assert {page.resolve() for page in pages} <= listed
    assert {path.name for path in (ROOT / "docs").iterdir() if path.is_dir()} <= KINDS


def test_the_readme_is_one_page():
    assert len(read("README.md").splitlines()) <= 120


def test_the_python_of_the_readme_runs_and_the_drummer_counts_right():
    blocks = re.findall(r"^```python\n(.*?)^```", read("README.md"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    ran = subprocess.run(
        [sys.executable, "-c", blocks[0]], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "asked for 5 strikes, struck 5: True\n"
