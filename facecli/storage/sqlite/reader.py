"""What a gallery file answers: all questions, and no writing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecli.common.errors import EmbedderMismatchError, GalleryError
from facecli.common.names import name_key
from facecli.common.types import Float32
from facecli.metrics.face_kinds import NO_KINDS, FaceKinds
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
from facecli.storage.sqlite import (
    audit_log,
    consistency,
    deletion,
    distinct_rows,
    reference_rows,
    subject_rows,
    values,
)
from facecli.storage.sqlite.connection import DAMAGED, explained
from facecli.storage.sqlite.guard import counting

MOST_VALUES = 1 << 16  # of a template
UNIT = 2e-3  # a template's norm may be so far from 1, squared
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
        with explained(path):
            self.embedder_id = values.text(row[0], "the embedder")
            self.dimension = values.whole(row[1], "a template's length", 1, MOST_VALUES)
            self.created_at = values.text(row[2], "the day it was made")

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
            with explained(self.path):
                self._db.rollback()

    # who is there ----------------------------------------------------------------------------

    def counts(self) -> tuple[int, int]:
        """How many subjects and references there are."""
        with counting(self._db):
            row = self._one(
                "SELECT (SELECT count(*) FROM subject), (SELECT count(*) FROM reference)"
            )
        return int(row[0]), int(row[1])

    def subject_count(self) -> int:
        """How many subjects there are: `counts` without the references, which cost more."""
        with counting(self._db):
            return int(self._one("SELECT count(*) FROM subject")[0])

    def subjects(self) -> tuple[SubjectRow, ...]:
        """Everyone enrolled, by name."""
        with explained(self.path):
            rows = self._all(f"{_LISTED} GROUP BY s.id ORDER BY s.key")
            return tuple(_subject(row) for row in rows)

    def find(self, name: str) -> SubjectRow:
        """The subject called `name`. Raises GalleryError when nobody is."""
        with explained(self.path):
            subject_id = subject_rows.named(self._db, name)
        if subject_id is None:
            raise GalleryError(f"nobody called {name!r} is enrolled: see `facecli gallery list`")
        row = self._one(f"{_LISTED} WHERE s.id = ? GROUP BY s.id", subject_id)
        with explained(self.path):
            if row is None:
                raise values.Unsound(f"the name {name!r} is found, and its row is not")
            return _subject(row)

    def distinct(self) -> tuple[tuple[SubjectRow, SubjectRow], ...]:
        """Pairs of subjects who were said to be two people, in the order that was said."""
        with explained(self.path):
            pairs = distinct_rows.held(self._db)
            ids = json.dumps(sorted({i for pair in pairs for i in pair}))
            rows = self._all(
                f"{_LISTED} WHERE s.id IN (SELECT value FROM json_each(?)) GROUP BY s.id", ids
            )
            known = {row[0]: _subject(row) for row in rows}
            return tuple((known[a], known[b]) for a, b in pairs if a in known and b in known)

    def references(self, subject_id: int | None = None) -> Iterator[ReferenceRow]:
        """Every reference, or one subject's, in the order they were enrolled."""
        where, asked = ("WHERE r.subject_id = ?", (subject_id,)) if subject_id else ("", ())
        with explained(self.path):
            cursor = self._db.execute(
                f"SELECT {reference_rows.SELECTED}, s.name FROM reference r "
                f"JOIN subject s ON s.id = r.subject_id {where} ORDER BY r.id",
                asked,
            )
            last = 0
            for row in cursor:
                found = reference_rows.record(row, self.embedder_id, self.dimension)
                _require_after(last, found.id)
                last = found.id
                yield found

    def enrolled_photos(self, names: Iterable[str]) -> dict[tuple[str, str], str]:
        """By subject key and photo sha256, the paths of the photos of the subjects called so."""
        keys = {key for name in names for key in subject_rows.keys(name)}
        with explained(self.path):
            found = self._db.execute(
                "SELECT DISTINCT s.key, r.photo_sha256, r.path FROM subject s "
                "JOIN reference r ON s.id = r.subject_id "
                "WHERE s.key IN (SELECT value FROM json_each(?))",
                (json.dumps(sorted(keys)),),
            )
            # A name comes as often as its person has photos.
            rows = values.bounded(found, lambda: 16 * self.size())
            return {
                (name_key(key), photo): values.text(path, "a path") for key, photo, path in rows
            }

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
        draws = np.random.default_rng(0).integers(1, max(last or 1, 1), 2 * most, endpoint=True)
        return self.subjects_at(np.unique(draws)).templates[:most]

    def blocks(
        self, after: int | None = None, rows: int = BLOCK
    ) -> Iterator[tuple[NDArray[np.int64], Float32]]:
        """Every subject's id and template, `rows` at a time: (b,) and (b, d).

        after: only those that changed after this revision. Ordered by id.
        """
        # Without a revision no index on it, so that the table is read from front to back.
        where, asked = ("AND revision > ?", (after,)) if after is not None else ("", ())
        with explained(self.path):
            cursor = values.bounded(
                self._db.execute(
                    f"SELECT id, template FROM subject WHERE template IS NOT NULL {where} "
                    "ORDER BY id",
                    asked,
                ),
                self.size,
            )
            last = 0
            while some := list(islice(cursor, rows)):
                ids = np.array([r[0] for r in some], np.int64)
                _require_after(last, int(ids[0]), ascending=bool((np.diff(ids) > 0).all()))
                last = int(ids[-1])
                yield ids, self._matrix([r[1] for r in some])

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
        with explained(self.path):
            token = bytes(values.TOKEN) if row[1] is None else row[1]
            return Seal(
                values.whole(row[0], "the revision"),
                values.data(token, "a revision's token", values.TOKEN),
            )

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
        with explained(self.path):
            return None if row is None else _choice(row)

    def calibrations(self) -> tuple[CalibrationRow, ...]:
        """Every threshold choice, the one in force last."""
        with explained(self.path):
            rows = self._all(f"SELECT {CHOICE} FROM calibration ORDER BY id")
            return tuple(_choice(row) for row in rows)

    def observed(self) -> tuple[int, Observed | None]:
        """The templates' revision, and what was observed of them if that was at this revision."""
        (revision,), last = self._one("SELECT revision FROM gallery"), self.last_observed()
        with explained(self.path):
            values.whole(revision, "the revision")
        return revision, last[1] if last is not None and last[0] == revision else None

    def last_observed(self) -> tuple[int, Observed] | None:
        """The revision at which the templates were last observed, and what was; None if never, or
        by an older facecli.
        """
        row = self._one(f"SELECT revision, {OBSERVED} FROM fit")
        with explained(self.path):
            found = None if row is None else _observed(row)
        return None if found is None or found[1].older else found

    def observe(self, kinds: FaceKinds = NO_KINDS) -> Observed | None:
        """Each reference among the other subjects: of a sample with a fixed seed, where many."""
        with self.snapshot():
            vectors, owners = self.some_vectors(sample_size(self.subject_count()))
            pairs = distinct_rows.held(self._db)
            return observe_blocks(vectors, owners, self.blocks(), pairs, kinds)

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
            draws = np.random.default_rng(0).integers(1, max(last, 1), most, endpoint=True)
            following = f"{ask} WHERE id >= ? ORDER BY id LIMIT 1"
            rows = [self._one(following, int(draw)) for draw in np.unique(draws)]
        once = sorted({row[0]: row for row in rows if row is not None}.values())
        with explained(self.path):
            owners = [values.whole(row[1], "a reference's subject", 1) for row in once]
        return self._matrix([row[2] for row in once]), np.array(owners, np.int64)

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
        with explained(self.path), self.snapshot():
            found = list(consistency.faults(self._db, self.dimension))
        self.calibrations(), self.last_observed(), self.seal()  # each looks at what it reads
        return found

    def gallery_id(self) -> str:
        """What names the file in receipts: random, 32 hex digits, the same in its copies."""
        row = self._one("SELECT gallery_id FROM custody")
        with explained(self.path):
            return values.text(row and row[0], "the gallery's id")

    def hashed(self, name: str) -> str:
        """A subject's name as the audit log has it."""
        with explained(self.path):
            return audit_log.hashed(self._db, name)

    def held(self, pieces: Collection[bytes]) -> set[bytes]:
        """Those of these bytes that stand in some row's template, name or path."""
        with explained(self.path):
            return deletion.held(self._db, pieces) if pieces else set()

    def _one(self, question: str, *asked: object) -> Any:
        with explained(self.path):
            return self._db.execute(question, asked).fetchone()

    def _all(self, question: str, *asked: object) -> list[Any]:
        with explained(self.path):
            return list(values.bounded(self._db.execute(question, asked), self.size))

    def _subjects(self, rows: Sequence[tuple[int, str, bytes]]) -> Subjects:
        with explained(self.path):
            ids = tuple(values.whole(r[0], "a subject's id", 1) for r in rows)
            names = tuple(values.text(r[1], "a subject's name") for r in rows)
        return Subjects(ids, names, self._matrix([r[2] for r in rows]))

    def _matrix(self, blobs: Sequence[bytes]) -> Float32:
        """(n, d) float32 of n stored unit vectors; read-only."""
        size = self.dimension * 4
        if any(type(blob) is not bytes or len(blob) != size for blob in blobs):
            self.require_same_embedder()
            raise self._no_template(f"has not {self.dimension} values")
        matrix = np.frombuffer(b"".join(blobs), np.float32).reshape(-1, self.dimension)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", matrix, matrix)
        if not (np.abs(squares - 1) <= UNIT).all():  # also where one is NaN
            raise self._no_template("is not a unit vector")
        return matrix

    def _no_template(self, why: str) -> GalleryError:
        return GalleryError(f"{self.path}: a template {why}: {DAMAGED}")


