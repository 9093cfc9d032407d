"""A file beside the gallery that a scan starts from: written whole, sealed, never changed.

    gallery.facecli          the truth
    gallery.facecli.rabitq   a sidecar for each kind of scan; either can be deleted at any time
    gallery.facecli.eight

The layout, little-endian:

    header    magic "facecli" NUL · format version, kind, dimension u32 · revision u64 ·
              token 16 bytes · templates, payload bytes u64 · agreed, asked u32 ·
              CRC-32 of the payload u32 · CRC-32 of the header so far u32
    payload   the subject ids, i64 each · a FAISS index of their templates, row for row

A sidecar belongs to the gallery whose log holds its revision with its token: a copy from
elsewhere, or one newer than a restored backup, does not. What is broken, cut short or foreign
reads as None: it is rebuilt, never an error. No SQL and no FAISS here.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from facecli.common import atomic
from facecli.storage.records import Seal

MAGIC = b"facecli\0"
VERSION = 1
_FIELDS = struct.Struct("<8sIIIQ16sQQIII")
_CRC = struct.Struct("<I")
_HEADER = _FIELDS.size + _CRC.size


class ScanKind(IntEnum):
    """RABITQ: a bit a dimension, fast. EIGHT: a byte a dimension, with a bound on its error."""

    RABITQ = 1
    EIGHT = 2


@dataclass(frozen=True, slots=True)
class Header:
    """What a sidecar says of itself. count: templates. bytes: the whole file's size.

    agreed, asked: for how many probes of how many it was seen to propose brute force's best.
    """

    kind: ScanKind
    dimension: int
    seal: Seal
    count: int
    bytes: int
    agreed: int
    asked: int


@dataclass(frozen=True, slots=True, eq=False)
class Sidecar:
    """ids: (n,) int64 subject ids, ascending. index: FAISS's own bytes, row i for ids[i]."""

    kind: ScanKind
    dimension: int
    seal: Seal
    ids: NDArray[np.int64]
    index: NDArray[np.uint8]
    agreed: int
    asked: int


def path(gallery: Path, kind: ScanKind) -> Path:
    """Where the gallery's sidecar of this kind lies."""
    return gallery.with_name(f"{gallery.name}.{kind.name.lower()}")


def peek(gallery: Path, kind: ScanKind) -> Header | None:
    """What the sidecar says of itself; None where there is none that can be read."""
    try:
        with path(gallery, kind).open("rb") as file:
            found = _header(file)
    except OSError:
        return None
    return found[0] if found and found[0].kind is kind else None


def read_sidecar(gallery: Path, kind: ScanKind, seal: Seal) -> Sidecar | None:
    """The sidecar with this seal; None where there is none, or it is not sound to the last bit."""
    try:
        with path(gallery, kind).open("rb") as file:
            found = _header(file)
            # Read plainly: a memory map faults page by page, and took ten times as long when cold.
            payload = file.read() if found else b""
    except OSError:
        return None
    if not found or (found[0].kind, found[0].seal) != (kind, seal):
        return None
    header, crc = found
    # FAISS does not notice a flipped bit: it would propose others, in silence.
    if len(payload) != header.bytes - _HEADER or zlib.crc32(payload) != crc:
        return None
    split = header.count * 8
    ids = np.frombuffer(payload, "<i8", header.count)
    index = np.frombuffer(payload, np.uint8, offset=split)
    return Sidecar(kind, header.dimension, seal, ids, index, header.agreed, header.asked)


def write_sidecar(gallery: Path, sidecar: Sidecar) -> None:
    """Put a sidecar in place, whole or not at all, readable by its owner alone.

    Raises OSError where that cannot be done.
    """
    ids = sidecar.ids.astype("<i8").tobytes()
    fields = _FIELDS.pack(
        MAGIC, VERSION, sidecar.kind, sidecar.dimension, sidecar.seal.revision,
        sidecar.seal.token, len(sidecar.ids), len(ids) + len(sidecar.index),
        sidecar.agreed, sidecar.asked, zlib.crc32(sidecar.index.data, zlib.crc32(ids)),
    )  # fmt: skip
    crc, file = _CRC.pack(zlib.crc32(fields)), path(gallery, sidecar.kind)
    if os.path.lexists(file) and not is_sidecar(file):
        raise FileExistsError(errno.EEXIST, "another file of this name is there", str(file))
    atomic.write(file, fields, crc, ids, sidecar.index.data, replace=True, overwrite=True)


def discard_sidecars(gallery: Path) -> None:
    """Delete the gallery's sidecars, also one that is being written, for an erasure.

    They hold templates, coarsely. Raises OSError where one cannot be deleted.
    """
    for kind in ScanKind:
        file = path(gallery, kind)
        if is_sidecar(file) or not os.path.lexists(file):
            atomic.discard(file)


def is_sidecar(file: Path) -> bool:
    """Whether it is one, whole or damaged, and not a user's file of that name, or a link."""
    try:
        with file.open("rb") as opened:
            ours = opened.read(len(MAGIC)) == MAGIC
            return not file.is_symlink() and (ours or atomic.is_erased(file))
    except OSError:
        return False


def _header(file: BinaryIO) -> tuple[Header, int] | None:
    """The header and the payload's CRC; None unless it is sound and the file as long as it says."""
    head = file.read(_HEADER)
    if len(head) != _HEADER or _CRC.unpack(head[-4:])[0] != zlib.crc32(head[:-4]):
        return None
    magic, version, kind, dimension, revision, token, count, size, agreed, asked, crc = (
        _FIELDS.unpack(head[:-4])
    )
    whole = _HEADER + size
    if (magic, version) != (MAGIC, VERSION) or os.fstat(file.fileno()).st_size != whole:
        return None
    if kind not in list(ScanKind) or count * 8 > size:
        return None
    seal = Seal(revision, token)
    return Header(ScanKind(kind), dimension, seal, count, whole, agreed, asked), crc
