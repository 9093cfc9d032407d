"""The gallery file's tables, as numbered steps. The file is SQLite; this is its only DDL.

What it makes is also what a file is held to: see `faults`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlite_utils import Migrations

_MOST_OBJECTS = 100  # that are looked at; facecli makes 31
# sqlite-utils notes there which steps were done. Its text is its own, and differs by its version:
# a plain table of plain columns, and an index on them.
_NOTED = "_sqlite_migrations"
_NOTES = re.compile(
    r"CREATE (?:TABLE|UNIQUE INDEX|INDEX) [\w\"\[\]]+(?: ON [\w\"\[\]]+)? ?"
    r"\([\w ,\"\[\]]*(?:PRIMARY KEY \([\w ,\"\[\]]*\))?\)"
)


class Executes(Protocol):
    """SQLite's connection, or sqlite-utils' `Database`."""

    def execute(self, sql: str, /) -> object: ...


def m001_gallery_subject_reference(db: Executes) -> None:
    """One row a face. subject.template is the mean of its references, kept by each write.

    AUTOINCREMENT: an id is never given twice, so that a sidecar of before, which still proposes
    somebody who was removed, cannot find another person in their place.
    """
    db.execute(
        """CREATE TABLE gallery (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            embedder_id TEXT NOT NULL,
            dimension INTEGER NOT NULL,
            created_at TEXT NOT NULL)"""
    )
    db.execute(
        """CREATE TABLE subject (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            key TEXT NOT NULL UNIQUE,
            template BLOB,
            created_at TEXT NOT NULL)"""
    )
    db.execute(
        """CREATE TABLE reference (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            subject_id INTEGER NOT NULL REFERENCES subject(id) ON DELETE CASCADE,
            vector BLOB NOT NULL,
            x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
            landmarks BLOB NOT NULL,
            detection_score REAL NOT NULL,
            quality REAL NOT NULL,
            photo_sha256 TEXT NOT NULL,
            face INTEGER NOT NULL,
            path TEXT NOT NULL,
            enrolled_at TEXT NOT NULL,
            UNIQUE (subject_id, photo_sha256, face))"""
    )
    db.execute("CREATE INDEX reference_photo ON reference(photo_sha256)")


def m002_calibration(db: Executes) -> None:
    """Every threshold that was ever chosen; the newest is in force. scores: a ReferenceTable."""
    db.execute(
        """CREATE TABLE calibration (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            basis TEXT NOT NULL,
            target TEXT NOT NULL,
            target_rate REAL,
            threshold REAL,
            scores TEXT,
            made_from TEXT NOT NULL,
            made_at TEXT NOT NULL)"""
    )


def m003_fit(db: Executes) -> None:
    """What the threshold rule observed in the gallery; valid for one revision of its templates."""
    db.execute("ALTER TABLE gallery ADD COLUMN revision INTEGER NOT NULL DEFAULT 0")
    db.execute(
        """CREATE TABLE fit (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            revision INTEGER NOT NULL,
            n INTEGER NOT NULL,
            mean REAL NOT NULL,
            deviation REAL NOT NULL,
            "references" INTEGER NOT NULL)"""
    )


def m004_calibration_n(db: Executes) -> None:
    """How many subjects a threshold was measured among; NULL where it was not by searches."""
    db.execute("ALTER TABLE calibration ADD COLUMN n INTEGER")


def m005_revision(db: Executes) -> None:
    """What a sidecar is sealed with: a random token for each revision of the templates.

    subject.revision: the gallery's revision at which the subject's template last changed.
    """
    db.execute("ALTER TABLE subject ADD COLUMN revision INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE INDEX subject_revision ON subject(revision)")
    db.execute("CREATE TABLE revision (id INTEGER PRIMARY KEY, token BLOB NOT NULL)")
    db.execute("INSERT INTO revision (id, token) SELECT revision, randomblob(16) FROM gallery")


def m006_custody(db: Executes) -> None:
    """What can be undone, what was asked to be erased, and the audit log.

    change: each rename, merge and removal that can be undone. The rows that one took away lie in
    removed_*, the references that a merge moved are named in moved_reference. removed_reference
    has the columns of reference, so that what comes back is what went.
    custody: gallery_id names the file in receipts; erasing is 1 while an erasure is unfinished.
    log: append-only; each entry's mac covers the one before.
    """
    db.execute(
        """CREATE TABLE change (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            subject_id INTEGER NOT NULL,
            name TEXT NOT NULL,
            other_id INTEGER,
            other TEXT,
            "references" INTEGER NOT NULL,
            at TEXT NOT NULL)"""
    )
    db.execute(
        """CREATE TABLE removed_subject (
            change_id INTEGER NOT NULL REFERENCES change(id) ON DELETE CASCADE,
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            key TEXT NOT NULL,
            created_at TEXT NOT NULL)"""
    )
    db.execute(
        """CREATE TABLE removed_reference (
            change_id INTEGER NOT NULL REFERENCES change(id) ON DELETE CASCADE,
            id INTEGER PRIMARY KEY,
            subject_id INTEGER NOT NULL,
            vector BLOB NOT NULL,
            x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
            landmarks BLOB NOT NULL,
            detection_score REAL NOT NULL,
            quality REAL NOT NULL,
            photo_sha256 TEXT NOT NULL,
            face INTEGER NOT NULL,
            path TEXT NOT NULL,
            enrolled_at TEXT NOT NULL)"""
    )
    db.execute("CREATE INDEX removed_reference_change ON removed_reference(change_id)")
    db.execute(
        """CREATE TABLE moved_reference (
            change_id INTEGER NOT NULL REFERENCES change(id) ON DELETE CASCADE,
            reference_id INTEGER NOT NULL,
            PRIMARY KEY (change_id, reference_id)) WITHOUT ROWID"""
    )
    db.execute(
        """CREATE TABLE custody (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            gallery_id TEXT NOT NULL,
            erasing INTEGER NOT NULL DEFAULT 0,
            logging INTEGER NOT NULL DEFAULT 0,
            secret BLOB NOT NULL)"""
    )
    db.execute(
        "INSERT INTO custody (id, gallery_id, secret) "
        "VALUES (1, lower(hex(randomblob(16))), randomblob(32))"
    )
    db.execute(
        """CREATE TABLE log (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT,
            photo TEXT,
            mac TEXT NOT NULL)"""
    )
    for verb in ("UPDATE", "DELETE"):
        db.execute(
            f"CREATE TRIGGER log_no_{verb.lower()} BEFORE {verb} ON log "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )


def m007_fit_scores(db: Executes) -> None:
    """What the threshold rule observed, score by score (`gallery_fit.Observed`); made anew."""
    db.execute("DROP TABLE fit")
    db.execute(
        """CREATE TABLE fit (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            revision INTEGER NOT NULL,
            n INTEGER NOT NULL,
            scores BLOB NOT NULL)"""
    )


def m008_distinct(db: Executes) -> None:
    """Pairs of subjects who were said to be two people, by their ids.

    made_by: the change that said so; NULL where that was purged. ended_by: the one that took it
    back; NULL where none did.
    """
    db.execute(
        """CREATE TABLE distinct_pair (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            first_id INTEGER NOT NULL,
            second_id INTEGER NOT NULL,
            made_by INTEGER REFERENCES change(id) ON DELETE SET NULL,
            ended_by INTEGER REFERENCES change(id) ON DELETE CASCADE)"""
    )


STEPS = (
    m001_gallery_subject_reference,
    m002_calibration,
    m003_fit,
    m004_calibration_n,
    m005_revision,
    m006_custody,
    m007_fit_scores,
    m008_distinct,
)
VERSION = len(STEPS)


def migrations() -> Migrations:
    """The steps, for sqlite-utils."""
    from sqlite_utils import Migrations  # costs 0.2 s; opening a gallery does not need it

    made = Migrations("facecli")
    for step in STEPS:
        made()(step)
    return made


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file up to this version; each step is one transaction, done or not at all."""
    from sqlite_utils import Database

    migrations().apply(Database(connection, execute_plugins=False))


