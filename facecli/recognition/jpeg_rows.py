"""Whether all rows of a JPEG are there, judged by what is decoded, not by its end marker.

Some cameras write no end marker; and a file that was cut may have got one. libjpeg makes a picture
of any bytes: where the code runs out, the rest is grey. So the question is put to the decoder
itself: with other bytes where the code ends, a whole picture stays as it is, for nobody reads
them, and one whose code ran out early changes there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL.JpegImagePlugin import JpegImageFile

END = b"\xff\xd9"
GREY = 128  # what libjpeg leaves where the code has run out, in every channel
LONG_FILLER = 64  # zeros or ones: as much as this is no code
STRIP = 128  # rows compared at once

_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)  # what ends a scan's code
_TABLES = frozenset({0xC4, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})  # may stand between scans
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # Huffman: baseline, extended, progressive
_ANY = bytes((i * 89 + 41) % 251 for i in range(4096))  # without FF
# With restart markers, for a picture that has them: each gives the decoder another chance.
_OTHER_CODE = _ANY + b"".join(bytes((0xFF, 0xD0 + i % 8)) + _ANY[:256] for i in range(16))


def closed(data: bytes) -> bytes:
    """The very same bytes where they have an end marker, else with one.

    Filler at the end, as an unfinished download has, goes: decoders would take it for code.
    """
    if data.find(END, _header(data).scan) >= 0:
        return data
    kept = data.rstrip(b"\0\xff")
    if len(data) - len(kept) >= LONG_FILLER:
        data = kept + b"\0"
    return data.rstrip(b"\xff") + END


def all_there(data: bytes, picture: Pillow.Image, suspect: bool) -> bool:
    """Whether the code is as long as the picture. data: with an end marker.

    picture: decoded from it, perhaps smaller. suspect: whether it had no end marker of its own;
    any other is looked at closely where its last pixel is what libjpeg leaves.
    """
    header = _header(data)
    if header.progressive and not _complete(header, data):
        return False
    last = np.asarray(picture.getpixel((picture.width - 1, picture.height - 1)))
    if not suspect and np.any(np.abs(last - GREY) > 2):
        return True
    scans = list(_scans(data, header.scan))
    if not scans or not _complete(header, data):
        return False
    # A refinement at a scan's end may not show in a smaller picture.
    reduced = 1 if header.progressive else max(1, round(header.width / picture.width))
    code = data[: scans[-1].end]
    return _alike(_decoded(code + END, reduced), _decoded(code + _OTHER_CODE + END, reduced))


@dataclass(frozen=True, slots=True)
class _Header:
    """scan: where the first scan's marker is. components: their ids, as the frame has them."""

    scan: int
    width: int = 0
    progressive: bool = False
    components: bytes = b""


@dataclass(frozen=True, slots=True)
class _Scan:
    """components: ids. first, last: of the coefficients. low: bits still to come. end: of its code.

    See ITU-T T.81, B.2.3.
    """

    components: bytes
    first: int
    last: int
    low: int
    end: int


def _header(data: bytes) -> _Header:
    """What stands before the pixels; a thumbnail there may hold markers of its own."""
    at, width, progressive, components = 2, 0, False, b""
    while at + 3 < len(data) and data[at : at + 2] != _SCAN:
        if data[at] == 0xFF and data[at + 1] != 0xFF:  # ITU-T T.81 B.1.1: a marker, its length
            if data[at + 1] in _FRAMES:
                width = int.from_bytes(data[at + 7 : at + 9], "big")
                progressive = data[at + 1] == 0xC2
                components = data[at + 10 : at + 10 + 3 * data[at + 9] : 3]
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        else:  # filler, or junk that decoders skip, too
            at += 1
    return _Header(at, width, progressive, components)


def _scans(data: bytes, at: int) -> Iterator[_Scan]:
    """Every scan from the first one's marker on."""
    while data[at : at + 2] == _SCAN and at + 4 < len(data):
        count, after = data[at + 4], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        first, last, bits = (data[at + 5 + 2 * count :][:3] + bytes(3))[:3]
        found = _MARKER.search(data, after)
        end = found.start() if found else len(data)
        yield _Scan(data[at + 5 : at + 5 + 2 * count : 2], first, last, bits & 15, end)
        at = found.end() - 2 if found else end
        while data[at : at + 1] == b"\xff" and at + 3 < len(data) and data[at + 1] in _TABLES:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _complete(header: _Header, data: bytes) -> bool:
    """Whether the scans bring every component, of a progressive picture every bit of it."""
    brought = {
        (component, coefficient)
        for scan in _scans(data, header.scan)
        if not header.progressive or scan.low == 0
        for component in scan.components
        for coefficient in (range(scan.first, scan.last + 1) if header.progressive else (0,))
    }
    each = range(64) if header.progressive else (0,)
    return all((component, k) in brought for component in header.components for k in each)


def _alike(one: Pillow.Image, other: Pillow.Image) -> bool:
    """Pixel by pixel, in strips: large pictures are not copied as a whole."""
    width, height = one.size
    strips = ((0, top, width, min(top + STRIP, height)) for top in range(0, height, STRIP))
    return all(one.crop(strip).tobytes() == other.crop(strip).tobytes() for strip in strips)


def _decoded(data: bytes, reduced: int) -> Pillow.Image:
    picture = JpegImageFile(io.BytesIO(data))
    if reduced > 1:
        width, height = picture.size
        picture.draft(None, (max(1, width // reduced), max(1, height // reduced)))
    picture.load()
    return picture
