"""Files: those that others name, none that blocks for ever or never ends, and private ones."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from facecli.common import atomic

_URL = re.compile(r"(https?|ftps?|sftp|s3|gs|data|file):", re.IGNORECASE)
LARGEST = 1 << 31  # bytes, unless a caller says otherwise: no ONNX file can be larger
LONGEST = 1 << 20  # letters of a line


def is_url(path: Path) -> bool:
    """Whether it reads like one."""
    return _URL.match(str(path)) is not None


def not_there(path: Path) -> str:
    """What to do about a file that is not there."""
    found = _URL.match(str(path))
    if found is None:
        return "check the spelling of the path"
    if found[1].lower() == "file":
        return "a URL: give the path alone, without file://"
    return "a URL: nothing is fetched from the network, so save the file and give its path"


def regular(path: Path, largest: int = LARGEST) -> Path:
    """`path`, where it leads to a regular file of at most `largest` bytes; links are followed.

    Raises OSError, its `strerror` saying why not.
    """
    try:
        info = path.stat()
    except ValueError:
        raise FileNotFoundError(errno.ENOENT, "a file name holds no NUL character") from None
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if info.st_size > largest:
        said = f"the file has {info.st_size >> 20} MiB, the limit is {largest >> 20}"
        raise OSError(errno.EFBIG, said)
    return path


def followed(path: Path) -> Path:
    """The file that a link leads to, by however many links; any other path as it is."""
    try:
        return Path(os.path.realpath(path)) if path.is_symlink() else path
    except OSError:  # no path that can be looked at: whoever opens it says why
        return path


def private_folder(path: Path) -> Path:
    """Make `path` and what is missing above it, for this user only (0700), and give it back.

    Raises OSError where it cannot be made.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            atomic.sync(folder.parent)
    return path


def lines(file: TextIO) -> Iterator[str]:
    """The lines of a text file, ends included. Raises OSError at one of more than LONGEST."""
    while line := file.readline(LONGEST + 1):
        if len(line) > LONGEST:
            raise OSError(errno.EFBIG, f"a line has more than {LONGEST:,} letters")
        yield line


def on_disk(path: str) -> Path:
    r"""The file that a stored path names; bytes that are no UTF-8 are stored as `\udcXX`."""
    if "\\udc" not in path or Path(path).exists():
        return Path(path)
    return Path(re.sub(r"\\u(dc[89a-f][0-9a-f])", lambda m: chr(int(m[1], 16)), path))
