"""The gallery file itself: made, recognised, opened, and its errors in one clear line."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from enum import IntEnum
from pathlib import Path

from facecli.common.atomic import draft, place
from facecli.common.errors import GalleryError, MisuseError, OutputError, UsageError
from facecli.common.files import regular
from facecli.common.timestamp import now
from facecli.common.waiting import said
from facecli.storage.keys import Key
from facecli.storage.sqlite import guard, schema, values

APPLICATION_ID = 0x66616365  # "face"
SCHEMA_VERSION = schema.VERSION
PAGE_SIZE = 16384  # a 512-d row wastes half of a 4 KB page
BUSY_SECONDS = 60.0
_ANY_SIZE = 1 << 62
_ELSEWHERE = "name another file with --gallery"
DAMAGED = "the file is damaged; `facecli gallery check` tells more, or use a copy"
_UNFINISHED = (
    "a read or a write of it is not finished: end its `with` block, or read to the end or close "
    "what it yields, before this"
)
# What SQLite and its Python module say of wrong use, by a part of it.
_MISTAKES = {
    "closed database": "it was closed: open the gallery again",
    "same thread": "it was opened in another thread: open the gallery in the thread that uses it",
    "within a transaction": _UNFINISHED,
    "SQL statements in progress": _UNFINISHED,
    "table is locked": _UNFINISHED,  # by the same connection; others lock the "database"
}


class FileKind(IntEnum):
    """What the file is, said by its application id, so that it is said from its first moment.

    COPY: one that `gallery copy` has begun. WORK: the templates that a re-embedding has made so
    far. Neither is used as a gallery: each looks like a whole one.
    """

    GALLERY = APPLICATION_ID
    COPY = 0x66616363  # "facc"
    WORK = 0x66616377  # "facw"


_OTHERWISE = {
    FileKind.GALLERY: "it is a gallery: move it away",
    FileKind.COPY: "it is a copy that was not finished: run the same `facecli gallery copy` again, "
    "which goes on, or delete it",
    FileKind.WORK: "it is the work of a re-embedding that was not finished: run the same "
    "`facecli gallery re-embed` again, which goes on, or delete it",
}

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]
"""A gallery's: all that is written inside, or nothing."""


def connect(path: Path, key: Key | None = None) -> sqlite3.Connection:
    """Open the file; what is deleted there is overwritten. key: that of an encrypted one.

    Where it may only be read it is opened so, and where programs cannot share memory, as on some
    network drives, its log is changed for one that does without. Raises GalleryError where it may
    only be read and a writer's log beside it is not finished, or where the key does not fit.
    """
    db = _connect(path, key)
    try:
        with waiting(path):
            db.execute("PRAGMA schema_version").fetchone()  # the first look needs the log's files
    except sql_errors() as error:
        db.close()
        name = getattr(error, "sqlite_errorname", "")
        if not name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise
        db = _connect_without_log(path, key)
    _make_durable(db)
    return db


def _make_durable(db: sqlite3.Connection) -> None:
    """What is committed is on the disk: said here, because defaults differ from build to build."""
    # EXTRA is FULL, and without a write-ahead log the folder, too: else a power cut can bring the
    # journal back, which takes back what was committed.
    for setting in ("synchronous = EXTRA", "fullfsync = ON"):  # the latter is macOS's
        try:
            db.execute(f"PRAGMA {setting}")
        except BaseException:
            db.close()
            raise


def connect_to_read(path: Path, key: Key | None = None) -> sqlite3.Connection:
    """Open the file so that nothing can be written to it."""
    return _connect(path, key, "?mode=ro")


def connect_to_still(path: Path, key: Key | None = None) -> sqlite3.Connection:
    """The same where nobody writes to it, as to a backup: nothing is made beside it."""
    return _connect(path, key, "?immutable=1")


def require_no_log(path: Path) -> None:
    """Raises UsageError where a writer's log lies beside the place of a new file.

    SQLite would take it for the new file's own.
    """
    for end in ("-wal", "-journal"):
        log = path.with_name(path.name + end)
        if log.exists() and log.stat().st_size:
            raise UsageError(f"{log} is there, a log of changes to a gallery: name another file")


def sql_errors() -> tuple[type[Exception], ...]:
    """What SQLite raises, and SQLCipher where it is in use: its classes are its own, and of some
    damaged pages it says that there is no memory. Where a schema holds bytes that are no text, what
    SQLite says of it is none, and Python cannot read it.
    """
    sqlcipher = sys.modules.get("sqlcipher3.dbapi2")
    own = (sqlcipher.DatabaseError, MemoryError) if sqlcipher else ()
    return (sqlite3.DatabaseError, UnicodeDecodeError, *own)


