"""The table of references: its columns, spelled here alone, and what they hold of a record."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from facecli.common.types import Face, Template
from facecli.storage.records import FARTHEST, SURE, NewReference, ReferenceRow, Refiled
from facecli.storage.sqlite import values

LANDMARKS = 5 * 2 * 4  # bytes
MOST_FACES = 2**31 - 1
_SHA256 = re.compile("[0-9a-f]{64}")


class StoredReference(NamedTuple):
    """A row, column by column. A damaged page may give a value of any type.

    vector, landmarks: float32 as bytes, (d,) and (5, 2). face: counts the faces of its photo.
    """

    id: int | None
    subject_id: int
    vector: bytes
    x1: float
    y1: float
    x2: float
    y2: float
    landmarks: bytes
    detection_score: float
    quality: float
    photo_sha256: str
    face: int
    path: str
    enrolled_at: str

    @classmethod
    def new(cls, subject_id: int, new: NewReference, enrolled_at: str) -> StoredReference:
        """Of a face about to be enrolled; SQLite gives it an id."""
        values = _face_values(new.found.face, new.found.template)
        return cls(
            None, subject_id, *values, new.photo_sha256, new.face_index, utf8(new.path),
            enrolled_at,
        )  # fmt: skip

    @classmethod
    def taken_over(cls, subject_id: int, row: ReferenceRow, id: int | None) -> StoredReference:
        """Of another gallery's, as it is. id: here; None where SQLite shall give one."""
        values = _face_values(row.face, row.template)
        return cls(
            id, subject_id, *values, row.photo_sha256, row.face_index, row.path, row.enrolled_at
        )

    def require_sound(self, dimension: int) -> None:
        """Raise `values.Unsound` where a value is not one that facecli wrote."""
        values.whole(self.id, "a reference's id", 1)
        values.whole(self.subject_id, "a reference's subject", 1)
        values.unit_vector(self.vector, dimension)
        x1, y1, x2, y2 = (values.real(value, "a face's box", -FARTHEST, FARTHEST)
                          for value in (self.x1, self.y1, self.x2, self.y2))  # fmt: skip
        if not (x1 < x2 and y1 < y2):
            raise values.Unsound("a face's box is empty")
        landmarks = values.data(self.landmarks, "landmarks", LANDMARKS)
        if not np.isfinite(np.frombuffer(landmarks, np.float32)).all():
            raise values.Unsound("landmarks are not finite")
        values.real(self.detection_score, "a detection score", 0, SURE)
        values.real(self.quality, "a quality", 0, SURE)
        if not _SHA256.fullmatch(values.text(self.photo_sha256, "a photo's sha256")):
            raise values.Unsound("a photo's sha256 is none")
        values.whole(self.face, "a face's number", 0, MOST_FACES)
        if "\0" in values.text(self.path, "a path"):
            raise values.Unsound("a path holds a NUL")
        values.text(self.enrolled_at, "the day of an enrolment")

    def found(self, embedder_id: str) -> tuple[Face, Template]:
        """The face and its template. Raises TypeError or ValueError where a value is damaged."""
        x1, y1, x2, y2, score, quality = (float(value) for value in (
            self.x1, self.y1, self.x2, self.y2, self.detection_score, self.quality))  # fmt: skip
        landmarks = np.frombuffer(self.landmarks, np.float32).reshape(5, 2)
        face = Face((x1, y1, x2, y2), landmarks, score, quality)
        return face, Template(np.frombuffer(self.vector, np.float32), embedder_id)


_COLUMNS = StoredReference._fields
_MADE = _COLUMNS[_COLUMNS.index("vector") : _COLUMNS.index("photo_sha256")]  # by the models
COLUMNS = ", ".join(_COLUMNS)
SELECTED = ", ".join(f"r.{column}" for column in _COLUMNS)  # of `reference r`


def record(row: Sequence[object], embedder_id: str, dimension: int) -> ReferenceRow:
    """row: SELECTED, then the subject's name. Raises as `StoredReference.require_sound`."""
    *columns, subject = row
    stored = StoredReference(*columns)  # type: ignore[arg-type]
    stored.require_sound(dimension)
    face, template = stored.found(embedder_id)
    return ReferenceRow(
        stored.id, values.text(subject, "a subject's name"), face, template,  # type: ignore[arg-type]
        stored.photo_sha256, stored.face, stored.path, stored.enrolled_at,
    )  # fmt: skip


def insert(db: sqlite3.Connection, row: StoredReference) -> bool:
    """Whether it was added: a subject's face of a photo is there once."""
    return bool(
        db.execute(
            f"INSERT INTO reference ({COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
            "ON CONFLICT (subject_id, photo_sha256, face) DO NOTHING",
            row,
        ).rowcount
    )


def replace_template(db: sqlite3.Connection, id: int, made: ReferenceRow) -> bool:
    """Give a reference another embedder's template, the face it is of and where its photo lies.

    Whether there is such a reference, of the same photo.
    """
    return bool(
        db.execute(
            f"UPDATE reference SET {', '.join(f'{column} = ?' for column in _MADE)}, path = ? "
            "WHERE id = ? AND photo_sha256 = ?",
            (*_face_values(made.face, made.template), made.path, id, made.photo_sha256),
        ).rowcount
    )


def refile(db: sqlite3.Connection, subject_id: int, photo: Refiled) -> None:
    """Where a subject's photo lies now, and what its bytes are; not where it has these already."""
    db.execute(
        "UPDATE OR IGNORE reference SET path = ?, photo_sha256 = ? "
        "WHERE subject_id = ? AND photo_sha256 = ?",
        (utf8(photo.path), photo.new_sha256, subject_id, photo.photo_sha256),
    )


def archive(db: sqlite3.Connection, change: int, which: str, value: int) -> None:
    """Copy references to the journal. which: a condition, with ? for the value."""
    db.execute(
        f"INSERT INTO removed_reference (change_id, {COLUMNS}) "
        f"SELECT ?, {COLUMNS} FROM reference WHERE {which}",
        (change, value),
    )


def bring_back(db: sqlite3.Connection, change: int) -> None:
    """Copy what a change took away from the journal."""
    db.execute(
        f"INSERT INTO reference ({COLUMNS}) SELECT {COLUMNS} FROM removed_reference "
        "WHERE change_id = ?",
        (change,),
    )


def _face_values(
    face: Face, template: Template
) -> tuple[bytes, float, float, float, float, bytes, float, float]:
    return (
        template.vector.astype(np.float32).tobytes(), *face.box,
        face.landmarks.astype(np.float32).tobytes(), face.detection_score, face.quality,
    )  # fmt: skip


def utf8(path: str) -> str:
    """A file name may be any bytes; SQLite's text is UTF-8. What is not becomes \\udcXX."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
