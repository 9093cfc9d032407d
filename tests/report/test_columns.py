"""Text in columns: aligned, and never wider than the terminal."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from wcwidth import wcswidth

from facecli.report.columns import Cell, Terminal, fold, short_path, table, titled_lines

NAMES = [
    "홍길동",
    "王小明",
    "Ada Lovelace",
    "Nguyễn Văn Đức",
    "محمد عبد الله",
    "Ludwig van Beethoven",
]
NOTE = "quality 0.21, naturalness 0.00; nearest: Nguyễn Văn Đức, below threshold"
HEADERS = ["photo", "face", "answer", "score", "note"]
ROWS = [
    [f"archive/2019/box {n}/{name.replace(' ', '_')}_0001.jpg", "0", name, "0.500", NOTE]
    for n, name in enumerate(NAMES)
]


def words(text: str) -> list[str]:
    """The letters of a text, whatever breaks its lines."""
    return re.findall(r"[^\s-]", text)


def test_columns_stay_aligned_with_wide_letters():
    text = table([[name, "0.5", "x"] for name in NAMES], ["answer", "score", "note"])
    lines = text.split("\n")
    ends = {wcswidth(line[: line.index("0.5")]) for line in lines[2:]}
    assert len(ends) == 1
    assert lines[0].startswith("answer")


def test_numbers_stand_under_each_other():
    rows = [["a", "5"], ["b", "1000"]]
    lines = table(rows, ["subject", "references"]).split("\n")
    assert len({len(line) for line in lines[2:]}) == 1
    assert table([], ["subject", "references"]).startswith("subject")


@pytest.mark.parametrize("width", [12, 20, 40, 60, 80, 100, 120, 200])
def test_no_line_is_longer_than_the_terminal_and_nothing_is_lost(width: int):
    text = table(ROWS, HEADERS, Terminal(width))
    assert max(map(wcswidth, text.split("\n"))) <= width
    if width >= 40:
        shown, given = Counter(words(text)), Counter(words("".join(map("".join, ROWS))))
        assert not given - shown


def test_a_wide_terminal_changes_nothing():
    assert table(ROWS, HEADERS, Terminal(500)) == table(ROWS, HEADERS)
    assert max(map(wcswidth, table(ROWS, HEADERS).split("\n"))) > 120


@pytest.mark.parametrize("width", [40, 60, 80])
def test_words_of_names_stay_whole(width: int):
    text = table(ROWS, HEADERS, Terminal(width))
    for word in (word for name in NAMES for word in name.split()):
        assert word in text


def test_too_narrow_for_columns_a_row_is_a_block_without_its_empty_cells():
    rows = [["a.jpg", "0", "Ada Lovelace", "0.9", ""], ["", "1", "unknown", "0.1", "nearest: Bob"]]
    assert table(rows, HEADERS, Terminal(24)) == (
        "photo   a.jpg\nface    0\nanswer  Ada Lovelace\nscore   0.9\n\n"
        "face    1\nanswer  unknown\nscore   0.1\nnote    nearest: Bob"
    )


def test_text_is_folded_between_words():
    assert fold("the quick brown fox", 10) == ["the quick", "brown fox"]
    assert fold("a/very/long/path.jpg", 8) == ["a/very/", "long/", "path.jpg"]
    assert fold("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert fold("홍길동", 4) == ["홍길", "동"]
    assert fold("false alarm < 0.01 %", 12) == ["false alarm", "< 0.01 %"]
    assert fold("since 2026-11-27", 12) == ["since", "2026-11-27"]
    assert fold("", 10) == [""]
    assert "".join(fold("e\u0301" * 9, 4)) == "e\u0301" * 9


def test_colours_are_for_terminals_and_take_no_room():
    rows = [[Cell("Ada", "1;32"), "0.9"], [Cell("unknown"), "0.1"]]
    plain = table(rows, ["answer", "score"], Terminal(80))
    painted = table(rows, ["answer", "score"], Terminal(80, colour=True))
    assert "\x1b" not in plain and "\x1b[1;32mAda\x1b[0m" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain


def test_colours_come_from_no_name():
    text = table([[Cell("\x1b[31mred", "1;32")]], ["answer"], Terminal(80, colour=True))
    assert r"\x1b[31mred" in text and "\x1b[31m" not in text


def test_a_long_path_keeps_its_end():
    path = "/very" * 40 + "/홍길동/photo.jpg"
    short = short_path(path)
    assert short.startswith("…/") and short.endswith("/홍길동/photo.jpg")
    assert wcswidth(short) <= 60
    assert short_path("a/b.jpg") == "a/b.jpg"
    assert short_path("x" * 200) == "x" * 200


def test_titles_and_values():
    assert titled_lines([("a", "1"), ("long", "2\x1b")]) == "a     1\nlong  2\\x1b"


@pytest.mark.parametrize("terminal", [Terminal(), Terminal(60)])
def test_a_name_as_long_as_a_book_is_cut(terminal: Terminal) -> None:
    text = table([["a" * 300_000, "0.500"], ["b" * 1000, "0.400"]], ["answer", "score"], terminal)
    assert text.count("a") == 99_999 + "answer".count("a") and text.count("…") == 1
    assert text.count("b") == 1000
