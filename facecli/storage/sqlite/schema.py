"""The gallery file's tables, as numbered migrations. The file is SQLite; this is its only DDL.

Loaded only when a gallery is made or brought up to date: sqlite-utils costs 0.2 s of import.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

migrations = Migrations("facecli")


@migrations()
def m001_gallery_subject_reference(db: Database) -> None:
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


@migrations()
def m002_calibration(db: Database) -> None:
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


@migrations()
def m003_fit(db: Database) -> None:
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


@migrations()
def m004_calibration_n(db: Database) -> None:
    """How many subjects a threshold was measured among; NULL where it was not by searches."""
    db.execute("ALTER TABLE calibration ADD COLUMN n INTEGER")


@migrations()
def m005_revision(db: Database) -> None:
    """What a sidecar is sealed with: a random token for each revision of the templates.

    subject.revision: the gallery's revision at which the subject's template last changed.
    """
    db.execute("ALTER TABLE subject ADD COLUMN revision INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE INDEX subject_revision ON subject(revision)")
    db.execute("CREATE TABLE revision (id INTEGER PRIMARY KEY, token BLOB NOT NULL)")
    db.execute("INSERT INTO revision (id, token) SELECT revision, randomblob(16) FROM gallery")


@migrations()
def m006_custody(db: Database) -> None:
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


@migrations()
def m007_fit_scores(db: Database) -> None:
    """What the threshold rule observed, score by score (`gallery_fit.Observed`); made anew."""
    db.execute("DROP TABLE fit")
    db.execute(
        """CREATE TABLE fit (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            revision INTEGER NOT NULL,
            n INTEGER NOT NULL,
            scores BLOB NOT NULL)"""
    )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file up to this version; each step is one transaction, done or not at all."""
    migrations.apply(Database(connection, execute_plugins=False))
