"""The part of the word list in CONTRIBUTING that a machine can check."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ddpm_controller"
ROOMS = sorted(path.name for path in (ROOT / "ddpm_controller").iterdir() if path.name[0] != "_")
"""Files and folders of the package; their docstrings, comments and texts keep to the list."""
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "models").glob("*/CARD.md")),
]
INSTEAD = {
    r"\banew\b": "again, from the beginning, afresh",
    r"\b(?:go|goes|went|going) on\b": "resume, continue, follow",
    r"\b(?:tell|tells|told|telling)\b": "report, show, name, distinguish",
    r"\b(?:hear|hears|heard|hearing)\b": "receive",
    r"\b(?:obey|obeys|obeyed|obeying)\b": "follow",
    r"\b(?:want|wants|wanted|wish|wishes|wished)\b": "need, request, expect",
    r"\b(?:say|says|said|saying)\b": "report, name, contain, give",
    r"\b(?:speak|speaks|spoke)\b": "report, publish, answer",
    r"\b(?:nobody|somebody)\b": "no subscriber, no process, a person",
    r"\bnever mind\b": "the reason",
    r"\bwithout a word\b": "silently, without an error",
    r"\bfor want of\b": "because there is no",
}
OF = re.compile(r"^\s+[\w`., ]+: Of ", re.MULTILINE)
"""The text of an attribute or an argument that does not stand alone."""


def problems_of(text: str) -> list[str]:
    plain = re.sub(r"`+[^`]*`+|^\s+\w+: ", "", text, flags=re.MULTILINE)  # names of the code
    found = [f"{word!r}: {instead}" for word, instead in INSTEAD.items() if re.search(word, plain)]
    return found + ["a text that begins with 'Of': a noun phrase"] * bool(OF.search(text))


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings, comments, and strings of more than one word, with their lines."""
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def prose_of(page: str) -> str:
    """A page without its blocks of code, the table of words and the quotation of old options."""
    page = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^\| we write.*?(?=^$|\Z)", "", page, flags=re.MULTILINE | re.DOTALL)


def files_of(room: str) -> list[Path]:
    path = PACKAGE / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_the_texts_of_a_room_keep_to_the_word_list(room):
    found = [
        f"{path.relative_to(ROOT)}:{line}: {problem}"
        for path in files_of(room)
        for line, text in texts_of(path.read_text(encoding="utf-8"))
        for problem in problems_of(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_keeps_to_the_word_list(page):
    lines = prose_of(page.read_text(encoding="utf-8")).splitlines()
    found = [f"{line.strip()}: {problem}" for line in lines for problem in problems_of(line)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "The node goes on with the next plan.",
        "It was told to stop.",
        "Begin anew.",
        "What the policy wants.",
        "Attributes:\n    seed: Of the noise.",
    ],
)
def test_the_list_notices(text):
    assert problems_of(text)


@pytest.mark.parametrize("text", ["Resume with the next plan.", "Pass `--no-told` to it."])
def test_the_list_lets_plain_english_pass(text):
    assert not problems_of(text)
