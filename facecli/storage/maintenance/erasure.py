"""Erasing people: from the gallery, its journal, its log files and what was derived from it.

    delete -> overwrite in place -> write the file anew -> empty its log -> drop derived files
    -> search the bytes of every file for what was deleted

Backups, exports and copies elsewhere are their owner's. What an SSD, a copy-on-write file system
or a snapshot of the disk keeps, no program can reach: encrypt the disk.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.common.files import save_private
from facecli.common.timestamp import now
from facecli.common.version import __version__
from facecli.storage.interface import Erasure, Vault, Verification
from facecli.storage.sqlite import deletion, sidecar, switch
from facecli.storage.sqlite.byte_search import Needles, pieces
from facecli.storage.sqlite.connection import explained
from facecli.storage.sqlite.deletion import Deleted
from facecli.storage.sqlite.store import Store

_ENCRYPTED = "the encrypted gallery, written anew without it, whose bytes show nothing either way"
_SHORT = 5  # bytes: a shorter name stands in a large file by chance
_STARTS = (b"SQLite format 3\0", b'{"format": "facecli-gallery"')


def one(store: Store, name: str) -> Erasure:
    """Erase everybody who is or was enrolled as `name`, and who was merged into them.

    Raises GalleryError when that is nobody.
    """
    return _erase(store, store.purge(partial(deletion.one, name=name)))


def removed(store: Store) -> Erasure:
    """Erase all that could be undone: removed people and faces, former names."""
    return _erase(store, store.purge(deletion.removed))


def everybody(store: Store) -> Erasure:
    """Erase all people, enrolled or removed. The gallery stays, empty, with its embedder."""
    return _erase(store, store.purge(deletion.everybody))


def _erase(store: Store, deleted: Deleted) -> Erasure:
    try:
        busy = not store.compact()
    except GalleryError as error:
        raise GalleryError(
            f"the people are deleted, but their bytes are not overwritten yet: {error}; then "
            "`facecli gallery purge --removed` ends it"
        ) from error
    _sweep(store.path)
    unproven = () if store.key is None else (_ENCRYPTED,)
    return Erasure(now(), deleted, busy, verify(store, deleted), unproven)


def receipt(store: Vault, done: Erasure, names: bool) -> dict[str, Any]:
    """What was erased, when and how it was verified: no templates, no paths.

    People stand there as the audit log has them, as hashes keyed with the gallery's own secret;
    `names`: by name as well.
    """
    people = sorted(done.deleted.people)
    return {
        "format": "facecli-erasure",
        "version": 1,
        "facecli": __version__,
        "gallery": store.gallery_id(),
        "embedder": store.embedder_id,
        "at": done.at,
        "people": [store.hashed(person) for person in people],
        **({"names": people} if names else {}),
        "references": done.deleted.references,
        "changes": done.deleted.changes,
        "complete": done.complete,
        "files_searched": done.verified.files,
        "strings_sought": done.verified.sought,
        "files_that_still_hold_some": len(done.verified.remains),
        "copies_beside_that_hold_some": len(done.verified.copies),
    }


def write_receipt(store: Vault, done: Erasure, path: Path, names: bool) -> None:
    """Write `receipt` as JSON, 0600. Raises GalleryError where that cannot be done."""
    text = json.dumps(receipt(store, done, names), ensure_ascii=False, indent=2) + "\n"
    try:
        save_private(path, text.encode())
    except OSError as error:
        raise GalleryError(
            f"the erasure is done, but its receipt {path} cannot be written: {error.strerror}"
        ) from error


def verify(store: Store, deleted: Deleted) -> Verification:
    """Search the gallery's files, and galleries and exports beside it, for what was deleted."""
    sought = {p for vector in deleted.vectors for p in pieces(vector)}
    sought |= {_needle(text) for text in deleted.texts}
    needles = Needles(sought)
    found = search(store.path, needles)
    files = list(found)
    shared = store.holds(set().union(*found.values()))
    holding = [file for file in files if found[file] - shared]
    own = [file for file in holding if is_own(file, store.path)]
    copies = [file for file in holding if file not in own]
    return Verification(len(files), len(sought), tuple(own), tuple(copies), len(shared))


def search(gallery: Path, needles: Needles) -> dict[Path, set[bytes]]:
    """What each of the gallery's files, and of galleries and exports beside it, holds of these."""
    found = dict[Path, set[bytes]]()
    with explained(gallery):
        for file in sorted(_files(gallery)):
            with suppress(FileNotFoundError):  # another program's draft, in its place by now
                found[file] = needles.found(file)
    return found


def _needle(text: str) -> bytes:
    """A short name is looked for as the gallery's rows hold it, twice in a row (name and key)."""
    data = text.encode("utf-8", "surrogatepass")
    return data if len(data) >= _SHORT else data + data


def is_own(file: Path, gallery: Path) -> bool:
    """Whether it is the gallery, or a file that facecli or SQLite keep beside it."""
    name = file.name
    return (
        file == gallery
        or name.startswith(f".{gallery.name}.")
        or name in {gallery.name + end for end in ("-wal", "-shm", "-journal")}
        or file in _derived(gallery)
    )


def _files(gallery: Path) -> Iterator[Path]:
    for file in gallery.parent.iterdir():
        if not file.is_symlink() and file.is_file() and (
            is_own(file, gallery) or file.name.startswith(gallery.name) or _may_hold(file)
        ):  # fmt: skip
            yield file


def _may_hold(file: Path) -> bool:
    with suppress(OSError), file.open("rb") as start:
        return start.read(32).startswith(_STARTS)
    return False


def _derived(gallery: Path) -> set[Path]:
    return {sidecar.path(gallery, kind) for kind in sidecar.Kind}


def _sweep(gallery: Path) -> None:
    """Drop what is derived from the gallery, and what killed programs left beside it."""
    with explained(gallery):
        sidecar.discard(gallery)
        for work in switch.work_files(gallery):
            work.unlink()
        atomic.sweep(gallery.parent)
        for draft in gallery.parent.glob(f".{glob.escape(gallery.name)}.*"):
            if not draft.is_dir():  # one that somebody is writing
                draft.unlink(missing_ok=True)
