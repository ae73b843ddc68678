"""The extras of setup.py resolve to versions that work, as far as that is known."""

import ast
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def extras() -> dict[str, list[Requirement]]:
    tree = ast.parse((ROOT / "setup.py").read_text())
    keywords = [
        word for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords
    ]
    found = next(word.value for word in keywords if word.arg == "extras_require")
    return {
        name: [Requirement(line) for line in lines]
        for name, lines in ast.literal_eval(found).items()
    }


def pinned() -> dict[str, str]:
    lines = [
        line
        for path in (ROOT / "requirements").glob("*.txt")
        for line in path.read_text().splitlines()
        if "==" in line and not line.startswith("#")
    ]
    return dict(line.split("==") for line in lines)


def test_the_versions_that_are_tested_are_those_that_the_extras_allow():
    pins = pinned()
    for requirements in extras().values():
        for each in requirements:
            assert pins[each.name] in each.specifier


@pytest.mark.parametrize("version", ["3.17.0", "4.0.0"])
def test_a_mujoco_with_which_no_task_of_metaworld_begins_is_not_taken(version):
    mujoco = next(each for each in extras()["metaworld"] if each.name == "mujoco")
    assert version not in mujoco.specifier
