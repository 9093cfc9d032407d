"""What stdout and stderr are: how wide, in colour or not, with a progress bar or without."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from facecli.cli import options
from facecli.report.columns import Terminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="NOT CHECKED: needs a terminal")


@contextmanager
def terminal(columns: int) -> Iterator[tuple[io.TextIOWrapper, int]]:
    """The program's end of a terminal so wide, and its user's end."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
    with open(its, "w", encoding="utf-8") as stream:  # noqa: PTH123 (a descriptor)
        yield stream, ours
    os.close(ours)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("columns", "width"), [(40, 40), (200, 200), (0, 80)])
def test_a_terminal_is_as_wide_as_it_says(
    monkeypatch: pytest.MonkeyPatch, columns: int, width: int
) -> None:
    with terminal(columns) as (stream, _):
        monkeypatch.setattr(sys, "stdout", stream)
        assert options.terminal() == Terminal(width, colour=True)
        monkeypatch.setenv("NO_COLOR", "1")
        assert options.terminal() == Terminal(width, colour=False)
        monkeypatch.delenv("NO_COLOR")
        monkeypatch.setenv("TERM", "dumb")
        assert options.terminal() == Terminal(width, colour=False)
        for asked, shown in (("66", 66), ("0", width), ("wide", width)):
            monkeypatch.setenv("COLUMNS", asked)
            assert options.terminal().width == shown


def test_a_file_has_no_width_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert options.terminal() == Terminal(None, colour=False)
    monkeypatch.setenv("COLUMNS", "72")
    assert options.terminal() == Terminal(None, colour=False)


@pytest.mark.parametrize("columns", [0, 80])
def test_progress_is_shown_whatever_width_a_terminal_tells(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    with terminal(columns) as (stream, ours):
        monkeypatch.setattr(sys, "stderr", stream)
        with options.progress(2, quiet=False) as step:
            step()
        stream.flush()
        assert "0/2" in os.read(ours, 4096).decode()


def test_quiet_and_files_have_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", out := io.StringIO())
    with options.progress(2, quiet=False) as step:
        step()
    assert out.getvalue() == ""
