"""A copy of a gallery while it is in use: one moment of it, whole, checked, for its owner only."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.storage.keys import Key
from facecli.storage.sqlite.connection import connect, explained
from facecli.storage.sqlite.store import GalleryFile


def backup(gallery: GalleryFile, path: Path, *, replace: bool = False) -> int:
    """Copy the gallery as it is now to `path`, 0600; returns the copy's size in bytes.

    Others may read and write meanwhile. The copy is written beside `path`, its integrity checked,
    and moved there whole; what can be undone is in it, too. Raises GalleryError when there is a
    file already (unless `replace`), or where the copy cannot be written or is damaged.
    """
    if path.exists() and path.samefile(gallery.path):
        raise GalleryError(f"{path} is the gallery itself: name another file for the backup")
    if path.exists() and not replace:
        raise _there(path)
    with explained(path):
        atomic.sweep(path.parent)
        with atomic.draft(path) as draft:
            gallery.copy_to(draft)
            _check(draft, gallery.key, path)
            size = draft.stat().st_size
            try:
                atomic.place(draft, path, replace=replace)
            except FileExistsError:
                raise _there(path) from None
    return size


def _check(draft: Path, key: Key | None, path: Path) -> None:
    with closing(connect(draft, key)) as db:
        faults = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    if faults:
        raise GalleryError(
            f"nothing was written to {path}: the gallery is damaged ({faults[0]}); see "
            "`facecli gallery check --repair`"
        )


def _there(path: Path) -> GalleryError:
    return GalleryError(f"{path} is there already: name another file, or replace it with --force")
