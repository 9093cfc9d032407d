"""Files that appear whole or not at all: every file that facecli writes whole goes through here.

Nothing is replaced unless that is asked for, which only owners of a file do (a cache, a sidecar, a
gallery that is encrypted), and `outputs`, for what a user asked for.

It is written beside its place, 0600 from the start, brought to the disk, and moved there; then the
folder is brought to the disk, too. The folder it is written in, `.NAME.facecli-XXXXXXXX`, is 0700,
and its writer holds a lock on it, so that what a killed one left is told from what is being
written. The lock is on the folder because some systems would not let SQLite lock a file in it that
is locked already.
"""

from __future__ import annotations

import glob
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


def write(target: Path, *parts: bytes | memoryview, replace: bool = False) -> None:
    """Write a file whose bytes are these, one after the other.

    Raises OSError where it cannot be written; FileExistsError where something is there already,
    unless `replace`.
    """
    with draft(target) as drafted:
        with drafted.open("wb") as file:
            for part in parts:
                file.write(part)
        place(drafted, target, replace=replace)


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """An empty file for what `place` shall move to `target`; what is left at the end is deleted.

    Raises OSError where nothing can be written beside `target`.
    """
    folder, handle = _claimed(target)
    try:
        drafted = folder / "draft"
        drafted.touch(0o600)
        yield drafted
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def place(drafted: Path, target: Path, *, replace: bool = False) -> None:
    """Move a draft to its place, so that it lasts.

    Raises FileExistsError where something is there by then, unless `replace`.
    """
    with drafted.open("r+b") as file:
        os.fsync(file.fileno())
    if replace:
        drafted.replace(target)
    else:
        _link(drafted, target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or a deletion last, where the system lets a folder be synchronised."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path) -> None:
    """Delete the drafts in `folder` that nobody is writing any more. Never raises."""
    with suppress(OSError), os.scandir(folder) as entries:
        left = [e.path for e in entries if _FOLDER.fullmatch(e.name) and not e.is_symlink()]
        for path in left:
            with suppress(OSError):
                _delete(path)


def discard(target: Path) -> None:
    """Delete `target` and its drafts, also one that somebody is writing; that write fails.

    Raises OSError where `target` cannot be deleted.
    """
    target.unlink(missing_ok=True)
    for folder in target.parent.glob(f"{glob.escape(_prefix(target))}????????"):
        shutil.rmtree(folder, ignore_errors=True)
    sync_folder(target.parent)


def _prefix(target: Path) -> str:
    return f".{target.name[:200]}.facecli-"


def _link(drafted: Path, target: Path) -> None:
    try:
        os.link(drafted, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, as on memory cards
        _rename_alone(drafted, target)


def _claimed(target: Path) -> tuple[Path, int | None]:
    """A new folder, and what holds the lock on it; another try where a sweep was quicker."""
    while True:
        folder = tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent)
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
