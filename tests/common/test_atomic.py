"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.galleries import environment

from facecli.common import atomic


def test_a_file_is_written_whole_and_for_its_owner_alone(tmp_path: Path):
    file = tmp_path / "receipt.json"
    file.write_text("old")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        atomic.write(file, b"new", memoryview(b"er"), replace=True)
    finally:
        os.umask(before)
    assert file.read_bytes() == b"newer"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_there_is_not_replaced_unless_it_may_be(tmp_path: Path):
    file = tmp_path / "key"
    atomic.write(file, b"first")
    with pytest.raises(FileExistsError):
        atomic.write(file, b"second")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


def test_where_writing_fails_the_old_file_stays(tmp_path: Path):
    file = tmp_path / "page.html"
    atomic.write(file, b"old")
    with pytest.raises(KeyboardInterrupt), atomic.draft(file) as draft:
        draft.write_bytes(b"half")
        raise KeyboardInterrupt
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_draft_of_a_killed_writer_is_swept_and_one_in_use_is_not(tmp_path: Path):
    code = (
        "import os, sys; from pathlib import Path; from facecli.common import atomic\n"
        "with atomic.draft(Path(sys.argv[1])): os._exit(9)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "g")]
    subprocess.run(words, env=environment(tmp_path), check=False)
    assert len(list(tmp_path.glob(".g.facecli-*"))) == 1
    with atomic.draft(tmp_path / "g") as draft:
        atomic.sweep(tmp_path)
        assert list(tmp_path.glob(".g.facecli-*")) == [draft.parent]


def test_discarding_takes_the_file_and_its_drafts_even_one_in_use(tmp_path: Path):
    file, other = tmp_path / "g.rabitq", tmp_path / "g"
    for each in (file, other):
        atomic.write(each, b"x")
    with atomic.draft(file) as draft:
        atomic.discard(file)
        with pytest.raises(FileNotFoundError):
            atomic.place(draft, file)
    assert list(tmp_path.iterdir()) == [other]
