"""Waiting is said once it has taken a while, and not before."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

import pytest
from support.patience import LAST_RESORT

from facecli.common import waiting


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SAID_AFTER", 0.01)


def until_said(caplog: pytest.LogCaptureFixture) -> None:
    end = time.monotonic() + LAST_RESORT
    while not caplog.records and time.monotonic() < end:
        time.sleep(0.01)


def test_a_line_says_for_what_and_how_long(soon: None, caplog: pytest.LogCaptureFixture):
    with waiting.said("waiting for the\nmoon\x1b[31m", 60):
        until_said(caplog)
    assert [(r.levelno, r.name) for r in caplog.records] == [(logging.WARNING, "facecli.waiting")]
    assert caplog.records[0].getMessage() == ("facecli: waiting for the?moon?[31m, 60 s at most")


def test_what_is_quick_says_nothing(caplog: pytest.LogCaptureFixture):
    for _ in range(100):
        with waiting.said("waiting", 60):
            pass
    assert caplog.records == []


def test_it_goes_to_stderr_where_nobody_listens():
    code = (
        "import time; from facecli.common import waiting; waiting.SAID_AFTER = 0\n"
        "with waiting.said('waiting for Godot', 60): time.sleep(0.5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LAST_RESORT
    )
    assert (done.stdout, done.stderr) == ("", "facecli: waiting for Godot, 60 s at most\n")


def test_an_error_inside_ends_the_waiting(soon: None, caplog: pytest.LogCaptureFixture):
    with pytest.raises(ValueError, match="enough"), waiting.said("waiting", 60):
        raise ValueError("enough")
