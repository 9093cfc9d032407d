"""Files that appear whole or not at all: every file that facecli writes whole goes through here.

Nothing is replaced unless that is asked for, which only owners of a file do (a cache, a sidecar, a
gallery that is encrypted), and `outputs`, for what a user asked for.

It is written beside its place, 0600 from the start, brought to the disk, and moved there; then the
folder is brought to the disk, too. Only then is what it took the place of touched.

The folder it is written in, `.NAME.facecli-XXXXXXXX`, is 0700. What tells it from a folder of the
user's is not its name but a marker file, on the disk before anything else is written there. Its
writer holds a lock on it, so that what a killed one left is told from what is being written. The
lock is on the folder because some systems would not let SQLite lock a file in it that is locked
already. What is left there or discarded may hold templates: it is overwritten before it is deleted,
and so is what is replaced, where that is asked for.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_FOLDER = re.compile(r"\..+\.facecli-[0-9a-f]{8}", re.DOTALL)
# Both are set by the one call that makes the folder: so an empty one is told, too, that a program
# left which was killed before it could write the marker.
_MODE = stat.S_ISVTX | 0o700
_MARKER, _MARK = "facecli", b"A draft of facecli. What a killed program left here is deleted.\n"
_DRAFT, _OLD = "draft", "old"
_WRITTEN = (_DRAFT, *(_DRAFT + end for end in ("-wal", "-shm", "-journal")), _OLD)
_BLOCK = bytes(1 << 20)
_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF}


def write(
    target: Path, *parts: bytes | memoryview, replace: bool = False, overwrite: bool = False
) -> None:
    """Write a file whose bytes are these, one after the other.

    replace, overwrite: see `place`. Raises OSError where it cannot be written; FileExistsError
    where something is there already, unless `replace`.
    """
    with draft(target) as drafted:
        with drafted.open("wb") as file:
            for part in parts:
                file.write(part)
        place(drafted, target, replace=replace, overwrite=overwrite)


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """An empty file for what `place` shall move to `target`; what is left at the end is deleted.

    Raises OSError where nothing can be written beside `target`.
    """
    folder, handle = _claimed(target)
    try:
        _mark(folder)
        drafted = folder / _DRAFT
        drafted.touch(0o600)
        yield drafted
    finally:
        with suppress(OSError):
            _clear(folder)
        if handle is not None:
            os.close(handle)


def place(drafted: Path, target: Path, *, replace: bool = False, overwrite: bool = False) -> int:
    """Move a draft to its place, so that it lasts. replace: what is there, a file of any kind.

    overwrite: what it replaces held templates; its bytes are overwritten afterwards. Returns how
    many; 0 where other names still hold them. Raises FileExistsError where something is there by
    then, unless `replace`.
    """
    with drafted.open("r+b") as file:  # to write: else Windows does not synchronise it
        _flush(file.fileno())
    old = drafted.with_name(_OLD)
    if replace:
        if overwrite:
            # A second name: should this be killed, the next sweep overwrites what is called so.
            with suppress(OSError):  # nothing is there, or a file system without hard links
                os.link(target, old, follow_symlinks=os.link not in os.supports_follow_symlinks)
            sync(old.parent)
        drafted.replace(target)
    else:
        _link(drafted, target)
    try:
        sync(target.parent)
    except OSError:  # a cut may yet bring back what was replaced: it must be whole then
        old.unlink(missing_ok=True)
        raise
    return erase(old)


def erase(file: Path) -> int:
    """Overwrite a file and delete it; returns how many bytes were overwritten.

    Of a file that has other names, hard links, only this name goes, and of a link the link. One
    that is not there is fine. Raises OSError where it cannot be overwritten or deleted.
    """
    size = 0
    with suppress(FileNotFoundError):
        if stat.S_ISREG(file.lstat().st_mode):
            size = _overwrite(file)
        file.unlink()
    return size


def is_erased(file: Path) -> bool:
    """Whether `erase` overwrote it, and a power cut brought its name back. Never raises."""
    try:
        with file.open("rb") as opened:
            return not file.is_symlink() and not any(opened.read(4096))
    except OSError:
        return False


def sync(path: Path) -> None:
    """Make last what was written to a file, or renamed and deleted in a folder.

    Nothing is done where the system offers no such thing. Raises OSError where it may not last.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            _flush(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def sweep(folder: Path) -> int:
    """Delete the drafts in `folder` that nobody is writing any more. Never raises.

    Returns how many bytes of them were overwritten.
    """
    swept = 0
    with suppress(OSError):
        for path in _drafts(folder):
            with suppress(OSError):
                swept += _delete(path)
    return swept


def discard(target: Path) -> None:
    """Delete `target` and its drafts, also one that somebody is writing; that write fails.

    Raises OSError where `target` cannot be deleted.
    """
    erase(target)
    for folder in _drafts(target.parent):
        if folder.name.startswith(_prefix(target)) and _is_ours(folder):
            with suppress(OSError):
                _clear(folder)
    sync(target.parent)


def _prefix(target: Path) -> str:
    return f".{target.name[:200]}.facecli-"


def _drafts(folder: Path) -> list[Path]:
    """Folders that may be drafts', by their names."""
    with os.scandir(folder) as entries:
        return [
            Path(entry.path)
            for entry in entries
            if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]


def _claimed(target: Path) -> tuple[Path, int | None]:
    """A new folder, and what holds the lock on it; another try where a sweep was quicker.

    No lock on Windows, where what is open cannot be deleted.
    """
    while True:
        folder = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}")
        with suppress(FileExistsError):
            folder.mkdir(_MODE)
            if sys.platform == "win32":
                return folder, None
            with suppress(FileNotFoundError):
                handle = os.open(folder, os.O_RDONLY)
                with suppress(OSError):  # no locks on this file system: nothing is swept there
                    fcntl.flock(handle, fcntl.LOCK_EX)
                if os.path.lexists(folder):
                    return folder, handle
                os.close(handle)


