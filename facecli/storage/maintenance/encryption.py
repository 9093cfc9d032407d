"""A gallery encrypted, decrypted, or given another key: written anew, then put in the old's place.

The old file stays in its place until the new one is whole, checked, and on the disk under its name;
then its bytes are overwritten. Killed in between, the next command that opens the gallery ends it.
What an SSD or a copy-on-write file system keeps of them, no program can reach.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.common.files import followed
from facecli.storage.keys import Key
from facecli.storage.sqlite import erasure_check, files_beside, sqlcipher
from facecli.storage.sqlite.byte_search import Needles, pieces
from facecli.storage.sqlite.connection import explained, give_log_back, present, sql_errors
from facecli.storage.sqlite.files_beside import grouping_path
from facecli.storage.sqlite.store import GalleryFile

_SECONDS = 5.0  # to wait for programs that have the gallery open
_SOUGHT = 20_000  # references whose traces are looked for in other files


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was done. references: in the gallery as it is now; overwritten: the old file's bytes.

    readable: files in its folder, other than the gallery, that hold some of its templates or paths
    in the clear. other_names: hard links to the old file, anywhere, which hold it as it was: it was
    not overwritten then.
    """

    references: int
    overwritten: int
    readable: tuple[Path, ...]
    other_names: int = 0


def convert(path: Path, old: Key | None, new: Key | None, *, dry_run: bool = False) -> Sealed:
    """Write the gallery anew under another key, or none, and overwrite the old file.

    Nobody may have it open, in this process either. What is derived from it goes, too: it would be
    readable, or not, like the old file. dry_run: only see whether it could be.
    Raises GalleryError, all as it was, where somebody has it open, where `old` is not its key,
    where it is damaged, and where there is no room; also where it is done already, and nothing was
    left to end.
    """
    path = followed(path)
    left = atomic.sweep(path.parent)  # what a conversion that was killed left: the old file, or
    if left:  # the new one, and the old without its log
        give_log_back(path, old)
    if _opens(path, new):
        if not left:
            done = "encrypted with this key" if new else "readable"
            raise GalleryError(f"{path} is {done} already")
        return _found(path, new, left, 0)
    if not present(path, old):
        raise GalleryError(f"there is no gallery at {path}")
    with closing(GalleryFile.open(path, old)) as gallery:  # brought up to date, and its key tried
        references = gallery.reader.counts()[1]
    others = files_beside.other_names(path)
    if dry_run:
        return Sealed(references, 0, (), others)
    with explained(path), atomic.draft(path) as draft, closing(_alone(path, old)) as db:
        try:
            sqlcipher.copy_under(db, draft, new)
            _check(db, draft, new)
            # Before the swap: afterwards nobody would look for them.
            files_beside.discard_derived(path, old)
            _convert_grouping(path, old, new)
            _end_log(db, draft)
        except BaseException:
            with suppress(*sql_errors()):
                db.execute("PRAGMA journal_mode = WAL")
            raise
        if sys.platform == "win32":  # which does not let an open file be replaced
            db.close()
        # The lock is held until then: a program that waits for it finds an empty file, and cannot
        # write where nobody would ever read.
        overwritten = atomic.place(draft, path, replace=True, overwrite=True)
    return _found(path, new, overwritten, others)


def _convert_grouping(gallery: Path, old: Key | None, new: Key | None) -> None:
    """The same of the grouping beside it, first: a call that was cut short finds it done."""
    grouping = grouping_path(gallery)
    if not grouping.exists():
        return
    with suppress(GalleryError):
        sqlcipher.connect(grouping, "", new, _SECONDS).close()
        return
    with atomic.draft(grouping) as draft, closing(_alone(grouping, old)) as db:
        sqlcipher.copy_under(db, draft, new)
        _end_log(db, draft)
        if sys.platform == "win32":
            db.close()
        atomic.place(draft, grouping, replace=True, overwrite=True)


def _found(path: Path, key: Key | None, overwritten: int, others: int) -> Sealed:
    """What is there now."""
    with closing(GalleryFile.open(path, key)) as gallery:
        readable = _readable(gallery)
        return Sealed(gallery.reader.counts()[1], overwritten, readable, others)


def _opens(path: Path, key: Key | None) -> bool:
    try:
        if there := present(path, key):
            GalleryFile.open(path, key).close()
        return there
    except GalleryError:
        return False


def _alone(path: Path, key: Key | None) -> sqlite3.Connection:
    """A connection that nobody else's can be open beside."""
    db = sqlcipher.connect(path, "", key, _SECONDS)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")  # refused while somebody has it open
        db.execute("COMMIT")  # the lock stays
    except BaseException:
        db.close()
        raise
    return db


def _end_log(db: sqlite3.Connection, draft: Path) -> None:
    """Leave no log but the file itself: SQLite would take it for that of the file that comes.

    Last, and once the draft is on the disk: where this is killed before the swap, it is the draft
    that tells the next command to give the gallery its log back.
    """
    atomic.sync(draft)
    atomic.sync(draft.parent)
    db.execute("PRAGMA journal_mode = DELETE")
    atomic.sync(draft.parent.parent)  # else a cut brings the log back, beside the new file


def _check(db: sqlite3.Connection, draft: Path, key: Key | None) -> None:
    """Raise GalleryError unless the draft is sound, and holds as many references as the old."""
    ask = "SELECT count(*) FROM reference"
    with closing(sqlcipher.connect(draft, "", key, _SECONDS)) as made:
        faults = [row[0] for row in made.execute("PRAGMA integrity_check") if row[0] != "ok"]
        counts = [int(each.execute(ask).fetchone()[0]) for each in (db, made)]
    if faults or counts[0] != counts[1]:
        raise GalleryError(f"nothing was changed: the copy is not sound ({faults or counts})")


def _readable(gallery: GalleryFile) -> tuple[Path, ...]:
    """Other files in the folder that hold templates or paths of the gallery in the clear."""
    sought: set[bytes] = set()
    for row in islice(gallery.reader.references(), _SOUGHT):
        sought.update(pieces(row.template.vector.tobytes()))
        sought.add(row.path.encode())
    found = erasure_check.search_files(gallery.path, Needles(sought))
    return tuple(
        file for file in found if found[file] and not files_beside.is_own(file, gallery.path)
    )
