"""A damaged gallery: mended in place after a copy, or what can be read written to a new file.

Nothing that can be read is destroyed. A file whose pages are damaged is not written to at all:
it is read id by id, by SQL on a read-only connection, around what cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.common.files import followed
from facecli.common.names import name_key
from facecli.common.types import FaceTemplate
from facecli.storage.keys import Key
from facecli.storage.records import CalibrationRow, NewReference
from facecli.storage.search import sidecar
from facecli.storage.sqlite import consistency, files_beside, reference_rows
from facecli.storage.sqlite.connection import (
    connect_to_read,
    explained,
    fill,
    present,
    sql_errors,
)
from facecli.storage.sqlite.consistency import Mended
from facecli.storage.sqlite.reader import CHOICE
from facecli.storage.sqlite.reference_rows import StoredReference
from facecli.storage.sqlite.store import GalleryFile

_SMALLEST = 512  # bytes: no row of `reference` is smaller, so a file holds no more of them
# Ids that are looked for one by one: for each row that fits into the file, and at least. They lie
# apart where many were removed.
_IDS_A_ROW, _FEWEST_IDS = 10, 50_000
Row = tuple[Any, ...]  # as SQLite gives it, of any type where its page is damaged


@dataclass(frozen=True, slots=True)
class Recovered:
    """What could be read of a damaged file, now in `path`. expected: references it once held.

    None where that cannot be read either. nameless: subjects whose names are lost.
    """

    path: Path
    subjects: int
    references: int
    expected: int | None
    nameless: int


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done. copy: the gallery as it was before; None where nothing was changed.

    mended: None where the pages are damaged, and then `recovered` tells what could be read.
    """

    copy: Path | None
    mended: Mended | None
    recovered: Recovered | None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with the gallery now."""
        return self.mended is not None and not self.mended.faults


def repair(
    path: Path, *, key: Key | None = None, drop_orphans: bool = False, dry_run: bool = False
) -> Repair:
    """Mend the gallery at `path`, or recover what can be read into a new file beside it.

    key: that of an encrypted one; what is recovered is encrypted, too. drop_orphans: delete
    references of nobody, and subjects without a reference. dry_run: change nothing, and recover
    nothing. Raises GalleryError when it is no gallery, or one of which nothing can be read.
    """
    path = followed(path)
    if not present(path, key):
        raise GalleryError(f"there is no gallery at {path}")
    try:
        with closing(GalleryFile.open(path, key)) as gallery:
            return _mended(gallery, drop_orphans, dry_run)
    except GalleryError as error:
        if not isinstance(error.__cause__, sql_errors()) or _is_passing(error):
            raise
        return Repair(None, None, _recover(path, key, dry_run))


def _is_passing(error: GalleryError) -> bool:
    """Whether it says that the file is in use or the disk full, not that it is damaged."""
    return any(word in str(error) for word in ("locked", "busy", "readonly", "full", "disk I/O"))


def _mended(gallery: GalleryFile, drop_orphans: bool, dry_run: bool) -> Repair:
    if gallery.key is not None:
        # It raises at a damaged page; writing to one, SQLCipher says "read-only".
        gallery.reader.check()
    if dry_run:
        with gallery.rehearsal():
            return Repair(None, gallery.mend(drop_orphans), None)
    copy = gallery.copy_beside("before-repair")
    try:
        with explained(gallery.path):
            sidecar.discard_sidecars(gallery.path)
        mended = gallery.mend(drop_orphans)
    except BaseException:
        atomic.erase(copy)
        raise
    return Repair(copy, mended, None)


# what can be read ----------------------------------------------------------------------------


def _recover(path: Path, key: Key | None, dry_run: bool) -> Recovered:
    with explained(path):
        unreadable: tuple[type[Exception], ...] = (*sql_errors(), TypeError)
        try:
            with closing(connect_to_read(path, key)) as db:
                embedder_id, dimension = db.execute(
                    "SELECT embedder_id, dimension FROM gallery"
                ).fetchone()
        except unreadable as error:
            raise GalleryError(
                f"{path} is damaged where it says what it is, so nothing can be read: use a backup"
            ) from error
        names = {row[0]: row[1] for row in _rows(path, key, "subject", "id, name")
                 if isinstance(row[1], str)}  # fmt: skip
        stored = map(StoredReference._make, _rows(path, key, "reference", reference_rows.COLUMNS))
        rows = [row for row in stored if _sound(row, dimension)]
        pairs = list(_rows(path, key, "distinct_pair", "first_id, second_id, ended_by"))
        choices = list(_rows(path, key, "calibration", CHOICE))
        expected = _count(path, key)
    new = [_reference(row, _called(names, row.subject_id), embedder_id) for row in rows]
    target = files_beside.free_name(path, "recovered")
    if not dry_run:
        # Whole or not at all: a part of it would look like all that could be read.
        with explained(target), atomic.draft(target) as draft:
            fill(draft, embedder_id, dimension, key)
            with closing(GalleryFile.open(draft, key)) as recovered:
                recovered.add(new)
                there = {row.subject_id for row in rows}
                for one, other, ended_by in pairs:
                    first, second = (_called(names, number) for number in (one, other))
                    # Names may be damaged, too: of two alike nothing can be said, and all else is
                    # worth more than what could.
                    if ended_by is None and {one, other} <= there and not _alike(first, second):
                        recovered.distinct(first, second)
                for row in choices:
                    recovered.calibrate(CalibrationRow(*row))
            atomic.place(draft, target)
    people = {row.subject_id for row in rows}
    return Recovered(target, len(people), len(rows), expected, len(people - names.keys()))


def _rows(path: Path, key: Key | None, table: str, columns: str) -> Iterator[Row]:
    """Every row that can be read, one by one: a scan stops at a damaged page without a word.

    Only rows whose ids lie far above what the file can hold are scanned for.
    """
    fitting = path.stat().st_size // _SMALLEST
    most = _IDS_A_ROW * fitting + _FEWEST_IDS
    last = max(fitting, min(_last_id(path, key, table), most))
    there = False
    db = connect_to_read(path, key)
    try:
        with suppress(*sql_errors()):
            db.execute(f"SELECT {columns} FROM {table} LIMIT 0")
            there = True
        if not there:  # a gallery of before there was this table
            return
        for number in range(1, last + 1):
            try:
                rows = db.execute(f"SELECT {columns} FROM {table} WHERE id = ?", (number,))
                row = rows.fetchone()
            except sql_errors():
                if key is not None:  # SQLCipher answers nothing more after a damaged page
                    db.close()
                    db = connect_to_read(path, key)
                continue
            if row is not None:
                yield row
        with suppress(*sql_errors()):
            above = db.execute(f"SELECT {columns} FROM {table} WHERE id > ? ORDER BY id", (last,))
            yield from islice(above, fitting)
    finally:
        db.close()


def _last_id(path: Path, key: Key | None, table: str) -> int:
    """The highest id that was ever given; 0 where that cannot be read, and a lie where it can."""
    with suppress(*sql_errors()), closing(connect_to_read(path, key)) as db:
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        return row[0] if row and type(row[0]) is int else 0
    return 0


def _count(path: Path, key: Key | None) -> int | None:
    with suppress(*sql_errors()), closing(connect_to_read(path, key)) as db:
        return int(db.execute("SELECT count(*) FROM reference").fetchone()[0])
    return None


def _sound(row: StoredReference, dimension: int) -> bool:
    """Whether a row that SQLite could read holds a face: a damaged page may give anything."""
    numbers = (row.x1, row.y1, row.x2, row.y2, row.detection_score, row.quality)
    return (
        consistency.vector(row.vector, dimension) is not None
        and isinstance(row.landmarks, bytes)
        and len(row.landmarks) == 40
        and bool(np.isfinite(np.frombuffer(row.landmarks, np.float32)).all())
        and all(isinstance(number, float) for number in numbers)
        and isinstance(row.photo_sha256, str)
        and isinstance(row.face, int)
        and isinstance(row.path, str)
    )


def _called(names: Mapping[int, str], subject_id: int) -> str:
    return names.get(subject_id) or f"recovered subject {subject_id}"


def _alike(first: str, second: str) -> bool:
    return name_key(first) == name_key(second)


def _reference(row: StoredReference, name: str, embedder_id: str) -> NewReference:
    return NewReference(
        name, FaceTemplate(*row.found(embedder_id)), row.photo_sha256, row.face, row.path
    )
