"""Which kind of gallery a path names, told by its form alone, and how it is opened."""

from __future__ import annotations

from pathlib import Path

from facecli.common.errors import GalleryError, UsageError
from facecli.storage.interface import NOT_A_FILE, Storage
from facecli.storage.keys import Key
from facecli.storage.milvus.address import is_address
from facecli.storage.sqlite import connection, grouping_file
from facecli.storage.sqlite.connection import FileKind
from facecli.storage.sqlite.store import GalleryFile


def present(path: Path, key: Key | None = None) -> bool:
    """Whether there is a gallery. Raises GalleryError where something else is there."""
    if not is_address(path):
        return connection.present(path, key)
    from facecli.storage.milvus.store import MilvusStore  # pymilvus costs 0.7 s

    _refuse(key)
    return MilvusStore.present(path)


def open_storage(path: Path, key: Key | None = None) -> Storage:
    """Open what is there. key: that of an encrypted file.

    Raises GalleryError where it is missing, foreign, too new, or the key does not fit, UsageError
    where the address is not whole.
    """
    if not is_address(path):
        return GalleryFile.open(path, key)
    from facecli.storage.milvus.store import MilvusStore

    _refuse(key)
    return MilvusStore.open(path)


def create_storage(
    path: Path, embedder_id: str, dimension: int, key: Key | None = None, *, to_copy: bool = False
) -> Storage:
    """Open the gallery, made first if it is not there; a new file is encrypted with `key`.

    to_copy: for `copying.copy`, which goes on with what it had begun. Raises
    EmbedderMismatchError when it is there and another embedder's.
    """
    if not is_address(path):
        kinds = (FileKind.GALLERY, FileKind.COPY) if to_copy else (FileKind.GALLERY,)
        return GalleryFile.create(path, embedder_id, dimension, key, kinds)
    from facecli.storage.milvus.store import MilvusStore

    _refuse(key)
    return MilvusStore.create(path, embedder_id, dimension, to_copy)


def file_of(storage: Storage, what: str) -> GalleryFile:
    """The gallery file, for what only files have. Raises GalleryError for another, without it."""
    if not isinstance(storage, GalleryFile):
        raise GalleryError(NOT_A_FILE.format(what=what))
    return storage


def file_path(path: Path, what: str) -> Path:
    """The path of a gallery file. Raises GalleryError where it is in Milvus, without `what`."""
    if is_address(path):
        raise GalleryError(NOT_A_FILE.format(what=what))
    return path


def faults(storage: Storage) -> list[str]:
    """What is wrong with a gallery, and with the grouping beside a file, a line each."""
    beside = (
        grouping_file.faults(storage.path, storage.key) if isinstance(storage, GalleryFile) else []
    )
    return [*storage.reader.faults(), *beside]


def unfinished(storage: Storage) -> tuple[str, ...]:
    """What was begun beside a gallery file and not finished, a line each."""
    return storage.unfinished() if isinstance(storage, GalleryFile) else ()


def _refuse(key: Key | None) -> None:
    if key is not None:
        raise UsageError(
            "--key-file is a gallery file's: encrypt a Milvus server's disks and its connection"
        )
