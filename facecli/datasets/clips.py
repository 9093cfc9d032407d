"""Which files are moving pictures: told by their first bytes, never by their names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

HEAD = 2048  # bytes that are looked at
SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"}
    | {".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".mxf", ".y4m", ".vob"}
)
"""What clips are called: a file called so is looked at in a folder, whatever it holds."""

# ISO/IEC 14496-12: a box's length, then its type. A still picture's `ftyp` names one of _STILL.
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_STILL = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MAGIC = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM: EBML's header
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV
    b"OggS",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF: a partition's key
    b"YUV4MPEG2 ",
    b"\0\0\x01\xba",  # MPEG program stream: a pack
    b"\0\0\x01\xb3",  # MPEG video: a sequence
    b"\0\0\0\x01\x67",  # H.264: a sequence parameter set
    b"\0\0\0\x01\x40\x01",  # H.265: a video parameter set
)
_PACKET = 188  # bytes of an MPEG transport stream's packet, which begins with SYNC
_SYNC = 0x47


def is_clip(path: Path) -> bool:
    """Whether a file holds moving pictures, or sound in the same wrapping; False where no file can
    be read. An animated GIF or WebP is a photo, see `is_animation`.
    """
    return _is_clip(_head(path))


def is_animation(path: Path) -> bool:
    """Whether a file is of a photo's format that may hold several frames: GIF, WebP, PNG, AVIF."""
    head = _head(path)
    return (
        head.startswith((b"GIF87a", b"GIF89a"))
        or (head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8X")
        or (head.startswith(b"\x89PNG") and b"acTL" in head)
        or (head[4:8] == b"ftyp" and b"avis" in head[8:64])
    )


def _head(path: Path) -> bytes:
    """A file's first bytes; none where it is no regular file, which opening might wait for."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (Path's refuses NUL bytes less)
            return b""
        with path.open("rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""


def _is_clip(head: bytes) -> bool:
    if head[4:8] in _BOXES and head[0] < ord(" "):  # a length, and no text
        length = int.from_bytes(head[:4], "big")
        return head[4:8] != b"ftyp" or not any(brand in head[8:length] for brand in _STILL)
    if head.startswith(b"RIFF"):
        return head[8:12] == b"AVI "
    return head.startswith(_MAGIC) or _is_transport_stream(head)


def _is_transport_stream(head: bytes) -> bool:
    """Several packets one after the other; of a Blu-ray disc with four bytes before each."""
    for lead in (0, 4):
        marks = head[lead :: _PACKET + lead]
        if len(marks) >= 5 and set(marks) == {_SYNC}:
            return True
    return False
