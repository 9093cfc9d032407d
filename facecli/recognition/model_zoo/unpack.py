"""The recognition network out of a publisher's zip, in memory: nothing else is ever written."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from facecli.common.errors import ModelError

_LARGEST = 2**30  # bytes; the largest known network has 261 MB
_CHUNK = 2**20  # bytes
_ZIP = b"PK\x03\x04"


def is_zip(path: Path) -> bool:
    """Whether the file begins as a zip does."""
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def take(archive: Path, file: str) -> bytes:
    """The content of the one member called `file`, in whatever folder of the zip.

    Raises ModelError where the zip is damaged, holds an unsafe name anywhere (absolute, `..`, a
    link), holds `file` not exactly once, or would unpack to more than 1 GiB.
    """
    try:
        with zipfile.ZipFile(archive) as pack:
            members = pack.infolist()
            _refuse_unsafe(members)
            found = [member for member in members if PurePosixPath(member.filename).name == file]
            if len(found) != 1:
                raise ModelError(f"The zip holds {len(found)} files called {file} instead of one.")
            return _unpacked(pack, found[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"The zip is damaged or locked ({error}); nothing was used.") from error


def _refuse_unsafe(members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        name = PureWindowsPath(member.filename)  # knows `\\`, drives and `/`
        linked = stat.S_ISLNK(member.external_attr >> 16)
        if name.anchor or ".." in name.parts or linked:
            raise ModelError(
                f"The zip holds the unsafe entry {member.filename!r}, so nothing of it was used. "
                "Fetch it from its publisher."
            )


def _unpacked(pack: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > _LARGEST:
        raise ModelError(f"{member.filename} unpacks to more than 1 GiB, which no model does.")
    # In chunks, zipfile unpacks no more than that size, however much the data would give.
    with pack.open(member) as file:
        return b"".join(iter(lambda: file.read(_CHUNK), b""))
