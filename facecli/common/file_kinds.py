"""What a file is by its first bytes: a photo, a camera's raw file, a video, or something else.

Names are not believed: a JPEG is one under any name. Only where many formats share their first
bytes, as cameras' raw files share those of TIFF, does the name's ending tell which of them it is.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

HEAD = 4096
"""Bytes that suffice to tell."""


CLIP_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"}
    | {".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".y4m", ".vob"}
)


class Family(StrEnum):
    """What can be done with a file. RAW: a camera's, which holds a photo as a preview."""

    PHOTO = "photo"
    RAW = "raw"
    VIDEO = "video"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FileKind:
    """name: of the format, as people write it (`JPEG`, `CR2`, `MOV`); empty where it is unknown."""

    name: str
    family: Family


UNKNOWN = FileKind("", Family.OTHER)

TRANSPORT_STREAM = FileKind("TS", Family.VIDEO)
TRANSPORT_PACKETS = (188, 192)
"""Bytes of a packet, ISO/IEC 13818-1, 2.4.3.2; on discs with four more before each."""

_PHOTOS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # 6.0, and BigTIFF
_PNM = re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s")  # PBM, PGM and PPM, as text or bytes
_RAWS = {
    b"IIRO": "ORF", b"IIRS": "ORF", b"MMOR": "ORF", b"IIU\0": "RW2", b"FUJIFILMCCD-RAW": "RAF",
    b"FOVb": "X3F", b"\0MRM": "MRW", b"II\x1a\0\0\0HEAPCCDR": "CRW",
}  # fmt: skip
_TIFF_RAWS = frozenset(
    {"3fr", "arw", "cr2", "dcr", "dng", "erf", "fff", "gpr", "iiq", "kdc", "mef", "mos", "nef"}
    | {"nrw", "pef", "raw", "rwl", "sr2", "srf", "srw"}
)
_VIDEOS = {
    b"\x1aE\xdf\xa3": "MKV", b"\0\0\1\xba": "MPEG", b"\0\0\1\xb3": "MPEG", b"FLV\1": "FLV",
    b"0&\xb2u\x8ef\xcf\x11": "WMV", b"OggS": "OGG", b".RMF": "RM",
    b"\x06\x0e\x2b\x34\2\5\1\1": "MXF", b"YUV4MPEG2 ": "Y4M", b"\0\0\0\1\x67": "H264",
}  # fmt: skip
_OTHERS = {
    b"%PDF-": "PDF", b"PK\3\4": "ZIP", b"PK\5\6": "ZIP", b"Rar!\x1a\7": "RAR", b"7z\xbc\xaf": "7Z",
    b"\x1f\x8b": "GZ", b"8BPS": "PSD", b"gimp xcf": "XCF", b"%!PS": "EPS", b"ID3": "MP3",
    b"fLaC": "FLAC", b"SQLite format 3\0": "SQLite", b"\xff\x0a": "JXL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JXL", b"\0\0\0\x0cjP  \r\n\x87\n": "JP2",
    b"\xff\x4f\xff\x51": "JP2", b"\0\0\1\0": "ICO", b"MZ": "EXE", b"\x7fELF": "ELF",
    b"<svg": "SVG",
}  # fmt: skip
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)\b", re.IGNORECASE)
_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_OLD_MOV = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # QuickTime before `ftyp`


def file_kind(head: bytes, suffix: str = "") -> FileKind:
    """What these first bytes begin. suffix: of the file's name, for what they leave open.

    HEAD bytes suffice, or all where the file has fewer; more may be given.
    """
    if name := _begins(head, _PHOTOS):
        return FileKind(name, Family.PHOTO)
    if head.startswith(_TIFF):
        raw = _raw_in_tiff(head, suffix)
        return FileKind(raw, Family.RAW) if raw else FileKind("TIFF", Family.PHOTO)
    if head[:4] == b"RIFF":
        return _riff(head)
    if head[4:8] == b"ftyp":
        return _base_media(head)
    if _PNM.match(head):
        return FileKind("PNM", Family.PHOTO)
    if name := _begins(head, _RAWS):
        return FileKind(name, Family.RAW)
    if name := _begins(head, _VIDEOS):
        return FileKind("WEBM" if b"webm" in head[:64] else name, Family.VIDEO)
    if head[4:8] in _OLD_MOV and head[0] < ord(" "):  # after a length, not within a word
        return FileKind("MOV", Family.VIDEO)
    if _is_transport_stream(head):
        return TRANSPORT_STREAM
    if _PAGE.match(head):  # what a server sent instead of the photo
        return FileKind("HTML", Family.OTHER)
    name = _begins(head, _OTHERS)
    return FileKind(name, Family.OTHER) if name else UNKNOWN


