"""References of another gallery taken over as they are: SQL within a transaction of `local`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np

from facecli.common.enums import LogAction
from facecli.common.names import key
from facecli.storage.records import CalibrationRow, ReferenceRow, SubjectRow
from facecli.storage.sqlite import audit_log

_CHOICE = "basis, target, target_rate, threshold, scores, made_from, made_at, n"


def adopt(
    db: sqlite3.Connection, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow]
) -> tuple[int, set[int]]:
    """Insert what is not there yet: how many, and the ids of the subjects that grew.

    people: by name, what their subjects are to be where they are not there. Ids are kept where
    they are free; names and times as they are.
    """
    added, touched = 0, set[int]()
    for row in rows:
        subject_id = _subject(db, people[row.subject])
        if _insert(db, subject_id, row):
            added += 1
            touched.add(subject_id)
            audit_log.append(db, LogAction.ENROLLED, row.subject, row.photo_sha256)
    return added, touched


def calibrations(db: sqlite3.Connection) -> tuple[CalibrationRow, ...]:
    """Every threshold choice, the one in force last."""
    rows = db.execute(f"SELECT {_CHOICE} FROM calibration ORDER BY id")
    return tuple(CalibrationRow(*row) for row in rows)


def _subject(db: sqlite3.Connection, subject: SubjectRow) -> int:
    found = db.execute("SELECT id FROM subject WHERE key = ?", (key(subject.name),)).fetchone()
    if found is None:
        found = db.execute(
            "INSERT INTO subject (id, name, key, created_at) VALUES (?, ?, ?, ?) RETURNING id",
            (_free(db, "subject", subject.id), subject.name, key(subject.name),
             subject.created_at),
        ).fetchone()  # fmt: skip
    return int(found[0])


def _insert(db: sqlite3.Connection, subject_id: int, row: ReferenceRow) -> int:
    face = row.face
    return db.execute(
        "INSERT INTO reference (id, subject_id, vector, x1, y1, x2, y2, landmarks, "
        "detection_score, quality, photo_sha256, face, path, enrolled_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (subject_id, photo_sha256, face) DO NOTHING",
        (_free(db, "reference", row.id), subject_id,
         row.template.vector.astype(np.float32).tobytes(), *face.box,
         face.landmarks.astype(np.float32).tobytes(), face.detection_score, face.quality,
         row.photo_sha256, row.face_index, row.path, row.enrolled_at),
    ).rowcount  # fmt: skip


def _free(db: sqlite3.Connection, table: str, number: int) -> int | None:
    """The id if nothing has it, else None: SQLite then gives another."""
    taken = db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (number,)).fetchone()
    return None if taken else number
