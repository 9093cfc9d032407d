"""A backup is one whole moment of the gallery, whatever others do meanwhile."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support import faces_seen
from support.galleries import DIMENSION, EMBEDDER, Command, environment, new_store, reference

from facecli.common.enums import GroupState
from facecli.common.errors import GalleryError, OutputError, UsageError
from facecli.storage import keys
from facecli.storage.maintenance.backup import backup
from facecli.storage.opening import faults
from facecli.storage.sqlite.files_beside import grouping_path
from facecli.storage.sqlite.grouping_file import Assignment, GroupingFile
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
        files = backup(store, tmp_path / "b" if (tmp_path / "b").mkdir() else tmp_path / "b" / "c")
    finally:
        os.umask(before)
    copy = tmp_path / "b" / "c"
    assert files == (copy,) and stat.S_IMODE(copy.stat().st_mode) == 0o600
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


# the groups beside it ------------------------------------------------------------------------


def grouped(store: GalleryFile) -> GroupingFile:
    """Two people in two photos each, in groups 1 and 2."""
    file = groups(store.path, store.key, create=True)
    file.add([faces_seen.photo(n, person) for n, person in enumerate((1, 1, 2, 2))])
    file.regroup([Assignment(None, GroupState.FOUND, None, pair) for pair in ((1, 2), (3, 4))], ())
    return file


def groups(gallery: Path, key: keys.Key | None = None, *, create: bool = False) -> GroupingFile:
    return GroupingFile.open(gallery, key, EMBEDDER, DIMENSION, create=create)


def test_what_was_decided_about_groups_is_in_a_backup(store: GalleryFile, tmp_path: Path) -> None:
    (folder := tmp_path / "b").mkdir()
    with closing(grouped(store)) as file:
        file.merge(2, 1)
        before = os.umask(0)
        try:
            written = backup(store, folder / "c")
        finally:
            os.umask(before)
        assert written == (folder / "c", folder / "c.groups")
        assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {
            "c": 0o600, "c.groups": 0o600
        }  # fmt: skip
        file.undo()
        assert len(file.groups()) == 2
    for end in ("", ".groups"):  # restored by its name
        (folder / f"c{end}").replace(f"{store.path}{end}")
    with closing(groups(store.path)) as file:
        assert [(g.id, g.state, g.faces) for g in file.groups()] == [(1, GroupState.KEPT, 4)]
        file.undo()
        assert len(file.groups()) == 2


def test_a_backup_s_groups_are_replaced_only_where_they_are_our_past(
    store: GalleryFile, tmp_path: Path
) -> None:
    copy = tmp_path / "c"
    with closing(grouped(store)) as file:
        backup(store, copy)
        file.merge(2, 1)
        file.undo()
        file.merge(1, 2)
        with pytest.raises(UsageError, match="is there already"):
            backup(store, copy)
        backup(store, copy, replace=True)
        with closing(groups(copy)) as there:
            assert [g.id for g in there.groups()] == [2]
            there.undo()
            there.ignore(1)
        before = {path: path.read_bytes() for path in (copy, grouping_path(copy))}
        with pytest.raises(UsageError, match="changed there"):
            backup(store, copy, replace=True)
        grouping_path(tmp_path / "d").write_bytes(copy.read_bytes())
        with pytest.raises(UsageError, match="no backup of this gallery's groups"):
            backup(store, tmp_path / "d", replace=True)
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "d").exists()


def test_damaged_groups_give_no_backup_and_are_told(store: GalleryFile, tmp_path: Path) -> None:
    with closing(grouped(store)):
        assert faults(store) == []
    with grouping_path(store.path).open("r+b") as damaged:
        damaged.seek(2 * 16384)
        damaged.write(b"\xff" * 16384)
    with pytest.raises(GalleryError):
        backup(store, tmp_path / "c")
    assert not (tmp_path / "c").exists() and not (tmp_path / "c.groups").exists()
    (fault,) = faults(store)[:1]
    assert fault.startswith("g.facecli.groups, groups of unnamed faces: ") and "move it" in fault
    grouping_path(store.path).write_text("mine")
    assert "not a database" in faults(store)[0]


def test_an_encrypted_gallery_s_groups_are_encrypted_in_its_backup(tmp_path: Path) -> None:
    pytest.importorskip("sqlcipher3", reason="NOT CHECKED: encrypted galleries")
    key = keys.Key("7" * 64)
    with closing(GalleryFile.create(tmp_path / "g", EMBEDDER, DIMENSION, key)) as store:
        store.add([reference("Ada", 1)])
        with closing(grouped(store)) as file:
            file.ignore(1)
        assert backup(store, tmp_path / "c") == (tmp_path / "c", tmp_path / "c.groups")
        assert backup(store, tmp_path / "c", replace=True)
        assert faults(store) == []
    assert b"photos/0.jpg" not in grouping_path(tmp_path / "c").read_bytes()
    with closing(groups(tmp_path / "c", key)) as file:
        assert GroupState.IGNORED in {g.state for g in file.groups()}


def test_the_commands_say_so(tmp_path: Path) -> None:
    command = Command(tmp_path / "home")
    with closing(new_store(tmp_path / "g")) as store:
        store.add([reference("Ada", 1)])
        grouped(store).close()
    done = command("gallery", "backup", tmp_path / "c", "-g", tmp_path / "g")
    assert done.returncode == 0
    sizes = [(tmp_path / name).stat().st_size / 1e6 for name in ("c", "c.groups")]
    assert done.stdout == (
        f"wrote {sizes[0]:.1f} MB to {tmp_path / 'c'} and {sizes[1]:.1f} MB to "
        f"{tmp_path / 'c.groups'}, sound\n"
    )
    assert command("gallery", "check", "-g", tmp_path / "g").stdout.startswith("sound: ")
    with closing(sqlite3.connect(tmp_path / "g.groups")) as db:
        db.execute("UPDATE person SET state = 'odd'")
        db.commit()
    found = command("gallery", "check", "-g", tmp_path / "g")
    assert found.returncode == 4 and "g.groups, groups of unnamed faces: " in found.stderr
