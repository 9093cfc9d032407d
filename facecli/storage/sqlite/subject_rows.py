"""The table of subjects: its columns, and their templates, which follow their references."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from facecli.common.names import key_with_unseen, name_key
from facecli.storage.records import mean_template
from facecli.storage.sqlite import values

COLUMNS = "id, name, key, created_at"  # and template and revision, see `refresh`


def keys(name: str) -> tuple[str, str]:
    """What a subject called so is kept under: in a gallery of before 0.3, or since.

    There may be one of each, of two spellings that differ in a letter nobody sees. Then the first
    is the one meant.
    """
    return key_with_unseen(name), name_key(name)


def named(db: sqlite3.Connection, name: str) -> int | None:
    """The id of the subject called so; None where nobody is."""
    before, now = keys(name)
    row = db.execute(
        "SELECT id FROM subject WHERE key IN (?, ?) ORDER BY key = ? DESC", (before, now, before)
    ).fetchone()
    return None if row is None else int(row[0])


def found_or_made(db: sqlite3.Connection, name: str, created_at: str, id: int | None = None) -> int:
    """The id of the subject called so, made where nobody is. id: None takes the next one."""
    if (there := named(db, name)) is not None:
        return there
    row = db.execute(
        f"INSERT INTO subject ({COLUMNS}) VALUES (?, ?, ?, ?) RETURNING id",
        (id, name, name_key(name), created_at),
    ).fetchone()
    return int(row[0])


def set_name(db: sqlite3.Connection, subject_id: int, name: str) -> None:
    """Call it so."""
    db.execute(
        "UPDATE subject SET name = ?, key = ? WHERE id = ?", (name, name_key(name), subject_id)
    )


def archive(db: sqlite3.Connection, change: int, subject_id: int) -> None:
    """Copy a subject to the journal."""
    db.execute(
        f"INSERT INTO removed_subject (change_id, {COLUMNS}) "
        f"SELECT ?, {COLUMNS} FROM subject WHERE id = ?",
        (change, subject_id),
    )


def bring_back(db: sqlite3.Connection, change: int) -> None:
    """Copy whom a change took away from the journal."""
    db.execute(
        f"INSERT INTO subject ({COLUMNS}) SELECT {COLUMNS} FROM removed_subject "
        "WHERE change_id = ?",
        (change,),
    )


def refresh(db: sqlite3.Connection, subject_ids: Iterable[int]) -> None:
    """After each write: the subjects' templates are their references' means again, and the
    gallery's revision moves on.
    """
    # With a random token: by its number alone, a revision of a restored backup that was changed
    # again would pass for the one that a sidecar was made at.
    db.execute("UPDATE gallery SET revision = revision + 1")
    (revision,) = db.execute(
        "INSERT INTO revision (id, token) SELECT revision, randomblob(16) FROM gallery RETURNING id"
    ).fetchone()
    (dimension,) = db.execute("SELECT dimension FROM gallery").fetchone()
    for subject_id in sorted(subject_ids):
        rows = db.execute(
            "SELECT vector FROM reference WHERE subject_id = ? ORDER BY id", (subject_id,)
        ).fetchall()
        vectors = [values.unit_vector(row[0], dimension) for row in rows]
        mean = mean_template(vectors) if vectors else None
        db.execute(
            "UPDATE subject SET template = ?, revision = ? WHERE id = ?",
            (None if mean is None else mean.tobytes(), revision, subject_id),
        )
