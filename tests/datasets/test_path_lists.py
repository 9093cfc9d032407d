"""Lists of paths in every form that editors, shells and scripts give them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from facecli.datasets.path_lists import listed

NAMES = [Path("a.jpg"), Path("Zoë/b c.jpg"), Path("王.jpg")]
LINES = "\n".join(map(str, NAMES)) + "\n"


@pytest.mark.parametrize("content", [
    LINES.encode(),
    LINES.encode().rstrip(),
    LINES.replace("\n", "\r\n").encode(),
    LINES.replace("\n", "\n\n").encode(),
    LINES.encode("utf-8-sig"),
    LINES.encode("utf-16"),
    LINES.encode("utf-16-le"),
    LINES.encode("utf-32"),
    LINES.encode("utf-16-be"),
    LINES.replace("\n", "\r\n").encode("utf-16"),
    LINES.replace("\n", "\0").encode(),
    LINES.replace("\n", "\0").encode().rstrip(b"\0"),
])  # fmt: skip
def test_every_form_reads_the_same(content: bytes) -> None:
    assert list(listed(io.BytesIO(content))) == NAMES


def test_names_of_any_bytes_and_with_line_ends(tmp_path: Path) -> None:
    assert list(listed(io.BytesIO(b"\xff.jpg\n"))) == [Path(os.fsdecode(b"\xff.jpg"))]
    assert list(listed(io.BytesIO(b"a\nb.jpg\0c.jpg\0"))) == [Path("a\nb.jpg"), Path("c.jpg")]
    assert list(listed(io.BytesIO(b""))) == []


@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_a_path_comes_while_the_next_is_still_being_written(end: bytes) -> None:
    out, into = os.pipe()
    with os.fdopen(out, "rb") as stream, os.fdopen(into, "wb", buffering=0) as writer:
        writer.write(b"a.jpg" + end)
        names = listed(stream)
        assert next(names) == Path("a.jpg")
        writer.write(b"b.jpg" + end)
        assert next(names) == Path("b.jpg")


def test_what_a_path_is_copied_with_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b/c.jpg", "a.jpg", " d.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    content = b'"a.jpg"\n a.jpg \r\n"b\\c.jpg"\n d.jpg\n "gone.jpg"\n'
    assert list(map(str, listed(io.BytesIO(content)))) == [
        "a.jpg", "a.jpg", "b/c.jpg", " d.jpg", ' "gone.jpg"',
    ]  # fmt: skip
