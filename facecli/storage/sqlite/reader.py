"""Reading the gallery file: half of the only SQL there is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecli.common.errors import EmbedderMismatchError, GalleryError
from facecli.common.names import key
from facecli.common.types import Face, Float32, Template
from facecli.metrics.gallery_fit import Observed
from facecli.storage.keys import Key
from facecli.storage.records import CalibrationRow, ReferenceRow, Seal, SubjectRow, Subjects
from facecli.storage.sqlite import consistency
from facecli.storage.sqlite.connection import explained, sound

MOST_VALUES = 1 << 16  # of a template
BLOCK = 16_384  # templates read at a time: 32 MB of 512 values each


class Reader:
    """What an open gallery file answers; `store.Store` adds the writing.

    Every method raises GalleryError when SQLite cannot do its part.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, key: Key | None = None) -> None:
        """key: that of an encrypted file; None where it is not encrypted."""
        self.path = path
        self.key = key
        self._db = connection
        row = self._db.execute("SELECT embedder_id, dimension, created_at FROM gallery").fetchone()
        if row is None:
            raise GalleryError(f"{path}: the gallery was never finished; remove the file")
        with sound(path):
            self.embedder_id, self.created_at = str(row[0]), str(row[2])
            self.dimension = int(row[1])
            if not 0 < self.dimension <= MOST_VALUES:
                raise ValueError(f"templates of {self.dimension} values")

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
        return self._subjects(rows)

    def blocks(
        self, after: int | None = None, rows: int = BLOCK
    ) -> Iterator[tuple[NDArray[np.int64], Float32]]:
        """Every subject's id and template, `rows` at a time: (b,) and (b, d).

        after: only those that changed after this revision. Ordered by id.
        """
        # Without a revision no index on it, so that the table is read from front to back.
        where, values = ("AND revision > ?", (after,)) if after is not None else ("", ())
        with explained(self.path):
            cursor = self._db.execute(
                f"SELECT id, template FROM subject WHERE template IS NOT NULL {where} ORDER BY id",
                values,
            )
            while some := cursor.fetchmany(rows):
                yield np.array([r[0] for r in some]), self._matrix([r[1] for r in some])

    def subjects_at(self, ids: NDArray[np.int64]) -> Subjects:
        """Those of these subjects that are enrolled, with names and templates, by id."""
        with explained(self.path):
            rows = self._db.execute(
                "SELECT id, name, template FROM subject WHERE template IS NOT NULL "
                "AND id IN (SELECT value FROM json_each(?)) ORDER BY id",
                (json.dumps(ids.tolist()),),
            ).fetchall()
        return self._subjects(rows)

    def some_templates(self, most: int) -> Float32:
        """The (m, d) templates of at most `most` subjects, drawn by id with a fixed seed."""
        with explained(self.path):
            (last,) = self._db.execute("SELECT max(id) FROM subject").fetchone()
        draws = np.random.default_rng(0).integers(1, last or 1, 2 * most, endpoint=True)
        return self.subjects_at(np.unique(draws)).templates[:most]

    def _subjects(self, rows: Sequence[tuple[int, str, bytes]]) -> Subjects:
        ids, names = tuple(r[0] for r in rows), tuple(r[1] for r in rows)
        return Subjects(ids, names, self._matrix([r[2] for r in rows]))

    def seal(self) -> Seal:
        """The templates' revision of now and its token."""
        with explained(self.path):
            row = self._db.execute(
                "SELECT g.revision, r.token FROM gallery g "
                "LEFT JOIN revision r ON r.id = g.revision"
            ).fetchone()
        self._require_same_embedder()
        return Seal(row[0], row[1] or bytes(16))

    def _require_same_embedder(self) -> None:
        """Raise EmbedderMismatchError where the gallery has become another embedder's since."""
        with explained(self.path):
            (embedder_id,) = self._db.execute("SELECT embedder_id FROM gallery").fetchone()
        if embedder_id != self.embedder_id:
            raise EmbedderMismatchError(
                f"{self.path} was re-embedded meanwhile and is {embedder_id}'s now: start again"
            )

    def has_seal(self, seal: Seal) -> bool:
        """Whether this gallery was once at that revision: not a copy from before or elsewhere."""
        with explained(self.path):
            row = self._db.execute(
                "SELECT token FROM revision WHERE id = ?", (seal.revision,)
            ).fetchone()
        return row is not None and row[0] == seal.token

    def changed(self, after: int) -> int:
        """How many of the subjects came or changed after this revision."""
        with explained(self.path):
            row = self._db.execute(
                "SELECT count(*) FROM subject WHERE revision > ?", (after,)
            ).fetchone()
        return int(row[0])

    def subject_count(self) -> int:
        """How many subjects there are: `counts` without the references, which cost more."""
        with explained(self.path):
            return int(self._db.execute("SELECT count(*) FROM subject").fetchone()[0])

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
                with sound(self.path):
                    reference = _reference(row, self.embedder_id)
                yield reference

    def vectors(self, subject_id: int) -> tuple[tuple[int, ...], Float32]:
        """One subject's reference ids and their (k, d) float32 vectors; k is 0 once removed."""
        with explained(self.path):
            rows = self._db.execute(
                "SELECT id, vector FROM reference WHERE subject_id = ? ORDER BY id", (subject_id,)
            ).fetchall()
        return tuple(row[0] for row in rows), self._matrix([row[1] for row in rows])

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

    def enrolled_photos(self, names: Iterable[str]) -> set[tuple[str, str]]:
        """(subject key, photo sha256) of every reference of the subjects called so."""
        with explained(self.path):
            return set(
                self._db.execute(
                    "SELECT DISTINCT s.key, r.photo_sha256 FROM subject s "
                    "JOIN reference r ON s.id = r.subject_id "
                    "WHERE s.key IN (SELECT value FROM json_each(?))",
                    (json.dumps(sorted({key(name) for name in names})),),
                )
            )

    def _matrix(self, blobs: Sequence[bytes]) -> Float32:
        """(n, d) float32 of n stored vectors; read-only."""
        size = self.dimension * 4
        if any(type(blob) is not bytes or len(blob) != size for blob in blobs):
            self._require_same_embedder()
            raise GalleryError(
                f"{self.path}: a template has not {self.dimension} values: the file is damaged; "
                "`facecli gallery check` tells more"
            )
        matrix = np.frombuffer(b"".join(blobs), np.float32).reshape(-1, self.dimension)
        if not np.isfinite(matrix.sum()):  # a quarter of what asking each value takes
            raise GalleryError(
                f"{self.path}: a template is not finite: the file is damaged; "
                "`facecli gallery check` tells more"
            )
        return matrix

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one moment, whatever others write."""
        if self._db.in_transaction:  # a rehearsal's
            yield
            return
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

    def last_observed(self) -> tuple[int, Observed] | None:
        """The revision at which the templates were last observed, and what was; None if never."""
        with explained(self.path):
            row = self._db.execute(
                'SELECT revision, n, mean, deviation, "references" FROM fit'
            ).fetchone()
        return None if row is None else (row[0], Observed(*row[1:]))

    def some_vectors(self, most: int) -> tuple[Float32, NDArray[np.int64]]:
        """References' (r, d) float32 vectors and their (r,) subject ids: all, or about `most`.

        Ids are drawn with a fixed seed, so that the same gallery gives the same sample; one that
        follows a gap in them is a little likelier.
        """
        with explained(self.path):
            count, last = self._db.execute("SELECT count(*), max(id) FROM reference").fetchone()
            if count <= most:
                rows = self._db.execute("SELECT id, subject_id, vector FROM reference").fetchall()
            else:
                draws = np.random.default_rng(0).integers(1, last, most, endpoint=True)
                rows = [
                    self._db.execute(
                        "SELECT id, subject_id, vector FROM reference WHERE id >= ? "
                        "ORDER BY id LIMIT 1", (int(draw),),
                    ).fetchone()
                    for draw in np.unique(draws)
                ]  # fmt: skip
        once = sorted({row[0]: row for row in rows}.values())
        return self._matrix([row[2] for row in once]), np.array([r[1] for r in once], np.int64)

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
        template equal to the mean of its references; the audit log whole, no erasure unfinished.
        """
        with explained(self.path), sound(self.path), self.snapshot():
            return list(consistency.faults(self._db, self.dimension))


def _reference(row: Sequence[object], embedder_id: str) -> ReferenceRow:
    ref, subject, x1, y1, x2, y2, points, score, quality, vector, sha, index, path, when = row
    landmarks = np.frombuffer(points, np.float32).reshape(5, 2)  # type: ignore[call-overload]
    numbers = [float(value) for value in (x1, y1, x2, y2, score, quality)]  # type: ignore[arg-type]
    face = Face((numbers[0], numbers[1], numbers[2], numbers[3]), landmarks, *numbers[4:])
    template = Template(np.frombuffer(vector, np.float32), embedder_id)  # type: ignore[call-overload]
    return ReferenceRow(ref, subject, face, template, sha, index, path, when)  # type: ignore[arg-type]
