"""A copy of a gallery while it is in use: one moment of it, whole, checked, for its owner only."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.storage.sqlite.connection import connect, explained
from facecli.storage.sqlite.store import Store


def backup(store: Store, path: Path, *, replace: bool = False) -> int:
    """Copy the gallery as it is now to `path`, 0600; returns the copy's size in bytes.

    Others may read and write meanwhile. The copy is written beside `path`, its integrity checked,
    and moved there whole; what can be undone is in it, too. Raises GalleryError when there is a
    file already (unless `replace`), or where the copy cannot be written or is damaged.
    """
    if path.exists() and path.samefile(store.path):
        raise GalleryError(f"{path} is the gallery itself: name another file for the backup")
    if path.exists() and not replace:
        raise _there(path)
    with explained(path):
        atomic.sweep(path.parent)
        with atomic.draft(path) as draft:
            draft.touch(0o600)
            store.copy_to(draft)
            _check(store, draft, path)
            size = draft.stat().st_size
            _move(draft, path, replace)
    return size


def _check(store: Store, draft: Path, path: Path) -> None:
    with closing(connect(draft, store.key)) as db:
        faults = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    if faults:
        raise GalleryError(
            f"nothing was written to {path}: the gallery is damaged ({faults[0]}); see "
            "`facecli gallery check --repair`"
        )
    with draft.open("rb") as file:
        os.fsync(file.fileno())


def _move(draft: Path, path: Path, replace: bool) -> None:
    if replace:
        draft.replace(path)
        return
    try:
        atomic.place(draft, path)
    except FileExistsError:
        raise _there(path) from None


def _there(path: Path) -> GalleryError:
    return GalleryError(f"{path} is there already: name another file, or replace it with --force")
