"""Where a gallery in Milvus is: read from what was given as --gallery."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from facecli.common.errors import UsageError

FORMS = (
    "milvus://HOST:PORT/COLLECTION (milvus+tls:// where it is encrypted), or "
    "milvus-lite:FILE/COLLECTION"
)
# As a path, milvus://host has lost a slash.
_SCHEME = re.compile(r"(milvus|milvus\+tls|milvus-lite):/*")
_SERVER = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/(\w+)")
_COLLECTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")  # what Milvus allows, less our endings


@dataclass(frozen=True, slots=True)
class Address:
    """uri: for pymilvus, of a server, or the path of a milvus-lite folder.

    collection: of the references; two more with names made from it stand beside. shown: as the
    user writes it.
    """

    uri: str
    collection: str
    shown: str
    lite: bool


def is_address(path: Path) -> bool:
    """Whether this is one, not the path of a gallery file."""
    return _SCHEME.match(path.as_posix()) is not None


def parse(path: Path) -> Address:
    """Read it. Raises UsageError for one that is not whole."""
    text = path.as_posix()
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise UsageError(f"{text} is not the address of a gallery in Milvus: {FORMS}")
    if scheme[1] == "milvus-lite":
        return _lite(text.removeprefix("milvus-lite:"))
    server = _SERVER.fullmatch(text[scheme.end() :])
    if server is None or not _COLLECTION.fullmatch(server[3]):
        raise UsageError(f"{text} is not the address of a gallery in Milvus: {FORMS}")
    tls = scheme[1] == "milvus+tls"
    place = f"{server[1]}:{server[2]}"
    return Address(
        f"{'https' if tls else 'http'}://{place}", server[3],
        f"{scheme[1]}://{place}/{server[3]}", lite=False,
    )  # fmt: skip


def _lite(text: str) -> Address:
    folder, _, collection = text.rpartition("/")
    if not folder.endswith(".db") or not _COLLECTION.fullmatch(collection):
        raise UsageError(
            f"milvus-lite:{text} names no collection in a milvus-lite file, which ends in .db: "
            "milvus-lite:FILE.db/COLLECTION"
        )
    file = str(Path(folder).expanduser().absolute())
    return Address(file, collection, f"milvus-lite:{folder}/{collection}", lite=True)