def faults(db: sqlite3.Connection, version: int) -> Iterator[str]:
    """What of the file's tables, indices and triggers is not as facecli makes it, a line each.

    A trigger or a view of somebody else's would run with each of our statements, and a table with
    computed columns, or a virtual one, would answer what nobody stored. version: of the schema.
    """
    rows = db.execute("SELECT type, name, tbl_name, sql, rootpage FROM sqlite_master").fetchmany(
        _MOST_OBJECTS + 1
    )
    if len(rows) > _MOST_OBJECTS:
        yield f"it holds more than {_MOST_OBJECTS} tables, views and triggers"
        return
    wanted = dict(_expected(version))
    for kind, name, table, sql, _ in rows:
        if table == _NOTED and (sql is None or _NOTES.fullmatch(_plain(sql))):
            continue
        if wanted.pop((kind, name), None) != (table, _plain(sql)):
            yield f"the {kind} {name!r} is not one that facecli made"
    yield from (f"the {kind} {name!r} is missing" for kind, name in wanted)
    pages = [row[4] for row in rows if row[4]]
    if len(set(pages)) < len(pages):
        yield "two of its tables lie in the same place"


@cache
def _expected(version: int) -> Mapping[tuple[str, str], tuple[str, str]]:
    """By type and name, the table and the text of all that a schema of this version has."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for step in STEPS[:version]:
            step(db)
        rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return {(kind, name): (table, _plain(sql)) for kind, name, table, sql in rows}


def _plain(sql: str | None) -> str:
    return " ".join(str(sql or "").split())
