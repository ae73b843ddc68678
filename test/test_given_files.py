"""Files that are wrong cost a moment and a line; each guard at its limit and one beyond."""

import os
import time

import pytest

from ddpm_controller.given_files import (
    MOST_NESTING,
    MOST_NODES,
    MOST_TEXT_BYTES,
    file_content,
    file_text,
    one_line,
    parsed_json,
    parsed_yaml,
)


def repeated(times, values):
    """YAML in which one list is repeated by aliases."""
    aliases = "".join("- *a\n" for _ in range(times - 1))
    return f"- &a [{', '.join('1' for _ in range(values - 1))}]\n{aliases}"


def test_yaml_may_repeat_what_it_has_up_to_the_limit():
    """The list around them is a value too."""
    values, times = 200, MOST_NODES // 200 - 1
    assert len(parsed_yaml(repeated(times, values))) == times
    with pytest.raises(ValueError, match=f"more than {MOST_NODES} values, counting"):
        parsed_yaml(repeated(times + 1, values))


@pytest.mark.parametrize(("opening", "closing"), ["[]", "{}"])
def test_yaml_and_json_are_nested_up_to_the_limit(opening, closing):
    inside = '"a": ' if opening == "{" else ""
    deepest = (opening + inside) * MOST_NESTING + "1" * bool(inside) + closing * MOST_NESTING
    parsed_json(deepest)
    parsed_yaml(deepest)
    deeper = opening + inside + deepest + closing
    for parse in (parsed_json, parsed_yaml):
        with pytest.raises(ValueError, match=f"nested more than {MOST_NESTING} deep"):
            parse(deeper)


def test_an_alias_to_what_contains_it_is_no_endless_list():
    assert parsed_yaml("a: &x [1]\nb: *x\n") == {"a": [1], "b": [1]}
    content = parsed_yaml("&x [1, *x]")
    assert content[1] is content


def test_a_key_twice_is_refused_with_its_line():
    with pytest.raises(ValueError, match="line 3: seed is given twice"):
        parsed_yaml("seed: 1\nnum_steps: 2\nseed: 3\n")


def test_a_yaml_error_has_one_line_with_the_place():
    with pytest.raises(ValueError, match="not YAML: .*line 2") as error:
        parsed_yaml("a: 1\nb: [1, 2\nc: 3\n")
    assert "\n" not in str(error.value)


def test_a_text_is_read_up_to_the_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a" * MOST_TEXT_BYTES)
    assert len(file_text(path)) == MOST_TEXT_BYTES
    path.write_bytes(b"a" * (MOST_TEXT_BYTES + 1))
    with pytest.raises(ValueError, match=f"the most are {MOST_TEXT_BYTES}"):
        file_text(path)


def test_a_pipe_a_device_and_a_folder_are_refused_at_once(tmp_path):
    """A reader would wait for a writer, or read for ever."""
    os.mkfifo(tmp_path / "pipe")
    began_s = time.monotonic()
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            file_content(path)
    with pytest.raises((ValueError, OSError)):
        file_content(tmp_path)
    assert time.monotonic() - began_s < 60  # it did not hang


def test_a_long_text_is_cut_to_a_line():
    assert one_line("a\n  b\tc") == "a b c"
    assert len(one_line("x" * 10**6)) < 600
