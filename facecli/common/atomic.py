"""Files that appear whole or not at all: written in a folder of their own, then moved.

The folder lies beside the file's place, `.NAME.facecli-XXXXXXXX`, 0700, and its writer holds a lock
on it, so that what a killed one left is told from what is being written. The lock is on the folder
because some systems would not let SQLite lock a file in it that is locked already.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_FOLDER = re.compile(r"\..+\.facecli-[a-z0-9_]{8}", re.DOTALL)


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Where to write what shall be moved to `target`; what is still there at the end is deleted.

    Raises OSError where nothing can be written beside `target`.
    """
    folder, handle = _claimed(target)
    try:
        yield folder / "draft"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def place(drafted: Path, target: Path) -> None:
    """Move a draft to its place. Raises FileExistsError where something is there by then."""
    try:
        os.link(drafted, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, as on memory cards
        _rename_alone(drafted, target)


def sweep(folder: Path) -> None:
    """Delete the drafts in `folder` that nobody is writing any more. Never raises."""
    with suppress(OSError), os.scandir(folder) as entries:
        left = [e.path for e in entries if _FOLDER.fullmatch(e.name) and not e.is_symlink()]
        for path in left:
            with suppress(OSError):
                _delete(path)


def _claimed(target: Path) -> tuple[Path, int | None]:
    """A new folder, and what holds the lock on it; another try where a sweep was quicker."""
    while True:
        folder = tempfile.mkdtemp(prefix=f".{target.name[:200]}.facecli-", dir=target.parent)
        if sys.platform == "win32":  # where what is open cannot be deleted
            return Path(folder), None
        with suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks: nothing is swept there either
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.lexists(folder):
                return Path(folder), handle
            os.close(handle)


def _delete(folder: str) -> None:
    """Raises OSError where somebody writes there."""
    if sys.platform == "win32":
        shutil.rmtree(folder, ignore_errors=True)
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(handle)


def _rename_alone(drafted: Path, target: Path) -> None:
    """Rename where nothing is there, and nobody else is renaming in that folder."""
    if sys.platform == "win32":  # where renaming replaces nothing
        drafted.rename(target)
        return
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.lexists(target):
            raise FileExistsError(target)
        drafted.rename(target)
    finally:
        os.close(handle)
