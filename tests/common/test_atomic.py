"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.galleries import draft_left_by_a_kill, environment

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


def test_what_is_swept_is_overwritten_and_not_only_unlinked(tmp_path: Path):
    left = draft_left_by_a_kill(tmp_path / "g", "draft-wal", b"templates")
    handle = os.open(left / "draft-wal", os.O_RDONLY)
    assert atomic.sweep(tmp_path) == len(b"templates") and not left.exists()
    assert os.fstat(handle).st_size == 0
    os.close(handle)


def test_what_is_swept_is_known_by_its_marker_and_never_by_its_name(tmp_path: Path):
    """Folders of the user's that are called so, empty or not, and files in one of ours."""
    names = ["holidays", "01234567", "89abcdef", "0a1b2c3d"]
    empty, full, half, link = (tmp_path / f".g.facecli-{name}" for name in names)
    for folder in (empty, full, half):
        folder.mkdir(0o700)
    (full / "draft").write_bytes(b"a letter")
    (half / "facecli").write_bytes(b"A draft of")  # no more of the marker, and then other things
    (half / "old").write_bytes(b"photos")
    link.symlink_to(full)
    ours = draft_left_by_a_kill(tmp_path / "g", "draft", b"templates")
    (ours / "diary").write_bytes(b"dear diary")
    before = {path: path.lstat().st_mode for path in tmp_path.rglob("*")}
    del before[ours / "draft"]
    atomic.sweep(tmp_path)
    assert {path: path.lstat().st_mode for path in tmp_path.rglob("*")} == before
    assert (full / "draft").read_bytes() == b"a letter"
    assert (half / "old").read_bytes() == b"photos"


@pytest.mark.parametrize("written", [None, b"", b"A draft of facecli."])
def test_one_killed_before_it_was_marked_is_swept_too(tmp_path: Path, written: bytes | None):
    folder = tmp_path / ".g.facecli-01234567"
    folder.mkdir(0o1700)
    if written is not None:
        (folder / "facecli").write_bytes(written)
    atomic.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_another_name_is_not_overwritten(tmp_path: Path):
    """As the gallery itself is, for a moment, when it is encrypted."""
    file, other = tmp_path / "g", tmp_path / "backup"
    file.write_bytes(b"templates")
    os.link(file, other)
    left = draft_left_by_a_kill(file, "draft", b"new")
    os.link(file, left / "old")
    assert atomic.sweep(tmp_path) == len(b"new")
    assert atomic.erase(file) == 0
    assert not file.exists() and other.read_bytes() == b"templates"


def test_what_is_replaced_is_overwritten_where_it_held_templates(tmp_path: Path):
    file = tmp_path / "export"
    file.write_bytes(b"templates")
    handle = os.open(file, os.O_RDONLY)
    atomic.write(file, b"new", replace=True, overwrite=True)
    assert file.read_bytes() == b"new" and os.fstat(handle).st_size == 0
    os.close(handle)
    assert list(tmp_path.iterdir()) == [file]


def test_the_new_file_and_its_folder_are_on_the_disk_before_the_old_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where a disk says that it could not, the old bytes stay."""
    file = tmp_path / "g"
    file.write_bytes(b"all there is")
    sync = os.fsync

    def failing(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) and os.path.samestat(
            os.fstat(handle), tmp_path.stat()
        ):
            raise OSError(errno.EIO, "the disk is failing")
        sync(handle)

    handle = os.open(file, os.O_RDONLY)
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="failing"), atomic.draft(file) as draft:
        draft.write_bytes(b"new")
        atomic.place(draft, file, replace=True, overwrite=True)
    assert os.pread(handle, 100, 0) == b"all there is"
    os.close(handle)


def test_discarding_takes_the_file_and_its_drafts_even_one_in_use(tmp_path: Path):
    file, other = tmp_path / "g.rabitq", tmp_path / "g"
    for each in (file, other):
        atomic.write(each, b"x")
    with atomic.draft(file) as draft:
        atomic.discard(file)
        with pytest.raises(FileNotFoundError):
            atomic.place(draft, file)
    assert list(tmp_path.iterdir()) == [other]
