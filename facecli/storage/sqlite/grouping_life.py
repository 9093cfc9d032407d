"""A grouping file as a whole: made, recognised, copied, looked over, erased from."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.common.names import name_key
from facecli.common.timestamp import now
from facecli.storage.interface import Deleted
from facecli.storage.keys import Key
from facecli.storage.sqlite.byte_search import Needles
from facecli.storage.sqlite.connection import PAGE_SIZE, connect, copy_into, explained
from facecli.storage.sqlite.erasure_check import needle
from facecli.storage.sqlite.files_beside import grouping_path
from facecli.storage.sqlite.grouping_rows import TABLES, TRACKS

APPLICATION_ID = 0x66616367  # "facg"
VERSION = 2


def make(path: Path, key: Key | None, embedder_id: str, dimension: int) -> None:
    """Write an empty one to `path`, unless one is there by then."""
    with atomic.draft(path) as made:
        with closing(connect(made, key)) as db:
            db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            db.executescript(TABLES + TRACKS)
            db.execute("INSERT INTO grouping VALUES (1, ?, ?, ?)", (embedder_id, dimension, now()))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        with suppress(FileExistsError):
            atomic.place(made, path)


def recognise(path: Path, db: sqlite3.Connection, embedder_id: str | None = None) -> None:
    """Raise GalleryError unless it is one that this facecli knows, with faces of that embedder."""
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise GalleryError(f"{path} is not what facecli keeps there: move it away")
    if db.execute("PRAGMA user_version").fetchone()[0] > VERSION:
        raise GalleryError(f"{path} was made by a newer facecli: upgrade facecli")
    (made_by,) = db.execute("SELECT embedder_id FROM grouping").fetchone()
    if embedder_id not in (None, made_by):
        raise GalleryError(
            f"{path} holds faces of the embedder {made_by}, and the gallery is of {embedder_id} "
            "now: move it away and group the photos again"
        )


def migrate(db: sqlite3.Connection) -> None:
    """Bring an older one up to date."""
    if db.execute("PRAGMA user_version").fetchone()[0] < VERSION:
        db.execute("BEGIN IMMEDIATE")
        db.execute(TRACKS)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")


def faults(db: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with its pages and keys, a line each."""
    damaged = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    yield from damaged
    if not damaged:  # else rows may lie anywhere
        for table, row_id, parent, _ in db.execute("PRAGMA foreign_key_check"):
            yield f"row {row_id} of {table} points at no {parent}"


def copy(path: Path, key: Key | None, empty: Path, final: Path) -> None:
    """Copy this moment of it into the empty file; others may go on writing.

    final: where the copy is to be, to speak of. Raises OutputError where its disk is full.
    """
    with closing(connect(path, key)) as db:
        copy_into(db, empty, key, final)


def was_once(db: sqlite3.Connection, other: sqlite3.Connection) -> bool:
    """Whether all that `other` holds was in `db` at some time, and nothing of it was erased."""
    photos, changes = "SELECT id, sha256 FROM photo", "SELECT id, text, at FROM change"
    own = {row[0]: row for row in db.execute(changes)}
    given = db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'change'").fetchone()[0]
    return set(other.execute(photos)) <= set(db.execute(photos)) and all(
        row[0] <= (given or 0) and row == own.get(row[0], row) for row in other.execute(changes)
    )


def erase(gallery: Path, key: Key | None, deleted: Deleted, everybody: bool) -> None:
    """Erase from the grouping beside a gallery what was deleted there, rows and bytes.

    Every photo goes that shows one of them, by template, group or path, with all its faces: a
    photo that names them may not stay. What could be undone goes, too. Raises GalleryError.
    """
    path = grouping_path(gallery)
    if not path.exists():
        return
    with explained(path), closing(connect(path, key)) as db:
        texts = Needles(map(needle, deleted.texts))
        photos = {
            photo
            for photo, file in db.execute("SELECT id, path FROM photo").fetchall()
            if everybody or texts.within(file.encode("utf-8", "surrogatepass"))
        }
        for photo, name, vector in db.execute(
            "SELECT f.photo_id, p.name, f.vector FROM face f LEFT JOIN person p "
            "ON p.id = f.person_id"
        ):
            known = name is not None and name_key(name) in deleted.people
            if known or vector in deleted.vectors:
                photos.add(photo)
        db.execute("BEGIN IMMEDIATE")
        db.executemany("DELETE FROM photo WHERE id = ?", ((photo,) for photo in photos))
        db.execute("DELETE FROM change")
        db.execute(
            "DELETE FROM person WHERE id NOT IN "
            "(SELECT person_id FROM face WHERE person_id IS NOT NULL)"
        )
        db.execute("COMMIT")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
