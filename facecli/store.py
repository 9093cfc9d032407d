"""The gallery file: SQLite, and the only SQL. Rows in, rows out; no faces are found here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecli.database import connect, explained, make, now, present, recognise
from facecli.errors import EmbedderMismatchError, GalleryError
from facecli.fit import Observed
from facecli.layouts import key
from facecli.types import Face, FaceTemplate, Float32, Template


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A subject as listed. created_at: ISO 8601 UTC."""

    id: int
    name: str
    references: int
    created_at: str


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceRow:
    """An enrolled face. face_index counts the faces of its photo, largest first, from 0."""

    id: int
    subject: str
    face: Face
    template: Template
    photo_sha256: str
    face_index: int
    path: str
    enrolled_at: str


@dataclass(frozen=True, slots=True, eq=False)
class NewReference:
    """A face about to be enrolled."""

    subject: str
    found: FaceTemplate
    photo_sha256: str
    face_index: int
    path: str


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A threshold choice as stored: `threshold` set by hand, or `scores` (JSON) to derive it.

    n: the subjects among whom it was measured by searches; None where it was not.
    """

    basis: str
    target: str
    target_rate: float | None
    threshold: float | None
    scores: str | None
    made_from: str
    made_at: str
    n: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Subjects:
    """What a search needs. ids: subject ids; templates: (n, d) float32 unit vectors, row by row."""

    ids: tuple[int, ...]
    names: tuple[str, ...]
    templates: Float32


class Store:
    """An open gallery file. Use it from one thread; any number of processes may read and write.

    Every method raises GalleryError when SQLite cannot do its part.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        row = self._db.execute("SELECT embedder_id, dimension, created_at FROM gallery").fetchone()
        if row is None:
            raise GalleryError(f"{path}: the gallery was never finished; remove the file")
        self.embedder_id, self.dimension, self.created_at = str(row[0]), int(row[1]), str(row[2])

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open what is there. Raises GalleryError when it is missing, foreign or too new."""
        if not present(path):
            raise GalleryError(
                f"there is no gallery at {path}: make one with `facecli enroll PHOTOS`, "
                "or name another with --gallery"
            )
        with explained(path):
            connection = connect(path)
            try:
                recognise(path, connection)
                return cls(path, connection)
            except BaseException:
                connection.close()
                raise

    @classmethod
    def create(cls, path: Path, embedder_id: str, dimension: int) -> Store:
        """Open the gallery at `path`, made first if it is not there; 0600, its folder 0700.

        Raises EmbedderMismatchError when it is there and another embedder's.
        """
        if not present(path):
            with explained(path):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                make(path, embedder_id, dimension)
        store = cls.open(path)
        try:
            store.require(embedder_id)
        except EmbedderMismatchError:
            store.close()
            raise
        return store

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

    # reading ---------------------------------------------------------------------------------

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

    # writing ---------------------------------------------------------------------------------

    def add(self, new: Sequence[NewReference]) -> int:
        """Enrol faces, all in one transaction; those already there are left as they are.

        Returns how many were added.
        """
        with self._transaction():
            added = 0
            touched: set[int] = set()
            for item in new:
                subject_id = self._subject_id(item.subject)
                added += self._insert(subject_id, item)
                touched.add(subject_id)
            self._refresh(touched)
        return added

    def rename(self, old: str, new: str) -> None:
        """Give a subject another name. Raises GalleryError when that one is taken."""
        with self._transaction():
            subject = self.find(old)
            taken = self._db.execute(
                "SELECT id FROM subject WHERE key = ? AND id <> ?", (key(new), subject.id)
            ).fetchone()
            if taken:
                raise GalleryError(
                    f"{new!r} is enrolled already: use `facecli gallery merge` to make them one"
                )
            self._db.execute(
                "UPDATE subject SET name = ?, key = ? WHERE id = ?", (new, key(new), subject.id)
            )

    def merge(self, source: str, target: str) -> int:
        """Move all references of `source` to `target`; returns how many. Doubles are dropped."""
        with self._transaction():
            gone, kept = self.find(source), self.find(target)
            if gone.id == kept.id:
                raise GalleryError(f"{source!r} and {target!r} are the same subject")
            moved = self._db.execute(
                "UPDATE OR IGNORE reference SET subject_id = ? WHERE subject_id = ?",
                (kept.id, gone.id),
            ).rowcount
            self._db.execute("DELETE FROM subject WHERE id = ?", (gone.id,))
            self._refresh({kept.id})
        return int(moved)

    def remove(self, name: str) -> int:
        """Delete a subject with all references; returns how many. Their bytes are overwritten.

        Raises GalleryError when another program reads for so long that the bytes stay for now.
        """
        with self._transaction():
            subject = self.find(name)
            self._db.execute("DELETE FROM subject WHERE id = ?", (subject.id,))
            self._refresh(())
        self._erase(repr(name))
        return subject.references

    def remove_reference(self, name: str, reference_id: int) -> int:
        """Delete one reference of a subject, and the subject with its last; returns how many stay.

        Erases as `remove` does. Raises GalleryError when the subject has no such reference.
        """
        with self._transaction():
            subject = self.find(name)
            found = self._db.execute(
                "DELETE FROM reference WHERE id = ? AND subject_id = ?", (reference_id, subject.id)
            ).rowcount
            if not found:
                raise GalleryError(
                    f"{name!r} has no reference {reference_id}: `facecli gallery show` lists them"
                )
            left = subject.references - 1
            if not left:
                self._db.execute("DELETE FROM subject WHERE id = ?", (subject.id,))
            self._refresh({subject.id} if left else ())
        self._erase(f"reference {reference_id} of {name!r}")
        return left

    def _erase(self, what: str) -> None:
        """After a deletion: fold the write-ahead log into the file, where bytes are overwritten."""
        with explained(self.path):
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise GalleryError(
                f"{what} is removed, but another program reads {self.path} and keeps the old "
                "bytes on disk: they go when the last program closes the gallery"
            )

    def keep_observed(self, revision: int, observed: Observed) -> None:
        """Remember what was observed of the templates at this revision."""
        with self._transaction():
            self._db.execute(
                'INSERT OR REPLACE INTO fit (id, revision, n, mean, deviation, "references") '
                "VALUES (1, ?, ?, ?, ?, ?)",
                (revision, observed.n, observed.mean, observed.deviation, observed.references),
            )

    def calibrate(self, row: CalibrationRow) -> None:
        """Put a threshold choice in force; earlier ones stay on record."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO calibration (basis, target, target_rate, threshold, scores, "
                "made_from, made_at, n) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (row.basis, row.target, row.target_rate, row.threshold, row.scores,
                 row.made_from, row.made_at, row.n),
            )  # fmt: skip

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

    def _subject_id(self, name: str) -> int:
        row = self._db.execute("SELECT id FROM subject WHERE key = ?", (key(name),)).fetchone()
        if row is None:
            row = self._db.execute(
                "INSERT INTO subject (name, key, created_at) VALUES (?, ?, ?) RETURNING id",
                (name, key(name), now()),
            ).fetchone()
        return int(row[0])

    def _insert(self, subject_id: int, new: NewReference) -> int:
        face = new.found.face
        return self._db.execute(
            "INSERT INTO reference (subject_id, vector, x1, y1, x2, y2, landmarks, "
            "detection_score, quality, photo_sha256, face, path, enrolled_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (subject_id, photo_sha256, face) DO NOTHING",
            (subject_id, new.found.template.vector.astype(np.float32).tobytes(), *face.box,
             face.landmarks.astype(np.float32).tobytes(), face.detection_score, face.quality,
             new.photo_sha256, new.face_index, _utf8(new.path), now()),
        ).rowcount  # fmt: skip

    def _refresh(self, subject_ids: Iterable[int]) -> None:
        """Within a transaction: templates follow their references, and the revision moves on."""
        self._db.execute("UPDATE gallery SET revision = revision + 1")
        for subject_id in sorted(subject_ids):
            rows = self._db.execute(
                "SELECT vector FROM reference WHERE subject_id = ? ORDER BY id", (subject_id,)
            ).fetchall()
            mean = mean_template([np.frombuffer(r[0], np.float32) for r in rows]) if rows else None
            self._db.execute(
                "UPDATE subject SET template = ? WHERE id = ?",
                (None if mean is None else mean.tobytes(), subject_id),
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.rollback()
                raise
            self._db.commit()


def mean_template(vectors: Sequence[Float32]) -> Float32:
    """The unit vector of the mean of k (d,) float32 unit vectors."""
    if len(vectors) == 1:
        return vectors[0]
    mean = np.mean(np.stack(vectors).astype(np.float64), axis=0)
    norm = np.linalg.norm(mean)
    return vectors[0] if norm < 1e-9 else (mean / norm).astype(np.float32)


def _utf8(path: str) -> str:
    """A file name may be any bytes; SQLite's text is UTF-8. What is not becomes \\udcXX."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _reference(row: Sequence[object], embedder_id: str) -> ReferenceRow:
    ref, subject, x1, y1, x2, y2, points, score, quality, vector, sha, index, path, when = row
    landmarks = np.frombuffer(points, np.float32).reshape(5, 2)  # type: ignore[call-overload]
    face = Face((x1, y1, x2, y2), landmarks, score, quality)  # type: ignore[arg-type]
    template = Template(np.frombuffer(vector, np.float32), embedder_id)  # type: ignore[call-overload]
    return ReferenceRow(ref, subject, face, template, sha, index, path, when)  # type: ignore[arg-type]