def _require_after(last: int, first: int, ascending: bool = True) -> None:
    """Raises Unsound where ids do not ascend: pages then lead to each other, without an end."""
    if not (ascending and first > last):
        raise values.Unsound(f"rows are out of order after {last}")


def _subject(row: Sequence[object]) -> SubjectRow:
    return SubjectRow(
        values.whole(row[0], "a subject's id", 1), values.text(row[1], "a subject's name"),
        values.whole(row[2], "a count"), values.text(row[3], "the day of an enrolment"),
    )  # fmt: skip


def _choice(row: Sequence[object]) -> CalibrationRow:
    """row: CHOICE."""
    basis, target, rate, threshold, scores, made_from, made_at, n = row
    return CalibrationRow(
        values.text(basis, "a threshold's basis"),
        values.text(target, "a threshold's target"),
        None if rate is None else values.real(rate, "a target rate"),
        None if threshold is None else values.real(threshold, "a threshold", -1, 1),
        values.optional_text(scores, "a threshold's scores"),
        values.text(made_from, "a threshold's origin"),
        values.text(made_at, "a threshold's day"),
        None if n is None else values.whole(n, "a threshold's number of people", 1),
    )


def _observed(row: Sequence[object]) -> tuple[int, Observed]:
    """row: its revision, then OBSERVED."""
    found = Observed(
        values.whole(row[1], "the number of people observed", 2),
        values.data(row[2], "the scores observed"),
    )
    if not (found.older or found.whole()):
        raise values.Unsound("the scores observed are not scores")
    return values.whole(row[0], "the revision observed"), found
