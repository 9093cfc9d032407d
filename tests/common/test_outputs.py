"""The one door for what is written: who may go past it, and what it lets through."""

from __future__ import annotations

import ast
import os
import stat
from pathlib import Path

import pytest
from support.places import ROOT

from facecli.common import atomic, outputs
from facecli.common.errors import OutputError, UsageError

# Whose files they are: caches, sidecars, installed models, a gallery under another key.
OWNERS = {
    "common/outputs.py", "recognition/model_zoo/add.py", "recognition/model_zoo/sessions.py",
    "storage/maintenance/encryption.py", "storage/search/sidecar.py",
    # a cache by content, a checkpoint, and what a run made, in its own folder
    "training/crops.py", "training/loop.py", "training/train.py",
}  # fmt: skip
# Into a draft or an unfinished download.
WRITERS = {
    "common/atomic.py", "common/outputs.py", "recognition/model_zoo/pull.py",
    "recognition/model_zoo/sessions.py", "storage/export.py", "storage/maintenance/encryption.py",
    "datasets/sidecars.py", "training/crops.py", "video/libav.py",
}  # fmt: skip
MODULES = sorted((ROOT / "facecli").rglob("*.py"))


def calls(path: Path) -> list[ast.Call]:
    return [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]


def test_only_a_file_s_owner_replaces_it() -> None:
    replacing = {
        str(path.relative_to(ROOT / "facecli"))
        for path in MODULES
        for call in calls(path)
        for word in call.keywords
        if word.arg == "replace"
        and getattr(word.value, "value", None) is True
        and isinstance(call.func, ast.Attribute)
        and getattr(call.func.value, "id", "") == "atomic"
    }
    assert replacing == OWNERS


def test_nobody_else_opens_a_file_to_write() -> None:
    writing = set[str]()
    for path in MODULES:
        for call in calls(path):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            modes = [a.value for a in call.args if isinstance(a, ast.Constant)]
            opens = name == "open" and any(
                isinstance(m, str) and set(m) & set("wax+") and len(m) < 4 for m in modes
            )
            if opens or name in ("write_text", "write_bytes", "imwrite"):
                writing.add(str(path.relative_to(ROOT / "facecli")))
    assert writing <= WRITERS


def test_what_comes_while_it_is_written_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    for comes in (lambda: target.write_text("theirs"), lambda: target.symlink_to("elsewhere"),
                  target.mkdir):  # fmt: skip
        for force in (False, True):
            with pytest.raises((UsageError, OutputError)), outputs.draft(target, force=force) as d:
                d.write_text("mine")
                if force and not os.path.lexists(target):
                    target.write_bytes(b"SQLite format 3\0")  # a gallery came
                else:
                    comes()
            if target.is_symlink() or target.is_file():
                assert target.is_symlink() or target.read_bytes() != b"mine"
                target.unlink()
            else:
                target.rmdir()
            assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "replaced"),
    [
        (b"", True), (b"<!doctype html>", True), ("é".encode() * 4000, True),
        (b"SQLite format 3\0", False), (b"a" * 64, False), (b"0123456789abcdef" * 4 + b"\n", False),
        (b"\xff\xd8\xff\xe0", False), (b"\x89PNG\r\n\x1a\n", False), (b"caf\xe9", False),
        (b"text\0", False), (os.urandom(16384), False),
    ],
)  # fmt: skip
def test_by_force_text_is_replaced(tmp_path: Path, content: bytes, replaced: bool) -> None:
    target = tmp_path / "out"
    target.write_bytes(content)
    with pytest.raises(UsageError):
        outputs.write(target, b"new")
    if replaced:
        outputs.write(target, b"new", force=True)
        assert target.read_bytes() == b"new"
    else:
        with pytest.raises(UsageError, match="is not replaced"):
            outputs.write(target, b"new", force=True)
        assert target.read_bytes() == content


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        outputs.judge(tmp_path / "none" / "out")
    with pytest.raises(OutputError):
        outputs.judge(tmp_path / ("x" * 300))
    with pytest.raises(OutputError):
        outputs.judge(Path("a\0b"))


def test_the_low_door_replaces_nothing_unasked(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        atomic.write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_lines_are_there_when_all_are_written(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    with outputs.lines(target) as write:
        write("one")
        assert not target.exists()
        write("two \udce9")
    assert target.read_bytes() == b"one\ntwo \\udce9\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 or os.name == "nt"
    with pytest.raises(ZeroDivisionError), outputs.lines(target, force=True) as write:
        write("three")
        1 / 0  # noqa: B018
    assert target.read_bytes().startswith(b"one")


def test_added_lines_are_there_at_once_whatever_comes(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    with outputs.more_lines(target) as write:
        write("one")
        assert target.read_text() == "one\n"
    target.write_text("one\nno end")
    with pytest.raises(ZeroDivisionError), outputs.more_lines(target) as write:
        write("three")
        1 / 0  # noqa: B018
    assert target.read_text() == "one\nno end\nthree\n"
    assert outputs.first_line(target) == "one"
    assert outputs.first_line(tmp_path / "none") == ""


@pytest.mark.parametrize("kind", ["gallery", "link", "folder", "bytes"])
def test_nothing_is_added_to_what_is_no_text(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "there"
    if kind == "link":
        (tmp_path / "theirs").write_text("theirs")
        target.symlink_to(tmp_path / "theirs")
    elif kind == "folder":
        target.mkdir()
    else:
        target.write_bytes(b"SQLite format 3\0" if kind == "gallery" else b"\xff\xd8\0")
    with pytest.raises(UsageError), outputs.more_lines(target) as write:
        write("mine")
    assert "mine" not in (tmp_path / "theirs").read_text() if kind == "link" else True


@pytest.mark.skipif(os.name != "posix", reason="NOT CHECKED: limits a file's size")
def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    import resource
    import signal

    target = tmp_path / "a.csv"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        with pytest.raises(OutputError), outputs.more_lines(target) as write:
            write("x" * 49)
            write("y" * 80)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert target.read_text() == "x" * 49 + "\n"
