"""The gallery file itself: how it is made, recognised and brought up to date."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.galleries import (
    DIMENSION,
    EMBEDDER,
    environment,
    new_store,
    old_gallery,
    reference,
)
from support.patience import LAST_RESORT

from facecli.common import waiting
from facecli.common.errors import GalleryError
from facecli.storage.interface import Called, Group
from facecli.storage.sqlite import connection
from facecli.storage.sqlite.store import GalleryFile


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_file_and_folder_are_their_owner_s_whatever_the_umask(tmp_path: Path, umask: int):
    before = os.umask(umask)
    try:
        store = new_store(tmp_path / "home" / "g.facecli")
        store.add([reference("Ada", 1)])
        files = {p.name: mode(p) for p in store.path.parent.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert mode(tmp_path / "home") == 0o700
    assert files == {"g.facecli": 0o600, "g.facecli-wal": 0o600, "g.facecli-shm": 0o600}


def test_the_file_says_what_it_is(tmp_path: Path):
    new_store(tmp_path / "g.facecli").close()
    with sqlite3.connect(tmp_path / "g.facecli") as db:
        values = {
            name: db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "journal_mode", "page_size")
        }
        assert values == {
            "application_id": int.from_bytes(b"face", "big"),
            "user_version": connection.SCHEMA_VERSION,
            "journal_mode": "wal",
            "page_size": 16384,
        }
        assert db.execute("SELECT embedder_id, dimension FROM gallery").fetchall() == [
            (EMBEDDER, DIMENSION)
        ]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_what_is_deleted_is_overwritten_and_references_follow_their_subject(tmp_path: Path):
    new_store(tmp_path / "g.facecli").close()
    db = connection.connect(tmp_path / "g.facecli")
    assert db.execute("PRAGMA secure_delete").fetchone() == (1,)
    assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    db.close()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_what_is_committed_is_on_the_disk_whatever_sqlite_was_built_for(
    tmp_path: Path, mode: str
) -> None:
    """EXTRA: where there is no log, the folder is synchronised after its journal is deleted."""
    new_store(tmp_path / "g").close()
    with closing(sqlite3.connect(tmp_path / "g")) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
    with closing(connection.connect(tmp_path / "g")) as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (3,)
        assert db.execute("PRAGMA fullfsync").fetchone() == (1,)
        assert db.execute("PRAGMA journal_mode").fetchone() == (mode.lower(),)


def foreign_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE gallery (embedder_id, dimension, created_at)")
        db.execute("INSERT INTO gallery VALUES (1, 2, 3)")
    db.close()


def truncated_gallery(path: Path) -> None:
    store = new_store(path)
    for seed in range(60):
        store.add([reference(f"S{seed}", seed)])
    store.close()
    path.write_bytes(path.read_bytes()[:-40_000])


def newer_gallery(path: Path) -> None:
    new_store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {connection.SCHEMA_VERSION + 1}")
    db.close()


STRANGERS = {
    "foreign": foreign_sqlite,
    "noise": lambda path: path.write_bytes(random.Random(1).randbytes(50_000)),
    "magic": lambda path: path.write_bytes(
        b"SQLite format 3\0" + random.Random(1).randbytes(9_000)
    ),
    "text": lambda path: path.write_text("path,subject\na.jpg,Ada\n"),
    "empty": lambda path: path.write_bytes(b""),
    "newer": newer_gallery,
    "truncated": truncated_gallery,
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_what_is_no_sound_gallery_is_one_line_and_stays_as_it_was(tmp_path: Path, kind: str):
    path = tmp_path / "g.facecli"
    STRANGERS[kind](path)
    before = path.read_bytes()

    def use() -> None:
        store = GalleryFile.open(path)
        try:
            faults = store.reader.check()
            list(store.reader.references())
            store.reader.templates()
        finally:
            store.close()
        raise AssertionError(f"opened and read, check said {faults}")

    for attempt in (use, lambda: new_store(path)) if kind != "truncated" else (use,):
        with pytest.raises(GalleryError) as caught:
            attempt()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p != path] == []


def test_a_newer_gallery_names_both_versions(tmp_path: Path):
    newer_gallery(tmp_path / "g")
    knows = connection.SCHEMA_VERSION
    with pytest.raises(GalleryError, match=f"schema {knows + 1}; this one knows {knows}"):
        GalleryFile.open(tmp_path / "g")


@pytest.mark.parametrize(("path", "says"), [
    (".", "is a folder"), ("file.txt/g.facecli", "Not a directory"), ("x" * 300, "too long"),
])  # fmt: skip
def test_places_where_no_gallery_can_be(tmp_path: Path, path: str, says: str):
    (tmp_path / "file.txt").write_text("")
    for attempt in (GalleryFile.open, new_store):
        with pytest.raises(GalleryError, match=says):
            attempt(tmp_path / path)


def test_a_gallery_that_is_not_there_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(GalleryError, match="facecli enroll"):
        GalleryFile.open(tmp_path / "g.facecli")
    assert list(tmp_path.iterdir()) == []


def test_an_older_gallery_is_brought_up_to_date_with_its_people(tmp_path: Path):
    old_gallery(tmp_path / "g")
    store = GalleryFile.open(tmp_path / "g")
    assert store.reader.calibration() is None
    assert [s.name for s in store.reader.subjects()] == ["Ada"]
    assert store.reader.check() == []
    assert store.add([reference("Ada", 2), reference("Bob", 3)]) == 2
    assert store.reader.check() == []
    store.close()
    with sqlite3.connect(tmp_path / "g") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (connection.SCHEMA_VERSION,)


def test_two_programs_may_bring_it_up_to_date_at_once(tmp_path: Path):
    old_gallery(tmp_path / "g")
    code = (
        "import sys; from pathlib import Path; "
        "from facecli.storage.sqlite.store import GalleryFile; "
        "import facecli.storage.sqlite.schema; sys.stdin.readline(); "
        "print(GalleryFile.open(Path(sys.argv[1])).reader.calibration())"
    )
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "g")], env=environment(tmp_path),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    for opener in openers:
        answer, told = opener.communicate(timeout=LAST_RESORT)
        assert answer == "None\n"
        assert all("waiting for another program" in line for line in told.splitlines()), told


# waiting for others ------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 1.0)  # only to wait less
    monkeypatch.setattr(waiting, "SAID_AFTER", 0.01)


def held(path: Path, statements: str) -> sqlite3.Connection:
    """Another program's connection, in the middle of these statements."""
    other = sqlite3.connect(path, isolation_level=None)
    for statement in statements.split("; "):
        other.execute(statement).fetchone()
    return other


