"""Whether files still hold bytes of what was deleted: the gallery's own, and those beside it.

Backups, exports and copies elsewhere are their owner's. What an SSD, a copy-on-write file system
or a snapshot of the disk keeps, no program can reach: encrypt the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from facecli.storage.interface import ByteSearch, Deleted
from facecli.storage.sqlite.byte_search import Needles, pieces
from facecli.storage.sqlite.connection import explained
from facecli.storage.sqlite.files_beside import is_own

_SHORT = 5  # bytes: a shorter name stands in a large file by chance
_STARTS = (b"SQLite format 3\0", b'{"format": "facecli-gallery"')


def find_remains(
    gallery: Path, deleted: Deleted, held: Callable[[set[bytes]], set[bytes]]
) -> ByteSearch:
    """Search the gallery's files, and galleries and exports beside it, for what was deleted.

    held: those of some bytes that stand in the gallery's rows, for somebody who stays.
    """
    sought = {p for vector in deleted.vectors for p in pieces(vector)}
    sought |= {needle(text) for text in deleted.texts}
    found = search_files(gallery, Needles(sought))
    shared = held(set().union(*found.values()))
    holding = [file for file in found if found[file] - shared]
    own = tuple(file for file in holding if is_own(file, gallery))
    copies = tuple(file for file in holding if file not in own)
    return ByteSearch(len(found), len(sought), own, copies, len(shared))


def search_files(gallery: Path, needles: Needles) -> dict[Path, set[bytes]]:
    """What each of the gallery's files, and of galleries and exports beside it, holds of these."""
    found = dict[Path, set[bytes]]()
    with explained(gallery):
        for file in sorted(_files(gallery)):
            with suppress(FileNotFoundError):  # another program's draft, in its place by now
                found[file] = needles.found(file)
    return found


def needle(text: str) -> bytes:
    """A short name is looked for as the gallery's rows hold it, twice in a row (name and key)."""
    data = text.encode("utf-8", "surrogatepass")
    return data if len(data) >= _SHORT else data + data


def _files(gallery: Path) -> Iterator[Path]:
    for file in gallery.parent.iterdir():
        if not file.is_symlink() and file.is_file() and (
            file.name.removeprefix(".").startswith(gallery.name) or _may_hold(file)
        ):  # fmt: skip
            yield file


def _may_hold(file: Path) -> bool:
    with suppress(OSError), file.open("rb") as start:
        return start.read(32).startswith(_STARTS)
    return False
