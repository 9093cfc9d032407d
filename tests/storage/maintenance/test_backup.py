"""A backup is one whole moment of the gallery, whatever others do meanwhile."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.galleries import Command, environment, new_store, reference

from facecli.common.errors import GalleryError, OutputError, UsageError
from facecli.storage.maintenance.backup import backup
from facecli.storage.sqlite.store import GalleryFile


@pytest.fixture
def store(tmp_path: Path):
    opened = new_store(tmp_path / "g.facecli")
    opened.add([reference("Ada", 1), reference("Bob", 2)])
    yield opened
    opened.close()


def names(path: Path) -> list[str]:
    store = GalleryFile.open(path)
    assert store.reader.check() == []
    found = [subject.name for subject in store.reader.subjects()]
    store.close()
    return found


def test_a_backup_is_whole_private_and_can_be_undone_in(store: GalleryFile, tmp_path: Path):
    store.remove("Bob")
    before = os.umask(0)
    try:
        size = backup(store, tmp_path / "b" if (tmp_path / "b").mkdir() else tmp_path / "b" / "c")
    finally:
        os.umask(before)
    copy = tmp_path / "b" / "c"
    assert size == copy.stat().st_size and stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [p.name for p in copy.parent.iterdir()] == ["c"], "no draft, no log beside it"
    assert names(copy) == ["Ada"]
    opened = GalleryFile.open(copy)
    opened.journal.undo()
    opened.close()
    assert names(copy) == ["Ada", "Bob"] and store.reader.counts() == (1, 1)


def test_an_existing_file_is_not_overwritten_unless_asked(store: GalleryFile, tmp_path: Path):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        backup(store, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"
    backup(store, tmp_path / "there", replace=True)
    assert names(tmp_path / "there") == ["Ada", "Bob"]
    with pytest.raises(UsageError, match="the gallery itself"):
        backup(store, store.path, replace=True)
    with pytest.raises(OutputError, match="there is no folder"):
        backup(store, tmp_path / "none" / "b")
    assert store.reader.counts() == (2, 2)


def test_a_damaged_gallery_gives_no_backup(tmp_path: Path):
    store = new_store(tmp_path / "g")
    for seed in range(200):
        store.add([reference(f"S{seed}", seed)])
    store.close()
    with (tmp_path / "g").open("r+b") as file:
        file.seek(-2 * 16384, os.SEEK_END)
        file.write(b"\xff" * 16384)
    store = GalleryFile.open(tmp_path / "g")
    with pytest.raises(GalleryError, match="damaged"):
        backup(store, tmp_path / "b")
    store.close()
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith("b") or "b." in p.name] == []


WRITER = """
import sys
from pathlib import Path
from support.galleries import new_store, reference
store = new_store(Path(sys.argv[1]))
for seed in range(100, 100000):
    store.add([reference(f"W{seed % 5}", 2 * seed), reference(f"W{seed % 5}", 2 * seed + 1)])
    print(seed, flush=True)
"""


def test_backups_while_a_writer_writes_are_each_of_one_moment(store: GalleryFile, tmp_path: Path):
    variables = environment(tmp_path)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.path)], env=variables, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    try:
        counts = []
        for number in range(5):
            written = int(writer.stdout.readline()) - 99
            backup(store, tmp_path / f"b{number}")
            with sqlite3.connect(tmp_path / f"b{number}") as db:
                count = db.execute("SELECT count(*) FROM reference").fetchone()[0] - 2
            assert count % 2 == 0 and count >= 2 * written, "pairs are written whole"
            names(tmp_path / f"b{number}")
            counts.append(count)
        assert counts == sorted(counts) and writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()


def test_the_command(store: GalleryFile, tmp_path: Path):
    command = Command(tmp_path / "home")
    done = command("gallery", "backup", tmp_path / "b", "-g", store.path)
    assert done.stdout.startswith("wrote 0.") and done.stdout.endswith("b, sound\n")
    again = command("gallery", "backup", tmp_path / "b", "-g", store.path)
    assert (again.returncode, again.stdout) == (2, "") and "--force" in again.stderr
    assert command("gallery", "backup", tmp_path / "b", "-g", store.path, "--force").returncode == 0