def _connect(path: Path, key: Key | None, options: str = "") -> sqlite3.Connection:
    if key is None:
        # isolation_level None: Python would begin transactions by itself, and `store` says when.
        where = path.absolute().as_uri() + options
        db = sqlite3.connect(
            where, timeout=BUSY_SECONDS, isolation_level=None, uri=True,
            factory=guard.guarded(sqlite3.Connection),
        )  # fmt: skip
        guard.attach(db, path)
    else:
        from facecli.storage.sqlite import sqlcipher

        db = sqlcipher.connect(path, options, key, BUSY_SECONDS)
    db.execute("PRAGMA foreign_keys = ON")  # off in SQLite, for each connection anew
    # Said here, because its default differs from build to build; FAST and OFF leave the bytes of
    # deleted templates in free pages.
    db.execute("PRAGMA secure_delete = ON")
    return db


def _connect_without_log(path: Path, key: Key | None) -> sqlite3.Connection:
    """Where the files of a write-ahead log cannot be made beside `path`."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        with closing(_connect(path, key)) as alone:
            alone.execute("PRAGMA locking_mode = EXCLUSIVE")  # then memory need not be shared
            alone.execute("PRAGMA journal_mode = DELETE")
        return _connect(path, key)
    logs = [path.with_name(path.name + end) for end in ("-wal", "-journal")]
    if any(log.exists() and log.stat().st_size for log in logs):
        raise GalleryError(
            f"{path}: a writer's last changes are still in {path.name}-wal or -journal, and here "
            "they cannot be put in their place: copy these files to a folder where you may write"
        )
    # SQLite then asks for neither a lock nor memory to share, which cannot be made here.
    return _connect(path, key, "?immutable=1")


def give_log_back(path: Path, key: Key | None) -> None:
    """Let a gallery be read again while it is written to, where a conversion that was killed had
    made it one without a log. Where there can be none, `connect` sees that.
    """
    with suppress(GalleryError, *sql_errors()), closing(_connect(path, key)) as db:
        db.execute("PRAGMA busy_timeout = 0")  # who has it open meanwhile keeps it as it is
        db.execute("PRAGMA journal_mode = WAL")


def present(path: Path, key: Key | None = None) -> bool:
    """Whether a gallery file lies there, told by its first bytes: other files are not touched.

    An encrypted one looks like noise: with a key it is left to `connect` to tell. Raises
    GalleryError for anything else at `path`, or where one may not look.
    """
    try:
        with regular(path, _ANY_SIZE).open("rb") as file:
            header, size = file.read(100), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        raise GalleryError(f"{path} is a folder: give --gallery the name of a file") from None
    except OSError as error:
        raise GalleryError(f"{path}: {error.strerror}: {_ELSEWHERE}") from error
    if _kind(header) is not None:
        if key is not None:
            raise GalleryError(
                f"{path} is not encrypted, and a key was given: leave --key-file out, or encrypt "
                "it with `facecli gallery encrypt`"
            )
        return True
    noise = size > 0 and size % PAGE_SIZE == 0 and header[:16] != b"SQLite format 3\0"
    if noise and key is None:
        raise GalleryError(
            f"{path} is not a facecli gallery, or it is an encrypted one: give its key with "
            f"--key-file, or {_ELSEWHERE}"
        )
    if not noise:
        raise GalleryError(f"{path} is not a facecli gallery: {_ELSEWHERE}")
    return True


def kind_of(path: Path, key: Key | None = None) -> FileKind | None:
    """What a file says that it is; None where it is none of facecli's, or `key` is not its key."""
    unknown: tuple[type[Exception], ...] = (OSError, ValueError, GalleryError, *sql_errors())
    try:
        with regular(path, _ANY_SIZE).open("rb") as file:
            header = file.read(100)
        if key is None or _kind(header) is not None:
            return _kind(header)
        with closing(connect_to_still(path, key)) as db:
            return FileKind(db.execute("PRAGMA application_id").fetchone()[0])
    except unknown:
        return None


def _kind(header: bytes) -> FileKind | None:
    """SQLite's file format, 1.3: a magic string, and the application id at offset 68."""
    with suppress(ValueError):
        if header[:16] == b"SQLite format 3\0":
            return FileKind(int.from_bytes(header[68:72], "big"))
    return None


