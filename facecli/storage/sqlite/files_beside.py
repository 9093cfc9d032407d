"""What lies beside a gallery file: its log, sidecars, drafts, copies, and unfinished work."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from facecli.common import atomic
from facecli.common.timestamp import now
from facecli.storage.keys import Key
from facecli.storage.search import sidecar
from facecli.storage.sqlite.connection import FileKind, connect, explained, kind_of, sql_errors

_WORK = ".re-embed-"
_LOGS = ("-wal", "-shm", "-journal")
_PATIENCE = 5000  # ms, for a re-embedding that just ends


def free_name(gallery: Path, what: str) -> Path:
    """A name beside the gallery, with `what` and the time in it, that nothing has yet."""
    stem = f"{gallery.name}.{what}-{now().replace(':', '')}"
    names = (gallery.with_name(stem + (f"-{i}" if i else "")) for i in range(1000))
    return next(name for name in names if not os.path.lexists(name))


def work_path(gallery: Path, model: str) -> Path:
    """Where the templates that `model` has made so far lie, until the gallery is moved to it."""
    return gallery.with_name(f"{gallery.name}{_WORK}{model}")


def works(gallery: Path, key: Key | None) -> dict[str, Path]:
    """Unfinished re-embeddings of the gallery, by model. A file is one by what it says it is."""
    start = work_path(gallery, "").name
    return {
        file.name.removeprefix(start): file
        for file in sorted(gallery.parent.iterdir())
        if file.name.startswith(start)
        and not file.is_symlink()
        and kind_of(file, key) is FileKind.WORK
    }


def grouping_path(gallery: Path) -> Path:
    """Where the faces that nobody named yet lie, with what was decided about them."""
    return gallery.with_name(f"{gallery.name}.groups")


def is_own(file: Path, gallery: Path) -> bool:
    """Whether it is the gallery, or a file that facecli or SQLite keep beside it."""
    return (file.parent == gallery.parent and file.name in _databases(gallery)) or (
        is_reserved(file, gallery) and sidecar.is_sidecar(file)
    )


def is_reserved(file: Path, gallery: Path) -> bool:
    """Whether it has the name of a file that facecli or SQLite keep beside a gallery, or its own.

    Only by their content is it told whether they are.
    """
    return file.parent == gallery.parent and (
        file.name in _databases(gallery)
        or file in {sidecar.path(gallery, kind) for kind in sidecar.ScanKind}
        or file.name.startswith(work_path(gallery, "").name)
    )


def _databases(gallery: Path) -> set[str]:
    """Names of the files that SQLite keeps for it."""
    return {one.name + end for one in (gallery, grouping_path(gallery)) for end in ("", *_LOGS)}


def other_names(gallery: Path) -> int:
    """How many names the file has besides this one: hard links."""
    with explained(gallery):
        return gallery.stat().st_nlink - 1


def discard_derived(gallery: Path, key: Key | None) -> None:
    """Delete what is derived from the gallery, and what killed programs left beside it.

    All of it is told by its content, and overwritten first.
    """
    with explained(gallery):
        sidecar.discard_sidecars(gallery)
        for work in works(gallery, key).values():
            discard_work(work, key)
        atomic.sweep(gallery.parent)


def discard_work(work: Path, key: Key | None) -> None:
    """Delete the work of a re-embedding. Raises GalleryError where that is under way."""
    with explained(work):
        try:
            # First its log becomes a part of it: without it the file would be damaged, should this
            # be killed in between, and then nothing would go on or delete it.
            with closing(connect(work, key)) as db:
                db.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
                db.execute("PRAGMA journal_mode = DELETE")
        except sql_errors() as error:
            if "locked" in str(error):  # to overwrite it would crash whoever has it open
                raise
        for end in ("-wal", "-journal"):
            atomic.erase(work.with_name(work.name + end))
        atomic.sync(work.parent)  # else a power cut could bring the log back, and not the work
        atomic.erase(work)
        atomic.sync(work.parent)
