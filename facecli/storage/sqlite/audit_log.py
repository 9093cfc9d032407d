"""Who was enrolled, removed and searched, as keyed hashes, never faces or names: SQL of the log.

Off until asked for. Entries can only be added (the schema's triggers), and each one's `mac` is
HMAC-SHA-256 over it and the `mac` before it (RFC 2104), so `gallery check` sees one changed or
missing. The key lies in the gallery file itself: hashes cannot be told without the file, and
whoever can write the file and knows this program can write another log. Note the last `mac`
elsewhere, and even that is seen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from facecli.common.enums import LogAction
from facecli.common.names import name_key
from facecli.common.timestamp import now
from facecli.storage.records import LogEntry
from facecli.storage.sqlite import values
from facecli.storage.sqlite.connection import Transaction, explained

_SECRET = 32  # bytes


class AuditLog:
    """The log as its owner sees it. Every method raises GalleryError when SQLite cannot."""

    def __init__(self, path: Path, db: sqlite3.Connection, transaction: Transaction) -> None:
        """transaction: the gallery's, in which the log is turned on or off."""
        self._path = path
        self._db = db
        self._transaction = transaction

    def entries(self) -> tuple[LogEntry, ...]:
        """The whole log, oldest first."""
        with explained(self._path):
            return tuple(_entries(self._db))

    def turn(self, on: bool) -> None:
        """Turn the log on or off; both leave an entry, and what it holds stays."""
        with self._transaction() as db:
            if on != is_on(db):
                if not on:
                    append(db, LogAction.OFF)
                db.execute("UPDATE custody SET logging = ?", (on,))
                if on:
                    append(db, LogAction.ON)


def append(
    db: sqlite3.Connection, action: LogAction, subject: str | None = None, photo: str | None = None
) -> None:
    """Add an entry, within a transaction; nothing while the log is off.

    subject: a name; photo: the sha256 of a photo. Only their hashes are kept.
    """
    if not is_on(db):
        return
    hashes = tuple(None if text is None else hashed(db, text) for text in (subject, photo))
    number = _length(db) + 1
    row = (number, now(), str(action), *hashes)
    mac = _mac(_secret(db), row, _last_mac(db))
    db.execute(
        "INSERT INTO log (id, at, action, subject, photo, mac) VALUES (?, ?, ?, ?, ?, ?)",
        (*row, mac),
    )


def is_on(db: sqlite3.Connection) -> bool:
    """Whether entries are added."""
    row = db.execute("SELECT logging FROM custody").fetchone()
    return bool(values.whole(row and row[0], "whether the log is on", 0, 1))


def faults(db: sqlite3.Connection) -> Iterator[str]:
    """Where the chain is broken, a line each."""
    secret, before, count = _secret(db), "", 0
    for entry in _entries(db):
        count += 1
        if entry.id != count:
            yield f"the audit log lacks what was before entry {entry.id}"
            count = entry.id
        row = (entry.id, entry.at, entry.action, entry.subject, entry.photo)
        if not hmac.compare_digest(_mac(secret, row, before), entry.mac):
            yield f"entry {entry.id} of the audit log, or what was before it, was changed"
        before = entry.mac
    if count < _length(db):
        yield f"the audit log lacks its last entries, after {count}"


def hashed(db: sqlite3.Connection, text: str) -> str:
    """A name or a photo's sha256 as the log shows it, hex; a name in every spelling of it alike."""
    return hmac.new(_secret(db), name_key(text).encode(), hashlib.sha256).hexdigest()


def _entries(db: sqlite3.Connection) -> Iterator[LogEntry]:
    rows = db.execute("SELECT id, at, action, subject, photo, mac FROM log ORDER BY id")
    last = -1
    for row in rows:
        entry = _entry(row)
        if entry.id <= last:  # pages lead to each other, without an end
            raise values.Unsound(f"the log is out of order after {last}")
        last = entry.id
        yield entry


def _entry(row: Sequence[object]) -> LogEntry:
    id, at, action, subject, photo, mac = row
    return LogEntry(
        values.whole(id, "a log entry's number"),
        values.text(at, "the day of a log entry"),
        values.text(action, "what a log entry tells"),
        values.optional_text(subject, "a log entry's subject"),
        values.optional_text(photo, "a log entry's photo"),
        values.text(mac, "a log entry's mac"),
    )


def _mac(secret: bytes, row: tuple[object, ...], before: str) -> str:
    return hmac.new(secret, json.dumps([*row, before]).encode(), hashlib.sha256).hexdigest()


def _secret(db: sqlite3.Connection) -> bytes:
    row = db.execute("SELECT secret FROM custody").fetchone()
    return values.data(row and row[0], "the log's secret", _SECRET)


def _length(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
    return 0 if row is None else values.whole(row[0], "the log's length", 0, values.LARGEST - 1)


def _last_mac(db: sqlite3.Connection) -> str:
    row = db.execute("SELECT mac FROM log ORDER BY id DESC LIMIT 1").fetchone()
    return "" if row is None else values.text(row[0], "a log entry's mac")
