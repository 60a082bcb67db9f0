from typing import Any, cast

import pytest
from nicegui.events import GenericEventArguments

from mcpbox.domain.texts import hidden_in
from tests.unit.ui.stub_api import OTHER_DIGEST, a_finding, a_request, a_version
from ui.changes import changed_files, code_path, contract_path, notes_of
from ui.diff import CHUNK_ROWS, FileDiff, diff_file, plain_file
from ui.diff_view import at_line
from ui.highlight import Segment, highlight

OLD = "one\ntwo\nthree\n"


def shown(file: FileDiff) -> list[str]:
    """Every line that the browser gets, folded ones included, on the new side."""
    rows = [row for block in file.as_props()["blocks"] for row in block["rows"]]
    return ["".join(text for text, *_ in row[4]) for row in rows if row[2] is not None]


def marked(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments if segment.marked)


def test_a_changed_line_stands_beside_the_line_it_replaces() -> None:
    file = diff_file("a.py", OLD, "one\n2\nthree\nfour\n")

    assert [(row.kind, row.left, row.right) for row in file.rows] == [
        ("same", 1, 1),
        ("change", 2, 2),
        ("same", 3, 3),
        ("add", None, 4),
    ]
    assert (file.added, file.removed, file.status) == (2, 1, "changed")


def test_only_the_words_that_differ_are_marked() -> None:
    file = diff_file("a.py", "page = fetch(url, 50)\n", "page = fetch(url, 100)\n")

    assert marked(file.rows[0].left_segments) == "50"
    assert marked(file.rows[0].right_segments) == "100"


def test_lines_that_have_little_in_common_carry_no_marks() -> None:
    file = diff_file("a.py", "import os\n", "return [x for x in y]\n")

    assert marked(file.rows[0].right_segments) == ""


def test_a_first_version_is_all_new() -> None:
    file = diff_file("a.py", "", OLD)

    assert (file.status, file.added, file.removed) == ("added", 3, 0)


def test_equal_files_do_not_differ() -> None:
    assert diff_file("a.py", OLD, OLD).status == "same"
    assert shown(plain_file("a.py", OLD)) == ["one", "two", "three"]


def test_far_unchanged_lines_are_folded_and_lines_with_a_remark_are_not() -> None:
    before = "".join(f"x{n}\n" for n in range(60))
    after = before.replace("x0\n", "y0\n")

    folded = diff_file("a.py", before, after).as_props()["blocks"]
    noted = diff_file("a.py", before, after).as_props(frozenset({40}))["blocks"]

    assert [bool(block["fold"]) for block in folded] == [False, True]
    open_lines = [row[2] for block in noted if not block["fold"] for row in block["rows"]]
    assert 40 in open_lines


def test_every_line_of_a_long_program_reaches_the_browser() -> None:
    """A reviewer approves all of it, so nothing is cut; long runs are folded into pieces."""
    code = [f"x{n} = {n}" for n in range(CHUNK_ROWS * 3 + 5)]

    file = diff_file("a.py", "", "\n".join(code))

    assert shown(file) == code
    assert [bool(block["fold"]) for block in file.as_props()["blocks"]] == [False, True, True, True]


@pytest.mark.timeout(20)
def test_a_program_made_to_be_slow_to_compare_holds_nobody_up() -> None:
    before = "\n".join("ab" * 60 if n % 2 else f"{n}" for n in range(9000))
    after = "\n".join("ba" * 60 if n % 3 else f"{n + 1}" for n in range(9000))

    file = diff_file("a.txt", before, after)

    assert file.added == file.removed == 9000


@pytest.mark.timeout(20)
def test_one_enormous_line_is_shown_without_comparing_its_words() -> None:
    file = diff_file("a.txt", "a b " * 40_000, "b a " * 40_000)

    assert file.rows[0].kind == "change"


def test_characters_that_hide_something_are_spelled_out() -> None:
    """Trojan source: what the reviewer reads must be what runs."""
    source = 'admin = "no\u202e" # \u200bx\rimport os\n'

    (line,) = highlight(source, "a.py")

    text = "".join(segment.text for segment in line)
    assert "⟨U+202E⟩" in text
    assert "⟨U+200B⟩" in text
    assert "⟨U+000D⟩" in text
    assert [s.css for s in line if s.text.startswith("⟨")] == ["hidden"] * 3
    assert hidden_in(source) == 3


def test_markup_in_a_program_stays_text() -> None:
    source = "x = '<img src=x onerror=alert(1)>'"

    assert shown(diff_file("a.py", "", source)) == [source]


def test_lines_end_where_the_source_says_line_feed() -> None:
    assert len(highlight("a\x0cb\nc\u2028d", "a.py")) == 2


def test_a_file_of_unknown_kind_is_shown_without_colours() -> None:
    assert highlight("hello", "x.unknown") == [[Segment("hello")]]


def test_a_request_shows_what_its_digest_covers_and_what_differs() -> None:
    before, after = a_version(), a_version("async def main() -> None: ...\n", number=2)
    needy = a_version(number=2, hosts=("a.example",))

    assert [f.path for f in changed_files(a_request(after, before))] == ["weather/forecast.py"]
    assert [f.path for f in changed_files(a_request(needy, before))] == ["weather/forecast.json"]
    assert len(changed_files(a_request(before))) == 2


def test_remarks_on_another_version_are_not_shown_at_a_line() -> None:
    version = a_version()
    ours, stale = a_finding(2, digest=version.digest), a_finding(1, digest=OTHER_DIGEST)
    request = a_request(version, None, ours, stale)

    notes = notes_of(request)

    assert [note.line for note in notes[code_path(request)]] == [2]
    assert contract_path(request) not in notes


async def test_what_a_browser_sends_that_is_no_line_asks_for_nothing() -> None:
    picked: list[int] = []

    async def pick(line: int) -> None:
        picked.append(line)

    nobody = cast("Any", None)
    for sent in ("1", None, [1], {"line": 1}, 2.5, 3):
        await at_line(pick, GenericEventArguments(sender=nobody, client=nobody, args=sent))

    assert picked == [3]
