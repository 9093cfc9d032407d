"""Which kind of gallery a path names, and the one that opens it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facecli.common.errors import GalleryError, UsageError
from facecli.storage.interface import NOT_A_FILE, Vault
from facecli.storage.keys import Key
from facecli.storage.milvus.address import is_address
from facecli.storage.sqlite import connection
from facecli.storage.sqlite.local import create_file, open_file


@dataclass(frozen=True, slots=True)
class Engine:
    """present: whether there is a gallery; open; create, with embedder id and dimension."""

    present: Callable[[Path, Key | None], bool]
    open: Callable[[Path, Key | None], Vault]
    create: Callable[[Path, str, int, Key | None], Vault]


def of(path: Path) -> Engine:
    """What keeps the gallery that is named so: told by the form of the path alone."""
    return MILVUS if is_address(path) else FILES


def file(path: Path, what: str) -> Path:
    """The path of a gallery file. Raises GalleryError where it is in Milvus, without `what`."""
    if is_address(path):
        raise GalleryError(NOT_A_FILE.format(what=what))
    return path


def _milvus_present(path: Path, key: Key | None) -> bool:
    from facecli.storage.milvus.store import MilvusVault  # pymilvus costs 0.7 s

    return MilvusVault.present(_without(path, key))


def _milvus_open(path: Path, key: Key | None) -> Vault:
    from facecli.storage.milvus.store import MilvusVault

    return MilvusVault.open(_without(path, key))


def _milvus_create(path: Path, embedder_id: str, dimension: int, key: Key | None) -> Vault:
    from facecli.storage.milvus.store import MilvusVault

    return MilvusVault.create(_without(path, key), embedder_id, dimension)


def _without(path: Path, key: Key | None) -> Path:
    if key is not None:
        raise UsageError(
            "--key-file is a gallery file's: encrypt a Milvus server's disks and its connection"
        )
    return path


FILES = Engine(connection.present, open_file, create_file)
MILVUS = Engine(_milvus_present, _milvus_open, _milvus_create)
