"""A gallery encrypted, decrypted, or given another key: written anew, then put in the old's place.

The old file stays in its place until the new one is whole and checked; then its bytes are
overwritten. What an SSD or a copy-on-write file system keeps of them, no program can reach.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.storage.keys import Key
from facecli.storage.search import sidecar
from facecli.storage.sqlite import erasure_check, sqlcipher
from facecli.storage.sqlite.byte_search import Needles, pieces
from facecli.storage.sqlite.connection import explained, present
from facecli.storage.sqlite.files_beside import grouping_path, is_own
from facecli.storage.sqlite.store import GalleryFile

_SECONDS = 5.0  # to wait for programs that have the gallery open
_BLOCK = bytes(1 << 20)
_SOUGHT = 20_000  # references whose traces are looked for in other files


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was done. references: in the gallery as it is now; overwritten: the old file's bytes.

    readable: files in its folder, other than the gallery, that hold some of its templates or paths
    in the clear.
    """

    references: int
    overwritten: int
    readable: tuple[Path, ...]


def convert(path: Path, old: Key | None, new: Key | None, *, dry_run: bool = False) -> Sealed:
    """Write the gallery anew under another key, or none, and overwrite the old file.

    Nobody may have it open, in this process either. dry_run: only see whether it could be.
    Raises GalleryError, all as it was, where somebody has it open, where `old` is not its key,
    where it is damaged, and where there is no room.
    """
    atomic.sweep(path.parent)  # the old file of a conversion that was killed
    if _opens(path, new):
        raise GalleryError(f"{path} is {'encrypted with this key' if new else 'readable'} already")
    if not present(path, old):
        raise GalleryError(f"there is no gallery at {path}")
    with closing(GalleryFile.open(path, old)) as gallery:  # brought up to date, and its key tried
        references = gallery.reader.counts()[1]
    if dry_run:
        return Sealed(references, 0, ())
    with explained(path):
        with atomic.draft(path) as draft, closing(_alone(path, old)) as db:
            sqlcipher.copy_under(db, draft, new)
            count = _check(db, draft, new)
            overwritten = _swap(db, draft, path)
        sidecar.discard_sidecars(path)
        if (grouping := grouping_path(path)).exists():
            with atomic.draft(grouping) as draft, closing(_alone(grouping, old)) as db:
                sqlcipher.copy_under(db, draft, new)
                overwritten += _swap(db, draft, grouping)
    with closing(GalleryFile.open(path, new)) as gallery:
        return Sealed(count, overwritten, _readable(gallery))


def _opens(path: Path, key: Key | None) -> bool:
    try:
        if there := present(path, key):
            GalleryFile.open(path, key).close()
        return there
    except GalleryError:
        return False


def _alone(path: Path, key: Key | None) -> sqlite3.Connection:
    """A connection that nobody else's can be open beside, with no log but the file itself."""
    db = sqlcipher.connect(path, "", key, _SECONDS)
    try:
        db.execute("PRAGMA journal_mode = DELETE")  # refused while somebody has it open
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")  # the lock stays
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, draft: Path, key: Key | None) -> int:
    """How many references the draft holds: as many as the old file, or GalleryError is raised."""
    ask = "SELECT count(*) FROM reference"
    with closing(sqlcipher.connect(draft, "", key, _SECONDS)) as made:
        faults = [row[0] for row in made.execute("PRAGMA integrity_check") if row[0] != "ok"]
        counts = [int(each.execute(ask).fetchone()[0]) for each in (db, made)]
    if faults or counts[0] != counts[1]:
        raise GalleryError(f"nothing was changed: the copy is not sound ({faults or counts})")
    return counts[0]


def _swap(db: sqlite3.Connection, draft: Path, path: Path) -> int:
    """Put the draft in place, and overwrite the old file while its lock is still held.

    A program that waits for that lock finds an empty file then, and cannot write where nobody
    would ever read. Windows does not let an open file be replaced, nor this be done.
    """
    old = draft.with_name("old")
    if sys.platform == "win32":
        db.close()
        path.replace(old)
        atomic.place(draft, path)
        return _overwrite(old)
    try:
        os.link(path, old)
    except OSError:  # a file system without hard links: then its place on disk is not known
        atomic.place(draft, path, replace=True)
        return 0
    atomic.place(draft, path, replace=True)
    return _overwrite(old)


def _overwrite(path: Path) -> int:
    with path.open("r+b") as file:
        size = left = os.fstat(file.fileno()).st_size
        while left:
            left -= file.write(_BLOCK[:left])
        file.flush()
        os.fsync(file.fileno())
        file.truncate(0)
    return size


def _readable(gallery: GalleryFile) -> tuple[Path, ...]:
    """Other files in the folder that hold templates or paths of the gallery in the clear."""
    sought: set[bytes] = set()
    for row in islice(gallery.reader.references(), _SOUGHT):
        sought.update(pieces(row.template.vector.tobytes()))
        sought.add(row.path.encode())
    found = erasure_check.search_files(gallery.path, Needles(sought))
    return tuple(file for file in found if found[file] and not is_own(file, gallery.path))
