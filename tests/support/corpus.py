"""Bad photos of every kind, made from one good portrait, each with what may become of it."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facecli.common.enums import Reason

SIDE = 20_000  # px: squared, more than twice the limit
DAMAGED = frozenset({Reason.TRUNCATED})
FACELESS = frozenset({Reason.NO_FACE})
HUGE = frozenset({Reason.TOO_LARGE})
STRANGE = frozenset({Reason.UNREADABLE, Reason.TRUNCATED})
FLIPPED = frozenset({Reason.TRUNCATED, Reason.NOT_AN_IMAGE, Reason.TOO_LARGE, Reason.NO_FACE})
FLIPPED |= {Reason.LOW_QUALITY, Reason.UNREADABLE}
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class Case:
    """A file and its documented outcomes. reasons: for which it may be skipped, empty for none.

    usable: whether it may be enrolled; one of a certain outcome has either.
    """

    name: str
    content: bytes
    reasons: frozenset[Reason] = frozenset()
    usable: bool = False


def cases(portrait: Path, seed: int = 0) -> Iterator[Case]:
    """All of them, in no order of names. portrait: one clear face."""
    with Image.open(portrait) as opened:
        photo = opened.convert("RGB").resize((200, 240))
    encoded = dict(_formats(photo))
    yield from (Case(f"good{end}", data, usable=True) for end, data in encoded.items())
    yield from _truncated(encoded)
    yield from _flipped(encoded, seed)
    yield from _misnamed(encoded)
    yield from _bombs()
    yield from _shapes()
    yield from _samples(photo)
    yield from _exif(photo)
    yield from _framed(photo)


def crowd(portrait: Path, across: int = 20, down: int = 15, side: int = 72) -> bytes:
    """A photo of across x down faces, a PNG."""
    with Image.open(portrait) as opened:
        face = opened.convert("RGB").resize((side, side * 6 // 5))
    sheet = Image.new("RGB", (across * face.width, down * face.height))
    for number in range(across * down):
        sheet.paste(face, (number % across * face.width, number // across * face.height))
    return save(sheet, "PNG")


def save(picture: Image.Image, form: str, **options: object) -> bytes:
    """The picture as the bytes of a file."""
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def _formats(photo: Image.Image) -> Iterator[tuple[str, bytes]]:
    yield ".jpg", save(photo, "JPEG", quality=92)
    yield ".jpeg", save(photo, "JPEG", quality=92, progressive=True)
    yield ".png", save(photo, "PNG")
    yield ".webp", save(photo, "WEBP", lossless=True)
    yield ".gif", save(photo, "GIF")
    yield ".bmp", save(photo, "BMP")
    yield ".tif", save(photo, "TIFF")
    yield ".tiff", save(photo, "TIFF", compression="tiff_lzw")
    yield ".avif", save(photo, "AVIF", quality=95)


def _truncated(encoded: dict[str, bytes]) -> Iterator[Case]:
    """Cut at every kilobyte, and where the header ends."""
    yield Case("empty.jpg", b"", frozenset({Reason.NOT_AN_IMAGE}))
    for end, data in encoded.items():
        for at in (20, 100, *range(1024, len(data), 1024)):
            yield Case(f"cut-{at:06}{end}", data[:at], DAMAGED)


def _flipped(encoded: dict[str, bytes], seed: int) -> Iterator[Case]:
    """One to eight bits turned over, anywhere; a decoder may not notice."""
    draw = random.Random(seed)
    for end, data in encoded.items():
        for number in range(12):
            wrong = bytearray(data)
            for _ in range(1 << number % 4):
                place = draw.randrange(len(data) if number % 2 else min(len(data), 200))
                wrong[place] ^= 1 << draw.randrange(8)
            yield Case(f"flip-{number:02}{end}", bytes(wrong), FLIPPED, usable=True)


def _misnamed(encoded: dict[str, bytes]) -> Iterator[Case]:
    """Names are not believed: what the bytes are decides."""
    yield Case("a-png.jpg", encoded[".png"], usable=True)
    yield Case("a-jpeg.heic", encoded[".jpg"], usable=True)
    texts = {
        "text": b"not a photo",
        "program": b"\x7fELF" + bytes(64),
        "zip": b"PK\3\4" + bytes(64),
    }
    texts |= {"svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "pdf": b"%PDF-1.7\n"}
    for name, content in texts.items():
        yield Case(f"{name}.jpg", content, frozenset({Reason.NOT_AN_IMAGE}))


def _bombs() -> Iterator[Case]:
    """A few kilobytes that would decode to more than a gigabyte, and one that may."""
    rows = zlib.compress(bytes(SIDE * (SIDE // 8 + 1)), 9)
    yield Case("bomb.png", _png(SIDE, SIDE, rows, depth=1), HUGE)
    yield Case("bomb-header.png", _png(2**31 - 1, 2**31 - 1, rows[:99]), HUGE | DAMAGED)
    yield Case("bomb.gif", _gif(65_535, 65_535), HUGE)
    yield Case("bomb.tif", _tiff(SIDE, SIDE), HUGE)
    yield Case("bomb-lie.tif", _tiff(9_000, 9_000), DAMAGED)  # small enough, but nothing inside
    yield Case("bomb.webp", _webp(16_384, 16_384), HUGE | DAMAGED)
    text = zlib.compress(bytes(1 << 26), 9)
    small = _png(8, 8, zlib.compress(bytes(8 * 25)), (b"zTXt", b"a\0\0" + text))
    yield Case("bomb-text.png", small, DAMAGED | FACELESS)


def _shapes() -> Iterator[Case]:
    for width, height in ((1, 1), (1, 2), (60_000, 1), (1, 60_000), (3_000, 2)):
        picture = Image.new("RGB", (width, height), (120, 90, 60))
        yield Case(f"{width}x{height}.png", save(picture, "PNG"), FACELESS)
    for width, height in ((0, 0), (0, 7)):
        yield Case(f"{width}x{height}.png", _png(width, height, zlib.compress(b"")), DAMAGED)


def _samples(photo: Image.Image) -> Iterator[Case]:
    """Kinds of samples: what has an agreed meaning is used, the rest refused."""
    yield Case("cmyk.jpg", save(photo.convert("CMYK"), "JPEG", quality=92), usable=True)
    yield Case("palette.png", save(photo.convert("P"), "PNG"), usable=True)
    yield Case("alpha.png", save(photo.convert("RGBA"), "PNG"), usable=True)
    grey = np.asarray(photo.convert("L"))
    yield Case("grey.png", save(Image.fromarray(grey), "PNG"), usable=True)
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    yield Case("16-bit.png", save(wide, "PNG"), usable=True)
    yield Case("16-bit.tif", save(wide, "TIFF"), usable=True)
    real = grey.astype(np.float32) / 255
    yield Case("float.tif", save(Image.fromarray(real), "TIFF"), STRANGE)
    yield Case("nan.tif", save(Image.fromarray(real * np.nan), "TIFF"), STRANGE)
    frames = [photo.rotate(angle) for angle in (0, 90, 180)]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        data = save(photo, form, save_all=True, append_images=frames)
        yield Case(f"animated.{form.lower()}", data, usable=True)


def _exif(photo: Image.Image) -> Iterator[Case]:
    for orientation, turn in STORED.items():
        stored = photo if turn is None else photo.transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = save(stored, "JPEG", quality=92, exif=exif)
        yield Case(f"exif-{orientation}.jpg", data, usable=True)
    data = save(photo, "JPEG", quality=92)
    for name, length in (("ends", 30), ("reaches-on", 32), ("lies", 0xFFFF)):
        block = b"\xff\xe1" + struct.pack(">H", length) + b"Exif\0\0II*\0" + b"\xff" * 18
        content = data[:2] + block + data[2:]
        yield Case(
            f"exif-{name}.jpg", content, frozenset() if length < 99 else DAMAGED, length < 99
        )
    exif = Image.Exif()
    exif[0x0112] = 77
    yield Case("exif-77.jpg", save(photo, "JPEG", quality=92, exif=exif), usable=True)


def _framed(photo: Image.Image) -> Iterator[Case]:
    """Faces that are there in part, upside down, or not at all."""
    half = photo.crop((photo.width // 2, 0, photo.width, photo.height))
    poor = FACELESS | {Reason.LOW_QUALITY}
    yield Case("half-outside.png", save(half, "PNG"), poor, usable=True)
    yield Case("upside-down.png", save(photo.rotate(180), "PNG"), poor, usable=True)
    yield Case("nobody.png", save(Image.new("RGB", (300, 300), (90, 120, 150)), "PNG"), FACELESS)
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    yield Case("noise.png", save(Image.fromarray(noise), "PNG"), FACELESS)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, rows: bytes, *more: tuple[bytes, bytes], depth: int = 8) -> bytes:
    """A PNG (ISO/IEC 15948) of any size; rows: zlib data. depth 1 is grey, 8 is RGB."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0 if depth == 1 else 2, 0, 0, 0)
    parts = ((b"IHDR", header), *more, (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _gif(width: int, height: int) -> bytes:
    """GIF89a: one frame as large as the screen, and nothing in it."""
    screen = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\0\x02\x02\x4c\x01\0;"
    return screen + frame


def _tiff(width: int, height: int) -> bytes:
    """TIFF 6.0: 8-bit grey in one strip that the file does not hold."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, width * height)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


def _webp(width: int, height: int) -> bytes:
    """An extended WebP header (RFC 9649) of that canvas, with a frame of 8 x 8 px."""
    small = save(Image.new("RGB", (8, 8)), "WEBP", lossless=True)[12:]
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + small
    return b"RIFF" + struct.pack("<I", len(body)) + body


def near_bomb(side: int) -> bytes:
    """A black PNG of side x side px, a few hundred kilobytes."""
    return _png(side, side, zlib.compress(bytes(side * (3 * side + 1)), 9))
