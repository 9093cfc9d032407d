"""What a user asks to be written: nothing that is there is lost for it.

Every output of a command goes through here: judged before the work begins, and again when it is
written. A place where something lies is refused without `force`; with it a plain file of the same
kind is replaced, text by text, and nothing else: no gallery, key, model or photo, no link, folder,
device or pipe, and nothing that the command reads.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path

from facecli.common import atomic
from facecli.common.errors import OutputError, UsageError

STDOUT = Path("-")
_HEAD = 4096  # bytes that tell what a file is
_PNG = b"\x89PNG\r\n\x1a\n"
_ANOTHER = "name another file"
_LONGEST = 1 << 20
_ONLY_POSIX = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_NOWHERE = (OSError, ValueError, RuntimeError)  # the last, until Python 3.12: links in a ring
_TO_ADD = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | _ONLY_POSIX

Kept = Callable[[Path], str]
"""What a file is that may not be replaced, even by force; empty where it may."""


def unless_text(path: Path) -> str:
    """Of a page, a receipt or an export. Raises OSError where the file cannot be read."""
    head = _head(path)
    if head.startswith(b"SQLite format 3\0"):
        return "a gallery or another database"
    if re.fullmatch(rb"\s*[0-9a-fA-F]{64}\s*", head):
        return "a key"
    try:
        # a letter may be cut at the end of what was read
        codecs.getincrementaldecoder("utf-8")().decode(head, len(head) < _HEAD)
    except UnicodeDecodeError:
        return "no text, as this would be"
    return "no text, as this would be" if b"\0" in head else ""


def unless_plot(path: Path) -> str:
    """Of a plot: PNG by PNG, SVG by text. Raises OSError where the file cannot be read."""
    if path.suffix == ".png":
        return "" if _head(path).startswith(_PNG) else "no PNG picture"
    return unless_text(path)


def anything(_: Path) -> str:
    """Of what is judged elsewhere."""
    return ""


def judge(
    path: Path, *, force: bool | None = False, reads: Iterable[Path] = (), kept: Kept = unless_text
) -> None:
    """See whether a file may be written at `path`.

    force: None where not even that replaces anything. reads: what must stay, whatever it is.

    Raises UsageError where what is there must not be lost, OutputError where nothing can be
    written there.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return _require_folder(path, path.parent)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    if stat.S_ISLNK(mode):
        raise UsageError(f"{path} is a link: name the file itself, or another one")
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} is a folder: name a file")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is a device or a pipe, not a file: {_ANOTHER}, or - for stdout")
    for read in reads:
        if _is_or_holds(read, path):
            raise UsageError(f"{path} is what is read here: {_ANOTHER}")
    try:
        what = kept(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    if what:
        raise UsageError(f"{path} is there and is {what}: it is not replaced, {_ANOTHER}")
    if not force:
        cure = _ANOTHER if force is None else f"{_ANOTHER}, or replace it with --force"
        raise UsageError(f"{path} is there already: {cure}")
    return _require_folder(path, path.parent)


def judge_folder(path: Path, reads: Iterable[Path] = ()) -> None:
    """See whether files may be written into a folder, which is made where there is none.

    reads: files and folders whose own must not be mixed with what is written. Raises as `judge`.
    """
    there = _nearest(path)
    if not there.is_dir():
        raise UsageError(f"{path}: {there} is there, and no folder: name another folder")
    _require_folder(path, there)
    for read in reads:
        if path.is_dir() and _is_in(read, path):
            raise UsageError(f"{path} holds what is read here: name another folder")


def write(path: Path, *parts: bytes, force: bool | None = False, kept: Kept = unless_text) -> None:
    """Write a file whole, for its owner only (0600). Raises as `judge`; then all is as it was."""
    with draft(path, force=force, kept=kept) as drafted, drafted.open("wb") as file:
        for part in parts:
            file.write(part)


@contextmanager
def draft(path: Path, *, force: bool | None = False, kept: Kept = unless_text) -> Iterator[Path]:
    """An empty file, which goes to `path` when the block ends well. Raises as `judge`."""
    judge(path, force=force, kept=kept)
    try:
        atomic.sweep(path.parent)
        with atomic.draft(path) as drafted:
            yield drafted
            if os.path.lexists(path):  # it was there, or came meanwhile
                judge(path, force=force, kept=kept)
                atomic.place(drafted, path, replace=True, overwrite=True)
            else:
                atomic.place(drafted, path)
    except FileExistsError:  # between the two looks
        raise UsageError(f"{path} is there by now, and was not replaced: {_ANOTHER}") from None
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def lines(path: Path, *, force: bool | None = False) -> Iterator[Callable[[str], None]]:
    """What adds a line to a file, which is there when the block ends well. Raises as `judge`."""
    with draft(path, force=force) as drafted, drafted.open("r+b", buffering=0) as file:
        yield partial(_add, file, path)


@contextmanager
def more_lines(path: Path) -> Iterator[Callable[[str], None]]:
    """The same for what is added to a file there, at once: it stays whatever happens next.

    A new file is for its owner only (0600). Raises as `judge`.
    """
    judge(path, force=True)
    try:
        opened = os.open(path, _TO_ADD, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    with os.fdopen(opened, "r+b", buffering=0) as file:
        yield partial(_add, file, path)


def first_line(path: Path) -> str:
    """Of a text file, up to _LONGEST bytes, less a BOM; empty where there is none.

    Raises OutputError.
    """
    try:
        with path.open("rb") as file:
            return file.readline(_LONGEST).decode("utf-8-sig", "replace").rstrip("\r\n")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _unwritable(path, error) from error


def _add(file: FileIO, path: Path, text: str) -> None:
    """A line at the end; one that does not fit is taken back. As on stdout, what is no Unicode in a
    file's name is escaped.
    """
    data = f"{text}\n".encode("utf-8", "backslashreplace")
    before = file.seek(0, os.SEEK_END)
    if before:
        file.seek(-1, os.SEEK_END)
        data = data if file.read(1) == b"\n" else b"\n" + data
    try:
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        file.truncate(before)
        raise _unwritable(path, error) from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _nearest(path: Path) -> Path:
    """The path, or of those above it the first that is there, if only as a link to nothing."""
    there = path
    while True:
        try:
            there.lstat()
        except (FileNotFoundError, NotADirectoryError):
            there = there.parent
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from error
        else:
            return there


def _require_folder(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be written: you may not write to {folder}")


def _is_or_holds(read: Path, path: Path) -> bool:
    """Whether `read` is this very file, or a folder that it lies in."""
    try:
        return read.samefile(path) or (
            read.is_dir() and path.resolve().is_relative_to(read.resolve())
        )
    except _NOWHERE:
        return False  # nothing is read there


def _is_in(read: Path, folder: Path) -> bool:
    """Whether files of `read` lie in the folder itself."""
    try:
        if not read.is_dir():
            return read.exists() and read.absolute().parent.samefile(folder)
        inside = folder.resolve().is_relative_to(read.resolve())
        return inside and (read.samefile(folder) or any(f.is_file() for f in folder.iterdir()))
    except _NOWHERE:
        return False


def _unwritable(path: Path, error: OSError | ValueError) -> OutputError:
    said = getattr(error, "strerror", None) or str(error)
    return OutputError(f"{path} cannot be written: {said}")
