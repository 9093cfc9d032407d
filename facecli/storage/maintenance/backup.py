"""A copy of a gallery while it is in use: one moment of it, whole, checked, for its owner only.

The grouping beside it is copied, too, and lies beside the copy: who puts the copy in the gallery's
place puts that in its grouping's.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from facecli.common import outputs
from facecli.common.errors import GalleryError, UsageError
from facecli.storage.keys import Key
from facecli.storage.records import Seal
from facecli.storage.sqlite import grouping_life
from facecli.storage.sqlite.connection import (
    connect,
    connect_to_still,
    explained,
    require_no_log,
    sql_errors,
)
from facecli.storage.sqlite.files_beside import grouping_path
from facecli.storage.sqlite.store import GalleryFile


def backup(gallery: GalleryFile, path: Path, *, replace: bool = False) -> tuple[Path, ...]:
    """Copy the gallery as it is now to `path`, 0600; returns the files written.

    These are `path` and, where photos were grouped for the gallery, the grouping's copy beside it.
    Others may read and write meanwhile. Each copy is written beside its place, its integrity
    checked, and moved there whole; what can be undone is in it, too. replace: an earlier backup of
    this gallery, or text. Raises UsageError when something else is there, OutputError or
    GalleryError where a copy cannot be written or is damaged; then neither is there.
    """
    if path.exists() and path.samefile(gallery.path):
        raise UsageError(f"{path} is the gallery itself: name another file for the backup")
    require_no_log(path)
    judged = partial(_kept, gallery)
    with outputs.draft(path, force=replace, kept=judged) as draft, explained(path):
        gallery.copy_to(draft, path)
        _check(draft, gallery.key, path)
        own, copied = grouping_path(gallery.path), grouping_path(path)
        if not own.exists():
            return (path,)
        _backup_grouping(own, gallery.key, copied, replace)
    return path, copied


def _backup_grouping(own: Path, key: Key | None, path: Path, replace: bool) -> None:
    require_no_log(path)
    judged = partial(_kept_grouping, own, key)
    with outputs.draft(path, force=replace, kept=judged) as draft, explained(path):
        grouping_life.copy(own, key, draft, path)
        _check(draft, key, path)


def _kept_grouping(own: Path, key: Key | None, path: Path) -> str:
    """What is at `path`, unless it is text or the grouping `own` as it was once."""
    if not outputs.unless_text(path):
        return ""
    unknown: tuple[type[Exception], ...] = (GalleryError, TypeError, *sql_errors())
    try:
        with closing(connect_to_still(path, key)) as there, closing(connect(own, key)) as db:
            grouping_life.recognise(path, there)
            ours = grouping_life.was_once(db, there)
    except unknown:
        return "no backup of this gallery's groups"
    return "" if ours else "groups that were changed there, or with people who were purged since"


def _kept(gallery: GalleryFile, path: Path) -> str:
    """What is at `path`, unless it is text or the gallery itself as it was once."""
    if not outputs.unless_text(path):
        return ""
    unknown: tuple[type[Exception], ...] = (GalleryError, TypeError, *sql_errors())  # no such row
    try:
        with closing(connect_to_still(path, gallery.key)) as db:
            ours = _was_once(gallery, db)
    except unknown:
        return "no backup of this gallery"
    return "" if ours else "another gallery, or this one with people who were purged since"


def _was_once(gallery: GalleryFile, db: sqlite3.Connection) -> bool:
    """Whether all templates in `db` were the gallery's at some time since the last purge."""
    (name,) = db.execute("SELECT gallery_id FROM custody").fetchone()
    revision, token = db.execute(
        "SELECT g.revision, r.token FROM gallery g LEFT JOIN revision r ON r.id = g.revision"
    ).fetchone()
    if name != gallery.reader.gallery_id():
        return False
    if token is None:  # a purge forgets them, and nothing has changed since
        return bool(revision <= gallery.reader.seal().revision)
    return gallery.reader.has_seal(Seal(revision, token))


def _check(draft: Path, key: Key | None, path: Path) -> None:
    with closing(connect(draft, key)) as db:
        faults = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    if faults:
        raise GalleryError(
            f"nothing was written to {path}: the gallery is damaged ({faults[0]}); see "
            "`facecli gallery check --repair`"
        )
