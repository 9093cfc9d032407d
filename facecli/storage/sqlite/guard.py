"""What every statement on a gallery file is held to: an end, and the process it may come from.

A file that somebody else made may hold pages that point at each other, where a scan would go on
for ever. Counted is what SQLite does for a statement, not time, so a slow machine changes nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import repeat
from pathlib import Path
from threading import Timer
from typing import Any

from facecli.common.errors import MisuseError

STRIDE = 1 << 20  # steps of SQLite's machine between two looks, some 0.02 s
# Steps that a statement may take. In a gallery of 10,000 people, 21 MB, the longest took 640,000:
# deleting them all; a check of every row 590,000.
MOST_STEPS, STEPS_A_BYTE = 5_000_000, 8
MEASURED_EACH = 1024  # statements, after which the file's size is looked up again
COUNTED_WITHIN = 30.0  # s: SQLite counts 10 million rows a second, in one step
LONGEST = 1 << 26  # bytes of a row, or of what is asked for; facecli's rows have some thousand


class Guard:
    """Of one connection."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._files = (str(path), f"{path}-wal")
        self._db = db
        self._process = os.getpid()
        self._asked = 0
        self._looks = 0

    def begin(self) -> None:
        """A statement begins. Raises MisuseError in a process that did not open the connection."""
        if os.getpid() != self._process:
            raise MisuseError(
                f"{self._files[0]} was opened before this process was forked, and that does not "
                "outlive a fork: open the gallery in each process anew"
            )
        if self._asked % MEASURED_EACH == 0:
            self._looks = (MOST_STEPS + STEPS_A_BYTE * self._bytes()) // STRIDE
        self._asked += 1
        # When it is used up it raises, and SQLite ends the statement. Nothing of it is Python
        # code, in which a Ctrl-C would arrive and be lost.
        self._db.set_progress_handler(repeat(0, self._looks).__next__, STRIDE)

    def _bytes(self) -> int:
        size = 0
        for file in self._files:
            with suppress(OSError):
                size += os.stat(file).st_size  # noqa: PTH116 (a Path takes as long again)
        return size


@cache
def guarded(base: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
    """The connection class with a guard. base: Python's, or SQLCipher's, which is another."""

    class Guarded(base):  # type: ignore[valid-type, misc]
        guard: Guard | None = None

        def execute(self, *asked: Any) -> Any:
            if self.guard is not None:
                self.guard.begin()
            return super().execute(*asked)

        def executemany(self, *asked: Any) -> Any:
            if self.guard is not None:
                self.guard.begin()
            return super().executemany(*asked)

    return Guarded


def attach(db: sqlite3.Connection, path: Path) -> None:
    """From here on the connection, of a class that `guarded` made, is held to it."""
    db.guard = Guard(path, db)  # type: ignore[attr-defined]
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    if hasattr(db, "setlimit"):  # not in SQLCipher, whose pages only the key's owner can make
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)


@contextmanager
def counting(db: sqlite3.Connection) -> Iterator[None]:
    """For `count(*)` of a table, which is one step however long it takes."""
    timer = Timer(COUNTED_WITHIN, db.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