LOCKED = "waiting for another program that uses {path}, 1 s at most"


def test_a_locked_gallery_is_waited_for_aloud_and_not_for_ever(
    tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "g"
    store = new_store(path)
    other = held(path, "BEGIN IMMEDIATE")
    with pytest.raises(GalleryError, match="locked: another program is writing to it; try again"):
        store.add([reference("Ada", 1)])
    assert LOCKED.format(path=path) in caplog.text
    other.close()
    assert store.add([reference("Ada", 1)]) == 1
    store.close()


def test_a_gallery_that_cannot_even_be_read_is_waited_for_aloud(
    tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "g"
    new_store(path).close()
    other = held(path, "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE")
    with pytest.raises(GalleryError, match="locked: another program is writing to it"):
        GalleryFile.open(path)
    assert LOCKED.format(path=path) in caplog.text
    other.close()


def test_a_purge_waits_aloud_for_a_reader_and_says_what_is_left_to_do(
    tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "g"
    store = new_store(path)
    store.add([reference("Ada", 1), reference("Bob", 2)])
    other = held(path, "BEGIN; SELECT count(*) FROM subject")
    done = store.erase(Called("Ada"))
    assert done.busy and caplog.text.count(LOCKED.format(path=path)) == 1, "it waits once"
    other.close()
    assert store.erase(Group.REMOVED).complete
    store.close()