def recognise(
    path: Path, db: sqlite3.Connection, kinds: Collection[FileKind] = (FileKind.GALLERY,)
) -> None:
    """Bring an older gallery up to date. Raises GalleryError for one of a newer facecli, for
    another kind of file, or where it shows only now, after decrypting, that this is none.
    """
    number = db.execute("PRAGMA application_id").fetchone()[0]
    if number not in list(FileKind):
        raise GalleryError(f"{path} is not a facecli gallery: {_ELSEWHERE}")
    if number not in kinds:
        raise GalleryError(f"{path} cannot be used here: {_OTHERWISE[FileKind(number)]}")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise GalleryError(
            f"{path} was made by a newer facecli (schema {version}; this one knows "
            f"{SCHEMA_VERSION}): upgrade facecli"
        )
    _require_own(path, db, version)
    if version < SCHEMA_VERSION:
        try:
            _migrate(path, db)
        except sql_errors() as error:
            if "readonly" not in str(error):
                raise
            raise GalleryError(
                f"{path} was made by an older facecli (schema {version}) and must be brought up "
                "to date, but here it may only be read: copy it to a folder where you may write"
            ) from error


def make_file(
    path: Path,
    embedder_id: str,
    dimension: int,
    key: Key | None = None,
    kind: FileKind = FileKind.GALLERY,
) -> None:
    """Write an empty gallery beside `path` and move it there whole, unless one is there by then."""
    with draft(path) as made:
        fill(made, embedder_id, dimension, key, kind)
        with suppress(FileExistsError):
            place(made, path)


def fill(
    empty: Path,
    embedder_id: str,
    dimension: int,
    key: Key | None = None,
    kind: FileKind = FileKind.GALLERY,
) -> None:
    """Make a gallery without people of an empty file, which nobody else knows."""
    with closing(connect(empty, key)) as db:
        db.execute(f"PRAGMA page_size = {PAGE_SIZE}")  # first: fixed once there is a table
        _migrate(empty, db)
        db.execute(
            "INSERT INTO gallery (id, embedder_id, dimension, created_at) VALUES (1, ?, ?, ?)",
            (embedder_id, dimension, now()),
        )
        set_kind(db, kind)
        db.execute("PRAGMA journal_mode = WAL")  # searches go on while somebody enrols


def set_kind(db: sqlite3.Connection, kind: FileKind) -> None:
    """Say what the file is, in the transaction that there is."""
    db.execute(f"PRAGMA application_id = {int(kind)}")


def _require_own(path: Path, db: sqlite3.Connection, version: int) -> None:
    """Raise GalleryError unless the file has the tables of a gallery, and nothing else."""
    if fault := next(schema.faults(db, version), None):
        raise GalleryError(
            f"{path} is not as facecli makes a gallery: {fault}. Another program changed it, and "
            "it is not used: use a backup"
        )


def _migrate(path: Path, db: sqlite3.Connection) -> None:
    with waiting(path):
        db.execute("BEGIN IMMEDIATE")  # of two processes the second finds it done
    try:
        schema.migrate(db)
        _require_own(path, db, SCHEMA_VERSION)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        db.rollback()
        raise
    db.commit()


def waiting(path: Path) -> AbstractContextManager[None]:
    """Around what may have to wait for another program that has the file."""
    return said(f"waiting for another program that uses {path}", BUSY_SECONDS)


def copy_into(db: sqlite3.Connection, empty: Path, key: Key | None, final: Path) -> None:
    """Copy this moment of an open file into an empty one, which is encrypted with the key.

    Not the file's bytes: while somebody writes they are of two moments, and lack the log. final:
    where the copy is to be, to speak of. Raises OutputError where its disk is full.
    """
    with closing(connect(empty, key)) as copy:
        try:
            db.backup(copy)
        except sql_errors() as error:
            if "full" not in str(error):
                raise
            raise OutputError(
                f"{final} cannot be written: {error}: free some disk space, or write it elsewhere"
            ) from error


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into one clear line."""
    try:
        yield
    except sql_errors() as error:
        text = str(error) or "no memory for it"
        if isinstance(error, UnicodeDecodeError):
            text = "its schema is no text"
        if mistake := _mistake(text):
            raise MisuseError(f"{path}: {mistake}") from error
        if "locked" in text or "busy" in text:
            advice = "another program is writing to it; try again when it is done"
        elif "readonly" in text or "unable to open" in text:
            advice = "check that you may write to the file and its folder"
        elif "full" in text:
            advice = "free some disk space; what was stored before is safe"
        elif "disk I/O" in text:  # what a full disk says first, when there is no room for the log
            advice = "the disk may be full or failing; free some space and try again"
        elif "interrupted" in text:
            text, advice = "reading it does not come to an end", DAMAGED
        else:
            advice = DAMAGED
        raise GalleryError(f"{path}: {text}: {advice}") from error
    except values.Unsound as error:
        raise GalleryError(f"{path}: {error}: {DAMAGED}") from error
    except OSError as error:
        raise GalleryError(f"{path}: {error.strerror or error}: {_ELSEWHERE}") from error


def _mistake(text: str) -> str | None:
    return next((advice for part, advice in _MISTAKES.items() if part in text), None)
