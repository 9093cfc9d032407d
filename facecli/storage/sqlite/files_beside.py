"""What lies beside a gallery file: its log, sidecars, drafts, copies, and unfinished work."""

from __future__ import annotations

import glob
from pathlib import Path

from facecli.common import atomic
from facecli.common.timestamp import now
from facecli.storage.search import sidecar
from facecli.storage.sqlite.connection import explained

_WORK = ".re-embed-"
_LOGS = ("-wal", "-shm", "-journal")


def free_name(gallery: Path, what: str) -> Path:
    """A name beside the gallery, with `what` and the time in it, that nothing has yet."""
    stem = f"{gallery.name}.{what}-{now().replace(':', '')}"
    names = (gallery.with_name(stem + (f"-{i}" if i else "")) for i in range(1000))
    return next(name for name in names if not name.exists())


def work_path(gallery: Path, model: str) -> Path:
    """Where the templates that `model` has made so far lie, until the gallery is moved to it."""
    return gallery.with_name(f"{gallery.name}{_WORK}{model}")


def grouping_path(gallery: Path) -> Path:
    """Where the faces that nobody named yet lie, with what was decided about them."""
    return gallery.with_name(f"{gallery.name}.groups")


def is_own(file: Path, gallery: Path) -> bool:
    """Whether it is the gallery, or a file that facecli or SQLite keep beside it."""
    databases = gallery, grouping_path(gallery)
    return (
        file in databases
        or file.name.startswith(f".{gallery.name}.")
        or file.name in {database.name + end for database in databases for end in _LOGS}
        or file in {sidecar.path(gallery, kind) for kind in sidecar.ScanKind}
    )


def discard_derived(gallery: Path) -> None:
    """Delete what is derived from the gallery, and what killed programs left beside it."""
    with explained(gallery):
        sidecar.discard_sidecars(gallery)
        for file in list(gallery.parent.iterdir()):
            if file.name.startswith(gallery.name + _WORK):
                file.unlink()
        atomic.sweep(gallery.parent)
        for draft in gallery.parent.glob(f".{glob.escape(gallery.name)}.*"):
            if not draft.is_dir():  # one that somebody is writing
                draft.unlink(missing_ok=True)
