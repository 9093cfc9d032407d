"""The rows of a grouping file: its tables, and faces there and back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from facecli.common.enums import GroupState
from facecli.common.timestamp import now
from facecli.common.types import Face, FaceTemplate, Template
from facecli.storage.records import OnScreen, SeenFace, SeenPhoto
from facecli.storage.sqlite import values
from facecli.storage.sqlite.reference_rows import LANDMARKS, utf8

# "person": a group of faces; GROUP is a word of SQL's.
TABLES = """
CREATE TABLE grouping (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    embedder_id TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    created_at TEXT NOT NULL);
CREATE TABLE photo (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    seen_at TEXT NOT NULL);
CREATE TABLE person (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL,
    name TEXT);
CREATE TABLE face (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    photo_id INTEGER NOT NULL REFERENCES photo(id) ON DELETE CASCADE,
    face INTEGER NOT NULL,
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
    landmarks BLOB NOT NULL,
    detection_score REAL NOT NULL,
    quality REAL NOT NULL,
    vector BLOB NOT NULL,
    person_id INTEGER REFERENCES person(id) ON DELETE SET NULL,
    UNIQUE (photo_id, face));
CREATE INDEX face_person ON face(person_id);
CREATE TABLE link (
    kind TEXT NOT NULL,
    first INTEGER NOT NULL REFERENCES face(id) ON DELETE CASCADE,
    second INTEGER NOT NULL REFERENCES face(id) ON DELETE CASCADE,
    score REAL NOT NULL,
    threshold REAL NOT NULL);
CREATE TABLE change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL,
    at TEXT NOT NULL);
CREATE TABLE changed_person (
    change_id INTEGER NOT NULL REFERENCES change(id) ON DELETE CASCADE,
    person_id INTEGER NOT NULL,
    state TEXT,
    name TEXT);
CREATE TABLE changed_face (
    change_id INTEGER NOT NULL REFERENCES change(id) ON DELETE CASCADE,
    face_id INTEGER NOT NULL REFERENCES face(id) ON DELETE CASCADE,
    person_id INTEGER);
CREATE TABLE enrolled_face (
    change_id INTEGER NOT NULL REFERENCES change(id) ON DELETE CASCADE,
    face_id INTEGER NOT NULL REFERENCES face(id) ON DELETE CASCADE);
"""
# Of faces that are a clip's; since version 2 of the file.
TRACKS = """
CREATE TABLE IF NOT EXISTS track (
    photo_id INTEGER NOT NULL,
    face INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    best REAL NOT NULL,
    PRIMARY KEY (photo_id, face),
    FOREIGN KEY (photo_id, face) REFERENCES face(photo_id, face) ON DELETE CASCADE);
"""
FACES = (
    "SELECT f.id, f.photo_id, p.sha256, p.path, f.face, f.x1, f.y1, f.x2, f.y2, f.landmarks, "
    "f.detection_score, f.quality, f.vector, f.person_id, t.first, t.last, t.best FROM face f "
    "JOIN photo p ON p.id = f.photo_id "
    "LEFT JOIN track t ON t.photo_id = f.photo_id AND t.face = f.face"
)


def insert(db: sqlite3.Connection, photo: SeenPhoto) -> None:
    """Add a photo with its faces; one that is there stays as it is."""
    row = db.execute(
        "INSERT OR IGNORE INTO photo (sha256, path, seen_at) VALUES (?, ?, ?) RETURNING id",
        (photo.sha256, utf8(photo.path), now()),
    ).fetchone()
    if row is not None:
        db.executemany(
            "INSERT INTO face (photo_id, face, x1, y1, x2, y2, landmarks, "
            "detection_score, quality, vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_values(row[0], i, found) for i, found in enumerate(photo.faces)),
        )
        db.executemany(
            "INSERT INTO track (photo_id, face, first, last, best) VALUES (?, ?, ?, ?, ?)",
            (
                (row[0], i, found.track.start, found.track.end, found.track.best)
                for i, found in enumerate(photo.faces)
                if found.track is not None
            ),
        )


def new_person(db: sqlite3.Connection, state: GroupState, name: str | None) -> int:
    """Add a group without faces; its number."""
    row = db.execute(
        "INSERT INTO person (state, name) VALUES (?, ?) RETURNING id", (state, name)
    ).fetchone()
    return int(row[0])


def move(db: sqlite3.Connection, faces: Iterable[int], group: int) -> None:
    """Put faces into a group."""
    db.executemany("UPDATE face SET person_id = ? WHERE id = ?", ((group, face) for face in faces))


def read(row: Sequence[Any], embedder_id: str, dimension: int) -> SeenFace:
    """A row of FACES. Raises Unsound where a value is not of its kind."""
    number, photo, sha256, path, index, *box, landmarks, score, quality, vector, group = row[:-3]
    x1, y1, x2, y2 = (values.real(edge, "a face's box") for edge in box)
    first, last, best = (values.real(at, "a track's time") if at is not None else None
                         for at in row[-3:])  # fmt: skip
    seen = None if first is None else OnScreen(first, last or 0.0, best or 0.0)
    points = np.frombuffer(values.data(landmarks, "landmarks", LANDMARKS), np.float32)
    face = Face(
        (x1, y1, x2, y2), points.reshape(5, 2), values.real(score, "a detection score"),
        values.real(quality, "a quality"),
    )  # fmt: skip
    template = Template(values.unit_vector(vector, dimension), embedder_id)
    values.text(path, "a path")
    return SeenFace(number, photo, sha256, path, index, FaceTemplate(face, template), group, seen)


def _values(photo: int, index: int, found: FaceTemplate) -> tuple[object, ...]:
    face = found.face
    return (
        photo, index, *map(float, face.box), face.landmarks.astype(np.float32).tobytes(),
        float(face.detection_score), float(face.quality),
        found.template.vector.astype(np.float32).tobytes(),
    )  # fmt: skip
