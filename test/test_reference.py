"""docs/reference is what `make reference` writes from the code as it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
ROOT = Path(__file__).parents[1]


def test_the_reference_is_what_the_code_says(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "reference"), "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = {name: (tmp_path / name).read_text() for name in sorted(os.listdir(tmp_path))}
    folder = ROOT / "docs" / "reference"
    committed = {name: (folder / name).read_text() for name in sorted(os.listdir(folder))}
    assert written.keys() == committed.keys()
    for name, text in written.items():
        assert text == committed[name], f"docs/reference/{name} is old: run `make reference`"
