"""Writes docs/reference from the code: ``python scripts/reference [--output FOLDER]``.

What is written depends on the code alone, so that a test can compare it byte for byte.
"""

import argparse
import importlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("commands", "parameters", "topics", "messages", "robot_file", "training")
"""Modules beside this one, each with a function ``page``."""
ENVIRONMENT = {
    # Nodes are made to be asked for their topics; nothing outside this process may hear them.
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF",
    "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl"),
    # Help texts as wide as the lines of the code, without boxes and colours.
    "COLUMNS": "99",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "PYTHON_TYRO_UTF8_BOXES": "False",
}
"""Set before the pages import ROS and tyro."""


def main() -> None:
    """Write every page, and an index of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reference")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    os.environ.update(ENVIRONMENT)
    written = {name: importlib.import_module(name).page(ROOT) for name in PAGES}
    titles = {name: text.splitlines()[0].removeprefix("# ") for name, text in written.items()}
    note = "Generated from the code by `make reference`; do not edit."
    index = [f"- [{title}]({name}.md)" for name, title in titles.items()]
    written["README"] = "\n".join(["# Reference", "", note, "", *index]) + "\n"
    for name, text in written.items():
        if not text.isascii():
            wrong = sorted({letter for letter in text if not letter.isascii()})
            raise SystemExit(f"{name}: {wrong} are not ASCII; write them otherwise in the code")
        (output / f"{name}.md").write_text(text.rstrip() + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
