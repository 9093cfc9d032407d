"""SQLCipher: a gallery file encrypted page by page, AES-256-CBC with an HMAC-SHA512 each.

Another SQLite than Python's own. The two must not have one file open in one process: closing it in
one drops the locks of the other.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from types import ModuleType
from typing import cast

from facecli.common.errors import GalleryError
from facecli.storage.keys import Key
from facecli.storage.sqlite import guard

PAGE_SIZE = 16384  # that of every gallery; it must be known before a file can be read


def connect(path: Path, options: str, key: Key | None, seconds: float) -> sqlite3.Connection:
    """Open the file, new or encrypted with this key; None opens one that is not encrypted.

    options: of SQLite's file URI. seconds: how long to wait for other programs. Raises
    GalleryError where SQLCipher is missing, or this is not the file's key.
    """
    uri = path.absolute().as_uri() + options
    module = _module()
    db = module.connect(
        uri, timeout=seconds, isolation_level=None, uri=True,
        factory=guard.guarded(module.Connection),
    )  # fmt: skip
    try:
        guard.attach(db, path)
        db.execute("PRAGMA cipher_log_level = NONE")  # it writes to stderr
        db.execute("PRAGMA temp_store = MEMORY")  # nothing readable in temporary files
        if key is not None:
            db.execute(f'PRAGMA key = "{_literal(key)}"')
            db.execute(f"PRAGMA cipher_page_size = {PAGE_SIZE}")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except db.DatabaseError as error:
        if error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            return cast(
                sqlite3.Connection, db
            )  # no place for the log: `connection` knows what to do
        db.close()
        if error.sqlite_errorname != "SQLITE_NOTADB":
            raise
        raise GalleryError(
            f"{path} does not open with this key: give the --key-file it was encrypted with; "
            "if that was it, the file is damaged or no gallery"
        ) from None
    return cast(sqlite3.Connection, db)  # the same interface, not the same class


def copy_under(db: sqlite3.Connection, draft: Path, key: Key | None) -> None:
    """Copy all of a database that `connect` opened into the empty file `draft`, under `key`."""
    name = os.fsencode(draft.absolute())
    db.execute("ATTACH CAST(? AS TEXT) AS copy KEY ?", (name, _literal(key) if key else ""))
    try:
        db.execute(f"PRAGMA copy.{'cipher_' if key else ''}page_size = {PAGE_SIZE}")
        db.execute("SELECT sqlcipher_export('copy')").fetchall()
        for setting in ("user_version", "application_id"):  # what an export leaves out
            value = db.execute(f"PRAGMA main.{setting}").fetchone()[0]
            db.execute(f"PRAGMA copy.{setting} = {value}")
        db.execute("PRAGMA copy.journal_mode = WAL")
    finally:
        db.execute("DETACH DATABASE copy")


def _literal(key: Key) -> str:
    return f"x'{key.digits}'"


def _module() -> ModuleType:
    try:
        from sqlcipher3 import dbapi2
    except ImportError as error:
        raise GalleryError(
            "an encrypted gallery needs the package sqlcipher3: pip install 'facecli[encrypted]'"
        ) from error
    return cast(ModuleType, dbapi2)