def _mark(folder: Path) -> None:
    marker = folder / _MARKER
    marker.touch(0o600)
    with marker.open("wb") as file:
        file.write(_MARK)
        file.flush()
        _flush(file.fileno())
    sync(folder)


def _is_ours(folder: Path) -> bool:
    """Whether a draft was begun there, which its content tells, never its name."""
    info = folder.lstat()
    if sys.platform != "win32" and info.st_uid != os.geteuid():
        return False  # its owner could make it another folder between two looks
    there = [entry.name for entry in folder.iterdir()]
    if not there:  # killed before it was marked
        return stat.S_IMODE(info.st_mode) == _MODE
    marker = folder / _MARKER
    if marker.is_symlink() or not marker.is_file():
        return False
    with marker.open("rb") as file:
        mark = file.read(len(_MARK) + 1)
    return mark == _MARK or (there == [_MARKER] and _MARK.startswith(mark))


def _delete(folder: Path) -> int:
    """Raises OSError where somebody writes there, or it is none of ours."""
    if sys.platform == "win32":
        return _clear(folder) if _is_ours(folder) else 0
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _clear(folder) if _is_ours(folder) else 0
    finally:
        os.close(handle)


def _clear(folder: Path) -> int:
    """Delete what `draft` and `place` put there, the marker last. What others put there stays."""
    swept = sum(erase(folder / name) for name in _WRITTEN)
    marker = folder / _MARKER
    if list(folder.iterdir()) == [marker]:
        marker.unlink()
    folder.rmdir()
    return swept


def _overwrite(file: Path) -> int:
    """Nothing where the same bytes have another name: they are that one's, too."""
    handle = os.open(file, os.O_WRONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0))
    try:
        info = os.fstat(handle)
        if info.st_nlink > 1:
            return 0
        left = info.st_size
        while left:
            left -= os.write(handle, _BLOCK[:left])
        _flush(handle)
        os.ftruncate(handle, 0)
        return info.st_size
    finally:
        os.close(handle)


def _flush(handle: int) -> None:
    if sys.platform == "darwin":  # where fsync leaves it in the disk's own cache
        with suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def _link(drafted: Path, target: Path) -> None:
    try:
        os.link(drafted, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, as on memory cards
        _rename_alone(drafted, target)
    else:
        drafted.unlink()


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
