"""Reading the gallery file: half of the only SQL there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecli.database import explained
from facecli.errors import EmbedderMismatchError, GalleryError
from facecli.fit import Observed
from facecli.layouts import key
from facecli.records import CalibrationRow, ReferenceRow, SubjectRow, Subjects, mean_template
from facecli.types import Face, Float32, Template


class Reader:
    """What an open gallery file answers; `store.Store` adds the writing.

    Every method raises GalleryError when SQLite cannot do its part.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        row = self._db.execute("SELECT embedder_id, dimension, created_at FROM gallery").fetchone()
        if row is None:
            raise GalleryError(f"{path}: the gallery was never finished; remove the file")
        self.embedder_id, self.dimension, self.created_at = str(row[0]), int(row[1]), str(row[2])

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def require(self, embedder_id: str) -> None:
        """Raise EmbedderMismatchError unless this embedder made the gallery."""
        if self.embedder_id != embedder_id:
            raise EmbedderMismatchError(
                f"{self.path} was made with the embedder {self.embedder_id}, not {embedder_id}: "
                "their scores cannot be compared. Use --model with the gallery's own, "
                "or enrol into another --gallery"
            )

    def counts(self) -> tuple[int, int]:
        """How many subjects and references there are."""
        with explained(self.path):
            row = self._db.execute(
                "SELECT (SELECT count(*) FROM subject), (SELECT count(*) FROM reference)"
            ).fetchone()
        return int(row[0]), int(row[1])

    def subjects(self) -> tuple[SubjectRow, ...]:
        """Everyone enrolled, by name."""
        with explained(self.path):
            rows = self._db.execute(
                "SELECT s.id, s.name, count(r.id), s.created_at FROM subject s "
                "LEFT JOIN reference r ON r.subject_id = s.id GROUP BY s.id ORDER BY s.key"
            ).fetchall()
        return tuple(SubjectRow(*row) for row in rows)

    def templates(self) -> Subjects:
        """The mean template of every subject that has a reference, in the order of their ids."""
        with explained(self.path):
            rows = self._db.execute(
                "SELECT id, name, template FROM subject WHERE template IS NOT NULL ORDER BY id"
            ).fetchall()
        matrix = np.empty((len(rows), self.dimension), np.float32)
        for i, row in enumerate(rows):
            matrix[i] = self._vector(row[2])
        return Subjects(tuple(r[0] for r in rows), tuple(r[1] for r in rows), matrix)

    def references(self, subject_id: int | None = None) -> Iterator[ReferenceRow]:
        """Every reference, or one subject's, in the order they were enrolled."""
        where, values = ("WHERE r.subject_id = ?", (subject_id,)) if subject_id else ("", ())
        with explained(self.path):
            cursor = self._db.execute(
                "SELECT r.id, s.name, r.x1, r.y1, r.x2, r.y2, r.landmarks, r.detection_score, "
                "r.quality, r.vector, r.photo_sha256, r.face, r.path, r.enrolled_at "
                f"FROM reference r JOIN subject s ON s.id = r.subject_id {where} ORDER BY r.id",
                values,
            )
            for row in cursor:
                yield _reference(row, self.embedder_id)

    def vectors(self, subject_id: int) -> tuple[tuple[int, ...], Float32]:
        """One subject's reference ids and their (k, d) float32 vectors; k is 0 once removed."""
        with explained(self.path):
            rows = self._db.execute(
                "SELECT id, vector FROM reference WHERE subject_id = ? ORDER BY id", (subject_id,)
            ).fetchall()
        matrix = np.empty((len(rows), self.dimension), np.float32)
        for i, row in enumerate(rows):
            matrix[i] = self._vector(row[1])
        return tuple(row[0] for row in rows), matrix

    def find(self, name: str) -> SubjectRow:
        """The subject called `name`. Raises GalleryError when nobody is."""
        with explained(self.path):
            row = self._db.execute(
                "SELECT s.id, s.name, count(r.id), s.created_at FROM subject s "
                "LEFT JOIN reference r ON r.subject_id = s.id WHERE s.key = ? GROUP BY s.id",
                (key(name),),
            ).fetchone()
        if row is None:
            raise GalleryError(f"nobody called {name!r} is enrolled: see `facecli gallery list`")
        return SubjectRow(*row)

    def enrolled_photos(self) -> set[tuple[str, str]]:
        """(subject key, photo sha256) of every reference."""
        with explained(self.path):
            return set(
                self._db.execute(
                    "SELECT DISTINCT s.key, r.photo_sha256 FROM reference r "
                    "JOIN subject s ON s.id = r.subject_id"
                )
            )

    def _vector(self, blob: bytes) -> Float32:
        if len(blob) != self.dimension * 4:
            raise GalleryError(
                f"{self.path}: a template has not {self.dimension} values: the file is damaged; "
                "`facecli gallery check` tells more"
            )
        return np.frombuffer(blob, np.float32)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one moment, whatever others write."""
        with explained(self.path):
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.rollback()

    def observed(self) -> tuple[int, Observed | None]:
        """The templates' revision, and what was observed of them if that was at this revision."""
        with explained(self.path):
            row = self._db.execute(
                'SELECT g.revision, f.n, f.mean, f.deviation, f."references" FROM gallery g '
                "LEFT JOIN fit f ON f.revision = g.revision"
            ).fetchone()
        return row[0], None if row[1] is None else Observed(*row[1:])

    def all_vectors(self) -> tuple[Float32, NDArray[np.int64]]:
        """Every reference's (r, d) float32 vectors and their (r,) subject ids."""
        with explained(self.path):
            count = self._db.execute("SELECT count(*) FROM reference").fetchone()[0]
            vectors = np.empty((count, self.dimension), np.float32)
            owners = np.empty(count, np.int64)
            rows = self._db.execute("SELECT subject_id, vector FROM reference ORDER BY id")
            for i, (subject_id, blob) in enumerate(rows):
                owners[i], vectors[i] = subject_id, self._vector(blob)
        return vectors, owners

    def calibration(self) -> CalibrationRow | None:
        """The threshold choice in force; None while the built-in default is."""
        with explained(self.path):
            row = self._db.execute(
                "SELECT basis, target, target_rate, threshold, scores, made_from, made_at, n "
                "FROM calibration ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return None if row is None else CalibrationRow(*row)

    def check(self) -> list[str]:
        """What is wrong with the file, a line each; empty when it is sound.

        Pages and foreign keys, vectors of the right length and unit norm, and every subject's
        template equal to the mean of its references.
        """
        with explained(self.path), self.snapshot():
            faults = [r[0] for r in self._db.execute("PRAGMA integrity_check") if r[0] != "ok"]
            faults += [
                f"row {r[1]} of {r[0]} points at no {r[2]}"
                for r in self._db.execute("PRAGMA foreign_key_check")
            ]
            rows = self._db.execute("SELECT id, name, template FROM subject ORDER BY id").fetchall()
            return faults + [fault for row in rows for fault in self._subject_faults(*row)]

    def _subject_faults(self, subject_id: int, name: str, template: bytes | None) -> Iterator[str]:
        size = self.dimension * 4
        vectors = []
        for ref, blob in self._db.execute(
            "SELECT id, vector FROM reference WHERE subject_id = ?", (subject_id,)
        ):
            vector = np.frombuffer(blob, np.float32) if len(blob) == size else None
            if vector is None or not abs(float(np.linalg.norm(vector)) - 1) < 1e-3:
                yield f"reference {ref} of {name!r} is not a unit vector of {self.dimension} values"
            else:
                vectors.append(vector)
        if not vectors:
            yield f"subject {name!r} has no reference"
        elif template is None or len(template) != size:
            yield f"subject {name!r} has no template"
        elif not np.allclose(
            np.frombuffer(template, np.float32), mean_template(vectors), atol=1e-5
        ):
            yield f"the template of {name!r} is not the mean of its references"


def _reference(row: Sequence[object], embedder_id: str) -> ReferenceRow:
    ref, subject, x1, y1, x2, y2, points, score, quality, vector, sha, index, path, when = row
    landmarks = np.frombuffer(points, np.float32).reshape(5, 2)  # type: ignore[call-overload]
    face = Face((x1, y1, x2, y2), landmarks, score, quality)  # type: ignore[arg-type]
    template = Template(np.frombuffer(vector, np.float32), embedder_id)  # type: ignore[call-overload]
    return ReferenceRow(ref, subject, face, template, sha, index, path, when)  # type: ignore[arg-type]
