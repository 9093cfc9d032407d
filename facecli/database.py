"""The gallery file itself: made, recognised, opened, and its errors in one clear line."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from facecli.errors import GalleryError

APPLICATION_ID = 0x66616365  # "face"
SCHEMA_VERSION = 4
PAGE_SIZE = 16384  # a 512-d row wastes half of a 4 KB page
BUSY_SECONDS = 60.0
_ELSEWHERE = "name another file with --gallery"


def now() -> str:
    """The time, ISO 8601 UTC with seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def connect(path: Path) -> sqlite3.Connection:
    """Open the file; what is deleted there is overwritten."""
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA secure_delete = ON")
    return db


def present(path: Path) -> bool:
    """Whether a gallery file lies there, told by its first bytes: other files are not touched.

    Raises GalleryError for anything else at `path`, or where one may not look.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        raise GalleryError(f"{path} is a folder: give --gallery the name of a file") from None
    except OSError as error:
        raise GalleryError(f"{path}: {error.strerror}: {_ELSEWHERE}") from error
    # SQLite's file format, 1.3: a magic string, and the application id at offset 68.
    if header[:16] != b"SQLite format 3\0" or header[68:72] != APPLICATION_ID.to_bytes(4, "big"):
        raise GalleryError(f"{path} is not a facecli gallery: {_ELSEWHERE}")
    return True


def recognise(path: Path, db: sqlite3.Connection) -> None:
    """Bring an older gallery up to date. Raises GalleryError for one of a newer facecli."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise GalleryError(
            f"{path} was made by a newer facecli (schema {version}; this one knows "
            f"{SCHEMA_VERSION}): upgrade facecli"
        )
    if version < SCHEMA_VERSION:
        _migrate(db)


def make(path: Path, embedder_id: str, dimension: int) -> None:
    """Write an empty gallery beside `path` and move it there whole, unless one is there by then."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    os.close(handle)
    draft = Path(name)
    try:
        db = connect(draft)
        db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        _migrate(db)
        db.execute(
            "INSERT INTO gallery (id, embedder_id, dimension, created_at) VALUES (1, ?, ?, ?)",
            (embedder_id, dimension, now()),
        )
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA journal_mode = WAL")
        db.close()
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def _migrate(db: sqlite3.Connection) -> None:
    from facecli.schema import migrate  # sqlite-utils costs 0.2 s; searching does not need it

    db.execute("BEGIN IMMEDIATE")  # of two processes the second finds it done
    try:
        migrate(db)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        db.rollback()
        raise
    db.commit()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into one clear line."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            advice = "another program is writing to it; try again when it is done"
        elif "readonly" in text or "unable to open" in text:
            advice = "check that you may write to the file and its folder"
        elif "full" in text:
            advice = "free some disk space; what was stored before is safe"
        elif "disk I/O" in text:  # what a full disk says first, when there is no room for the log
            advice = "the disk may be full or failing; free some space and try again"
        else:
            advice = "the file is damaged; `facecli gallery check` tells more, or use a copy"
        raise GalleryError(f"{path}: {text}: {advice}") from error
    except OSError as error:
        raise GalleryError(f"{path}: {error.strerror or error}: {_ELSEWHERE}") from error
