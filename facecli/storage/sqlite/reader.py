"""What a gallery file answers: all questions, and no writing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecli.common.errors import EmbedderMismatchError, GalleryError
from facecli.common.names import name_key
from facecli.common.types import Float32
from facecli.metrics.gallery_fit import Observed, observe_blocks, sample_size
from facecli.storage.records import (
    CalibrationRow,
    IndexInfo,
    ReferenceRow,
    Seal,
    SubjectRow,
    Subjects,
)
from facecli.storage.search import candidates, ranker
from facecli.storage.sqlite import audit_log, consistency, deletion, reference_rows
from facecli.storage.sqlite.connection import explained, sound

MOST_VALUES = 1 << 16  # of a template
BLOCK = 16_384  # templates read at a time: 32 MB of 512 values each
CHOICE = ", ".join(field.name for field in fields(CalibrationRow))  # the table's columns
OBSERVED = ", ".join(f'"{field.name}"' for field in fields(Observed))
_LISTED = (
    "SELECT s.id, s.name, count(r.id), s.created_at FROM subject s "
    "LEFT JOIN reference r ON r.subject_id = s.id"
)
_SUBJECTS = "SELECT id, name, template FROM subject WHERE template IS NOT NULL"


class FileReader:
    """Every method raises GalleryError when SQLite cannot do its part."""

    def __init__(self, path: Path, connection: sqlite3.Connection, encrypted: bool) -> None:
        """encrypted: whether the file can be read with a key only."""
        self.path = path
        self.encrypted = encrypted
        self._db = connection
        row = self._one("SELECT embedder_id, dimension, created_at FROM gallery")
        if row is None:
            raise GalleryError(f"{path}: the gallery was never finished; remove the file")
        with sound(path):
            self.embedder_id, self.created_at = str(row[0]), str(row[2])
            self.dimension = int(row[1])
            if not 0 < self.dimension <= MOST_VALUES:
                raise ValueError(f"templates of {self.dimension} values")

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

    # who is there ----------------------------------------------------------------------------

    def counts(self) -> tuple[int, int]:
        """How many subjects and references there are."""
        row = self._one("SELECT (SELECT count(*) FROM subject), (SELECT count(*) FROM reference)")
        return int(row[0]), int(row[1])

    def subject_count(self) -> int:
        """How many subjects there are: `counts` without the references, which cost more."""
        return int(self._one("SELECT count(*) FROM subject")[0])

    def subjects(self) -> tuple[SubjectRow, ...]:
        """Everyone enrolled, by name."""
        rows = self._all(f"{_LISTED} GROUP BY s.id ORDER BY s.key")
        return tuple(SubjectRow(*row) for row in rows)

    def find(self, name: str) -> SubjectRow:
        """The subject called `name`. Raises GalleryError when nobody is."""
        row = self._one(f"{_LISTED} WHERE s.key = ? GROUP BY s.id", name_key(name))
        if row is None:
            raise GalleryError(f"nobody called {name!r} is enrolled: see `facecli gallery list`")
        return SubjectRow(*row)

    def references(self, subject_id: int | None = None) -> Iterator[ReferenceRow]:
        """Every reference, or one subject's, in the order they were enrolled."""
        where, values = ("WHERE r.subject_id = ?", (subject_id,)) if subject_id else ("", ())
        with explained(self.path):
            cursor = self._db.execute(
                f"SELECT {reference_rows.SELECTED}, s.name FROM reference r "
                f"JOIN subject s ON s.id = r.subject_id {where} ORDER BY r.id",
                values,
            )
            for row in cursor:
                with sound(self.path):
                    reference = reference_rows.record(row, self.embedder_id)
                yield reference

    def enrolled_photos(self, names: Iterable[str]) -> dict[tuple[str, str], str]:
        """By subject key and photo sha256, the paths of the photos of the subjects called so."""
        rows = self._all(
            "SELECT DISTINCT s.key, r.photo_sha256, r.path FROM subject s "
            "JOIN reference r ON s.id = r.subject_id "
            "WHERE s.key IN (SELECT value FROM json_each(?))",
            json.dumps(sorted({name_key(name) for name in names})),
        )
        return {(key, sha256): path for key, sha256, path in rows}

    # templates -------------------------------------------------------------------------------

    def templates(self) -> Subjects:
        """The mean template of every subject that has a reference, in the order of their ids."""
        return self._subjects(self._all(f"{_SUBJECTS} ORDER BY id"))

    def subjects_at(self, ids: NDArray[np.int64]) -> Subjects:
        """Those of these subjects that are enrolled, with names and templates, by id."""
        where = "AND id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return self._subjects(self._all(f"{_SUBJECTS} {where}", json.dumps(ids.tolist())))

    def some_templates(self, most: int) -> Float32:
        """The (m, d) templates of at most `most` subjects, drawn by id with a fixed seed."""
        (last,) = self._one("SELECT max(id) FROM subject")
        draws = np.random.default_rng(0).integers(1, last or 1, 2 * most, endpoint=True)
        return self.subjects_at(np.unique(draws)).templates[:most]

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

    def vectors(self, subject_id: int) -> tuple[tuple[int, ...], Float32]:
        """One subject's reference ids and their (k, d) float32 vectors; k is 0 once removed."""
        rows = self._all(
            "SELECT id, vector FROM reference WHERE subject_id = ? ORDER BY id", subject_id
        )
        return tuple(row[0] for row in rows), self._matrix([row[1] for row in rows])

    def seal(self) -> Seal:
        """The templates' revision of now and its token."""
        row = self._one(
            "SELECT g.revision, r.token FROM gallery g LEFT JOIN revision r ON r.id = g.revision"
        )
        self.require_same_embedder()
        return Seal(row[0], row[1] or bytes(16))

    def has_seal(self, seal: Seal) -> bool:
        """Whether this gallery was once at that revision: not a copy from before or elsewhere."""
        row = self._one("SELECT token FROM revision WHERE id = ?", seal.revision)
        return row is not None and row[0] == seal.token

    def changed(self, after: int) -> int:
        """How many of the subjects came or changed after this revision."""
        return int(self._one("SELECT count(*) FROM subject WHERE revision > ?", after)[0])

    def require_same_embedder(self) -> None:
        """Raise EmbedderMismatchError where the gallery has become another embedder's since."""
        (embedder_id,) = self._one("SELECT embedder_id FROM gallery")
        if embedder_id != self.embedder_id:
            raise EmbedderMismatchError(
                f"{self.path} was re-embedded meanwhile and is {embedder_id}'s now: start again"
            )

    # the threshold ---------------------------------------------------------------------------

    def calibration(self) -> CalibrationRow | None:
        """The threshold choice in force; None while the built-in default is."""
        row = self._one(f"SELECT {CHOICE} FROM calibration ORDER BY id DESC LIMIT 1")
        return None if row is None else CalibrationRow(*row)

    def calibrations(self) -> tuple[CalibrationRow, ...]:
        """Every threshold choice, the one in force last."""
        rows = self._all(f"SELECT {CHOICE} FROM calibration ORDER BY id")
        return tuple(CalibrationRow(*row) for row in rows)

    def observed(self) -> tuple[int, Observed | None]:
        """The templates' revision, and what was observed of them if that was at this revision."""
        (revision,), last = self._one("SELECT revision FROM gallery"), self.last_observed()
        return revision, last[1] if last is not None and last[0] == revision else None

    def last_observed(self) -> tuple[int, Observed] | None:
        """The revision at which the templates were last observed, and what was; None if never."""
        row = self._one(f"SELECT revision, {OBSERVED} FROM fit")
        return None if row is None else (row[0], Observed(*row[1:]))

    def observe(self) -> Observed | None:
        """Each reference among the other subjects: of a sample with a fixed seed, where many."""
        with self.snapshot():
            vectors, owners = self.some_vectors(sample_size(self.subject_count()))
            return observe_blocks(vectors, owners, self.blocks())

    def some_vectors(self, most: int) -> tuple[Float32, NDArray[np.int64]]:
        """References' (r, d) float32 vectors and their (r,) subject ids: all, or about `most`.

        Ids are drawn with a fixed seed, so that the same gallery gives the same sample; one that
        follows a gap in them is a little likelier.
        """
        count, last = self._one("SELECT count(*), max(id) FROM reference")
        ask = "SELECT id, subject_id, vector FROM reference"
        if count <= most:
            rows = self._all(ask)
        else:
            draws = np.unique(np.random.default_rng(0).integers(1, last, most, endpoint=True))
            following = f"{ask} WHERE id >= ? ORDER BY id LIMIT 1"
            rows = [self._one(following, int(draw)) for draw in draws]
        once = sorted({row[0]: row for row in rows}.values())
        return self._matrix([row[2] for row in once]), np.array([r[1] for r in once], np.int64)

    # searching -------------------------------------------------------------------------------

    def ranker(self, exact: bool, threshold: float) -> ranker.FileRanker:
        """What searches it; see `FileRanker.open`."""
        return ranker.FileRanker.open(self, exact, threshold)

    def index(self, threshold: float | None) -> IndexInfo:
        """What the next search starts from."""
        return candidates.index_info(self)

    # the file --------------------------------------------------------------------------------

    def size(self) -> int:
        """Bytes of the file with its write-ahead log."""
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def faults(self) -> list[str]:
        """What is wrong with it, a line each: the file, the vectors, then the index."""
        return self.check() or ranker.faults(self)

    def check(self) -> list[str]:
        """What is wrong with the file, a line each; empty when it is sound.

        Pages and foreign keys, vectors of the right length and unit norm, and every subject's
        template equal to the mean of its references; the audit log whole, no erasure unfinished.
        """
        with explained(self.path), sound(self.path), self.snapshot():
            return list(consistency.faults(self._db, self.dimension))

    def gallery_id(self) -> str:
        """What names the file in receipts: random, 32 hex digits, the same in its copies."""
        return str(self._one("SELECT gallery_id FROM custody")[0])

    def hashed(self, name: str) -> str:
        """A subject's name as the audit log has it."""
        with explained(self.path):
            return audit_log.hashed(self._db, name)

    def held(self, pieces: Collection[bytes]) -> set[bytes]:
        """Those of these bytes that stand in some row's template, name or path."""
        with explained(self.path):
            return deletion.held(self._db, pieces) if pieces else set()

    def _one(self, question: str, *values: object) -> Any:
        with explained(self.path):
            return self._db.execute(question, values).fetchone()

    def _all(self, question: str, *values: object) -> list[Any]:
        with explained(self.path):
            return self._db.execute(question, values).fetchall()

    def _subjects(self, rows: Sequence[tuple[int, str, bytes]]) -> Subjects:
        ids, names = tuple(r[0] for r in rows), tuple(r[1] for r in rows)
        return Subjects(ids, names, self._matrix([r[2] for r in rows]))

    def _matrix(self, blobs: Sequence[bytes]) -> Float32:
        """(n, d) float32 of n stored vectors; read-only."""
        size = self.dimension * 4
        if any(type(blob) is not bytes or len(blob) != size for blob in blobs):
            self.require_same_embedder()
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
