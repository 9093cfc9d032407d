"""How a gallery is written to: transactions, dry runs, and the file as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from facecli.storage.sqlite.connection import connect, explained
from facecli.storage.sqlite.reader import Reader


class Writer(Reader):
    """What an open gallery file lets happen to it; `store.Store` says what is written.

    Every method raises GalleryError when SQLite cannot do its part.
    """

    _rehearsing = False

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside, or nothing; within a rehearsal a part of it."""
        begin, undo, commit = "BEGIN IMMEDIATE", "ROLLBACK", "COMMIT"
        if self._rehearsing:
            begin, undo, commit = "SAVEPOINT step", "ROLLBACK TO step", "RELEASE step"
        with explained(self.path):
            self._db.execute(begin)
            try:
                self._require_same_embedder()
                yield self._db
            except BaseException:
                if self._db.in_transaction:  # SQLite itself rolls back when the disk is full
                    self._db.execute(undo)
                raise
            self._db.execute(commit)

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Whatever is written inside is taken back at the end: a dry run."""
        with explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
        self._rehearsing = True
        try:
            yield
        finally:
            self._rehearsing = False
            self._db.rollback()

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Nothing can be written inside; others may: a dry run that takes long."""
        with explained(self.path):
            self._db.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            self._db.execute("PRAGMA query_only = OFF")

    def compact(self) -> bool:
        """Write the file anew without what was deleted, and empty its write-ahead log.

        False where another program's reading keeps the old bytes for now.
        """
        with explained(self.path):
            # First so that pages are overwritten in their place before the file gets shorter.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._db.execute("VACUUM")
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                self._db.execute("UPDATE custody SET erasing = 0")
        return not busy

    def copy_to(self, path: Path) -> None:
        """Copy this moment of the gallery into the empty file `path`; others may go on writing.

        The copy of an encrypted one is encrypted with the same key.
        """
        with explained(self.path), closing(connect(path, self.key)) as copy:
            self._db.backup(copy)
