"""What a file is held to: the tables, indices and triggers that facecli makes, and no others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database
from support.galleries import new_store, old_gallery, reference

from facecli.common.errors import GalleryError
from facecli.storage.sqlite import schema
from facecli.storage.sqlite.store import GalleryFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = new_store(tmp_path / "g")
    store.add([reference("Ada", 1), reference("Bob", 2)])
    store.close()
    return tmp_path / "g"


def changed(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)


FOREIGN = {
    "a trigger that drops what is enrolled": (
        "CREATE TRIGGER t BEFORE INSERT ON reference BEGIN SELECT RAISE(IGNORE); END",
        "the trigger 't'",
    ),
    "a trigger that keeps what is purged": (
        "CREATE TABLE kept (v); CREATE TRIGGER t AFTER DELETE ON reference "
        "BEGIN INSERT INTO kept VALUES (old.vector); END",
        "the table 'kept'",
    ),
    "a view that answers with another's name": (
        "ALTER TABLE subject RENAME TO s; CREATE VIEW subject AS SELECT id, 'Eve' AS name, key, "
        "template, created_at, revision FROM s",
        "made",
    ),
    "a view without an end": (
        "ALTER TABLE subject RENAME TO s; CREATE VIEW subject AS WITH RECURSIVE c(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT s.* FROM s, c",
        "made",
    ),
    "an index on an expression": ("CREATE INDEX i ON subject (upper(name))", "the index 'i'"),
    "a virtual table": ("CREATE VIRTUAL TABLE v USING rtree(a, b, c)", "the table 'v"),
    "a computed column": (
        "ALTER TABLE subject ADD COLUMN n AS (hex(template))", "the table 'subject'"
    ),
    "another rule": (
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = "
        "replace(sql, 'ON DELETE CASCADE', '') WHERE name = 'reference'",
        "the table 'reference'",
    ),
    "a trigger less": ("DROP TRIGGER log_no_update", "'log_no_update' is missing"),
    "an index less": ("DROP INDEX reference_photo", "'reference_photo' is missing"),
    "two tables in one place": (
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM "
        "sqlite_master WHERE name = 'removed_reference') WHERE name = 'reference'",
        "same place",
    ),
    "a name with a line break": ("CREATE TABLE 'a\nb' (c)", r"a\\nb"),
    "what passes for the notes of the steps": (
        "DROP TABLE _sqlite_migrations; CREATE TABLE _sqlite_migrations "
        "(id, migration_set, name AS (hex(id)), applied_at)",
        "_sqlite_migrations",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_facecli_did_not_make_is_refused_in_one_line(path: Path, kind: str):
    statements, says = FOREIGN[kind]
    changed(path, statements)
    before = path.read_bytes()
    with pytest.raises(GalleryError, match=says) as caught:
        GalleryFile.open(path)
    assert str(caught.value).startswith(f"{path} is not as facecli makes a gallery: ")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_what_each_step_leaves_is_known(version: int):
    """Made by sqlite-utils, as a gallery is; compared with the steps alone."""
    names = [migration.name for migration in schema.migrations().pending(Database(memory=True))]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrations().apply(Database(db), stop_before=names[version:])
        assert list(schema.faults(db, version)) == []
        assert list(schema.faults(db, version % schema.VERSION + 1)) != []


def test_a_foreign_object_in_an_older_gallery_is_found_before_it_is_brought_up(tmp_path: Path):
    old_gallery(tmp_path / "g")
    changed(tmp_path / "g", "CREATE TRIGGER t AFTER UPDATE ON gallery BEGIN "
                            "DELETE FROM subject; END")  # fmt: skip
    with pytest.raises(GalleryError, match="the trigger 't'"):
        GalleryFile.open(tmp_path / "g")
    with closing(sqlite3.connect(tmp_path / "g")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM subject").fetchone() == (1,)


def test_notes_of_steps_that_were_never_taken_are_not_believed(tmp_path: Path):
    old_gallery(tmp_path / "g")
    changed(tmp_path / "g", "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
                            "VALUES ('facecli', 'm006_custody', '2026')")  # fmt: skip
    with pytest.raises(GalleryError, match="missing"):
        GalleryFile.open(tmp_path / "g")
    with closing(sqlite3.connect(tmp_path / "g")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,), "all as it was"


@pytest.mark.parametrize(
    "text",
    [
        'CREATE TABLE "_sqlite_migrations" ("id" INTEGER PRIMARY KEY, "name" TEXT)',
        "CREATE TABLE [_sqlite_migrations] ([migration_set] TEXT, [name] TEXT, "
        "PRIMARY KEY ([migration_set], [name]))",
    ],
)
def test_the_notes_are_known_however_sqlite_utils_writes_them(path: Path, text: str):
    changed(path, f"DROP TABLE _sqlite_migrations; {text}")
    GalleryFile.open(path).close()