def kind_of(path: Path) -> FileKind | None:
    """What the file there is; None where it is no regular file, or cannot be read."""
    try:
        # Asked first: opening a FIFO would wait for a writer.
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (once a file of a folder)
            return None
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file_kind(file.read(HEAD), path.suffix)
    except (OSError, ValueError):
        return None


def is_animation(path: Path) -> bool:
    """Whether a photo is of a kind that may hold several frames: GIF, WebP, PNG, AVIF."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError):
        return False
    marks = {"GIF": b"GIF8", "WEBP": b"WEBPVP8X", "PNG": b"acTL", "AVIF": b"avis"}
    mark = marks.get(file_kind(head).name)
    return mark is not None and mark in head


def reads_raw() -> bool:
    """Whether the extra that reads cameras' raw files is installed."""
    return find_spec("rawpy") is not None


def tiff_tags(data: bytes) -> dict[int, int]:
    """The first value of each whole-number tag of a TIFF's first picture (TIFF 6.0, BigTIFF).

    What does not lie within `data` is left out.
    """
    order = "little" if data[:2] == b"II" else "big"
    big = data[2:4] in (b"+\0", b"\0+")
    width = 8 if big else 4  # of offsets and counts

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]

    at = number(8, 8) if big else number(4, 4)
    head = 8 if big else 2
    tags: dict[int, int] = {}
    for entry in range(at + head, at + head + (width * 2 + 4) * min(number(at, head), 512),
                       width * 2 + 4):  # fmt: skip
        size = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}.get(number(entry + 2, 2))
        value = entry + 4 + width
        if size is None or value + width > len(data):
            continue
        if size * number(entry + 4, width) > width:
            value = number(value, width)
        if value + size <= len(data):
            tags[number(entry, 2)] = number(value, size)
    return tags


def _begins(head: bytes, magics: dict[bytes, str]) -> str:
    return next((name for magic, name in magics.items() if head.startswith(magic)), "")


def _raw_in_tiff(head: bytes, suffix: str) -> str:
    """Which camera's raw file a TIFF is; empty for a picture."""
    ending = suffix.removeprefix(".").lower()
    if head[8:10] == b"CR":
        return "CR2"
    tags = tiff_tags(head)
    if 50706 in tags:  # DNGVersion
        return "DNG"
    mosaic = tags.get(262) in (32803, 34892)  # photometric: a colour filter array, linear raw
    preview = bool(tags.get(254, 0) & 1) and 330 in tags  # smaller, and the whole one is inside
    if ending in _TIFF_RAWS:
        return ending.upper()
    return "RAW" if mosaic or preview else ""


def _is_transport_stream(head: bytes) -> bool:
    """A sync byte at the beginning of each packet."""
    return any(
        len(head) > at + 2 * every and set(head[at::every]) == {0x47} and b"\0" in head
        for at, every in zip((0, 4), TRANSPORT_PACKETS, strict=True)
    )


def _riff(head: bytes) -> FileKind:
    form = head[8:12]
    if form == b"WEBP":
        return FileKind("WEBP", Family.PHOTO)
    if form == b"AVI ":
        return FileKind("AVI", Family.VIDEO)
    return FileKind("WAV", Family.OTHER) if form == b"WAVE" else UNKNOWN


def _base_media(head: bytes) -> FileKind:
    """ISO/IEC 14496-12: the major brand, a version, then more brands."""
    end = min(64, int.from_bytes(head[:4], "big"))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    if _AVIF & set(brands):
        return FileKind("AVIF", Family.PHOTO)
    if b"crx " in brands:
        return FileKind("CR3", Family.RAW)
    if _HEIF & set(brands):
        return FileKind("HEIF", Family.PHOTO)
    if brands[0] in (b"M4A ", b"M4B "):
        return FileKind("M4A", Family.OTHER)
    names = {b"qt  ": "MOV", b"M4V ": "M4V", b"3gp": "3GP"}
    return FileKind(_begins(brands[0], names) or "MP4", Family.VIDEO)
