"""The page of the messages: what stands in ddpm_msgs, comments included."""

import re
from pathlib import Path

from tables import code, table

_PARTS = {
    "msg": ("",),
    "srv": ("Request", "Response"),
    "action": ("Goal", "Result", "Feedback"),
}
_FIELD = re.compile(r"(?P<type>\S+)\s+(?P<name>[^#]*?)\s*(#\s*(?P<text>.*))?")


def page(root: Path) -> str:
    """Return the page."""
    lines = ["# Messages, services and actions", "", "What `ddpm_msgs` defines.", ""]
    for folder, parts in _PARTS.items():
        for path in sorted((root / "ddpm_msgs" / folder).iterdir()):
            sections = re.split(r"^---$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            lines += [f"## ddpm_msgs/{folder}/{path.stem}", ""]
            for name, text in zip(parts, sections, strict=True):
                lines += [*_section(name, text)]
    return "\n".join(lines)


def _section(name: str, text: str) -> list[str]:
    """Return the lines of a section: comments on their own lines are paragraphs."""
    lines: list[str] = []
    rows: list[tuple[str, str, str]] = []
    titled = not name
    for line in [*text.strip().splitlines(), "#"]:
        if line.startswith("#") or not line:
            lines += [table(("type", "name", "meaning"), rows)] if rows else []
            rows = []
            lines += [line[1:].strip(), ""] if line[1:].strip() else []
            continue
        if not titled:  # what a file begins with is about all of its sections
            lines, titled = [*lines, f"### {name}", ""], True
        match = _FIELD.fullmatch(line)
        assert match is not None, line
        rows.append((match["type"], code(match["name"]), match["text"] or ""))
    return lines
