"""A photo's bytes -> upright pixels. The only place that reads and decodes photos.

One decoder, Pillow, for every format. OpenCV's `imdecode` is quicker, but it lets libjpeg and
libpng write on stderr, drops alpha so that hidden pixels show, ignores AVIF's orientation, and
up to 4.10 hands out a grey tail for a JPEG whose end was overwritten with zeros. Of a camera's raw
file the preview is read that the camera put into it, a JPEG as a rule, by LibRaw (an extra).

Not handled: colour profiles (a Display P3 photo is read as sRGB; embedders do not mind),
frames after the first, and a lossy WebP whose end was overwritten: its code has no check of its
own.
"""

from __future__ import annotations

import hashlib
import io
import logging
import stat
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageSequence, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from facecli.common.enums import Reason
from facecli.common.file_kinds import Family, file_kind, tiff_tags
from facecli.common.files import not_there
from facecli.common.types import FailureToAcquire, Image
from facecli.recognition import jpeg_rows

MAX_PIXELS = 178_956_970
"""Width x height at most: Pillow's own hard limit, about 0.5 GB of pixels. Only lower it."""

MAX_BYTES = 1 << 29
"""File size at most, in bytes (512 MiB)."""

STRIP = 128  # rows that are converted at once: they stay in the processor's cache

_ORIENTATION = 0x0112  # EXIF 2.32, tag 274
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}

_FLIPPED = {  # by LibRaw's `flip`: how the sensor was held
    3: Pillow.Transpose.ROTATE_180,
    5: Pillow.Transpose.ROTATE_90,
    6: Pillow.Transpose.ROTATE_270,
}

# Pillow warns about corrupt EXIF and large sizes; both are decided here. `catch_warnings` is not
# thread-safe, so the filter is set once, for Pillow's modules alone.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Python prints them on stderr


def read_photo(path: Path) -> bytes | FailureToAcquire:
    """The bytes of a regular file; links are followed. Never blocks, never raises OSError."""
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):  # opening a FIFO would wait for a writer
            return FailureToAcquire(str(path), Reason.UNREADABLE, f"{_kind(info.st_mode)}")
        if info.st_size > MAX_BYTES:
            detail = f"the file has {info.st_size >> 20} MiB, the limit is {MAX_BYTES >> 20}"
            return FailureToAcquire(str(path), Reason.TOO_LARGE, detail)
        return path.read_bytes()
    except FileNotFoundError:
        return FailureToAcquire(str(path), Reason.NOT_FOUND, not_there(path))
    except OSError as error:
        return FailureToAcquire(str(path), Reason.UNREADABLE, error.strerror or str(error))
    except ValueError as error:  # a NUL byte in the path
        return FailureToAcquire(str(path), Reason.NOT_FOUND, str(error))


def sha256_of(path: Path) -> str | FailureToAcquire:
    """A regular file's, in hexadecimal, however large it is. Never blocks, never raises OSError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return FailureToAcquire(str(path), Reason.UNREADABLE, "not a regular file")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return FailureToAcquire(str(path), Reason.NOT_FOUND, not_there(path))
    except (OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        return FailureToAcquire(str(path), Reason.UNREADABLE, detail)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A photo's pixels, perhaps fewer than it has.

    image: upright (H, W, 3) uint8 BGR. scale: px of the photo per px of it, 1, 2, 4 or 8. A point
    at p in the view is at (p + 0.5) * scale - 0.5 in the photo.
    """

    image: Image
    scale: int


def decode(data: bytes, path: str, max_pixels: int = MAX_PIXELS) -> Image | FailureToAcquire:
    """Upright pixels, (H, W, 3) uint8 BGR, C-contiguous and writable.

    EXIF orientation is applied, alpha composited over white, 16-bit samples scaled to 8, CMYK
    converted; of an animation the first frame. `path` only names the photo in a failure.
    The size is checked against `max_pixels` from the header, before any pixel is decoded.
    """
    view = decode_view(data, path, None, max_pixels)
    return view.image if isinstance(view, View) else view


def decode_view(
    data: bytes, path: str, side: int | None, max_pixels: int = MAX_PIXELS
) -> View | FailureToAcquire:
    """As `decode`, but of a large JPEG only every second, fourth or eighth pixel is made.

    side: px that the long side keeps at least; None takes all pixels. libjpeg shrinks in the
    frequency domain, by averages, in a fraction of the time. Other formats come in full.
    """
    kind = file_kind(data, Path(path).suffix)
    try:
        if kind.family is Family.RAW:
            return _raw_view(data, path, side, max_pixels)
        if kind.family is not Family.PHOTO:
            what = f"it is {kind.name}; " if kind.name else ""
            detail = what + _NOT_AN_IMAGE if data else "the file is empty; fetch it again"
            raise _Refused(Reason.NOT_AN_IMAGE, detail)
        given = data
        if kind.name == "JPEG":
            data = jpeg_rows.closed(given)
        with _open(data, kind.name) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                detail = f"{width} x {height}, the limit is {max_pixels:,} pixels; shrink it first"
                raise _Refused(Reason.TOO_LARGE, detail)
            if kind.name == "PNG":
                _check_chunks(data)
            if kind.name == "TIFF":
                _check_planes(data)
            scale = 1 if side is None else _reduce(picture, side)
            picture.load()
            if kind.name == "JPEG" and not jpeg_rows.all_there(data, picture, data is not given):
                raise _Refused(Reason.TRUNCATED, "JPEG: the end is missing; fetch the file again")
            return View(_to_bgr(_eight_bit(_turn(picture), kind.name)), scale)
    except Exception as error:
        return _failure(error, path, kind.name)


def animation(data: bytes, path: str) -> Iterator[tuple[float, Image] | FailureToAcquire]:
    """Every frame of an animated picture, as `decode` gives the first, with the second it appears
    at; last of all why it is not all of them.
    """
    form, seconds = file_kind(data).name, 0.0
    try:
        with _open(data, form) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise _Refused(Reason.TOO_LARGE, f"the limit is {MAX_PIXELS:,} pixels")
            for frame in ImageSequence.Iterator(picture):
                yield seconds, _to_bgr(frame.copy())
                seconds += frame.info.get("duration", 100) / 1000
    except Exception as error:
        yield _failure(error, path, form)


def _failure(error: Exception, path: str, form: str) -> FailureToAcquire:
    if isinstance(error, _Refused):
        return FailureToAcquire(path, error.reason, str(error))
    if isinstance(error, Pillow.DecompressionBombError | MemoryError):
        return FailureToAcquire(path, Reason.TOO_LARGE, str(error))
    # Pillow's plugins raise nearly any type on damaged bytes
    return FailureToAcquire(path, Reason.TRUNCATED, f"{form}: {_first_line(error)}")


_NOT_AN_IMAGE = "not a JPEG, PNG, WebP, TIFF, GIF, BMP, PNM, AVIF or HEIC file"


class _Refused(Exception):
    """A readable picture that is not accepted, with the reason and what to do."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _open(data: bytes, form: str) -> Pillow.Image:
    """The picture with its header read. Raises _Refused where a decoder is missing."""
    if form == "HEIF":
        try:
            from pillow_heif import HeifImageFile  # optional, and slow to import
        except ImportError:
            detail = "HEIC needs the extra: pip install 'facecli[heif]'"
            raise _Refused(Reason.NEEDS_EXTRA, detail) from None
        opener: Callable[[io.BytesIO], Pillow.Image] = HeifImageFile
        return opener(io.BytesIO(data))
    try:
        if form == "JPEG":  # by its own class: `open` imports the code of five formats first
            return JpegImageFile(io.BytesIO(data))
        return Pillow.open(io.BytesIO(data), formats=["PPM" if form == "PNM" else form])
    except (UnidentifiedImageError, SyntaxError):
        if form == "TIFF" and (said := _unread_tiff(data)):
            raise _Refused(Reason.UNREADABLE, said) from None
        if form == "AVIF" and not _reads_avif():
            detail = "this Pillow reads no AVIF: pip install --upgrade 'pillow>=11.3'"
            raise _Refused(Reason.NEEDS_EXTRA, detail) from None
        raise _Refused(Reason.TRUNCATED, f"begins like {form}, but its header is damaged") from None


_SAVE_AS = "save it with 8 or 16 bits a sample"


def _unread_tiff(data: bytes) -> str:
    """What keeps a TIFF from being read; empty where its header does not tell."""
    if data.startswith(b"MM\0+"):
        return "a BigTIFF with the high byte first; save it as a plain TIFF"
    tags = tiff_tags(data)
    if not {256, 257, 258} <= set(tags):  # width, height, bits a sample
        return ""
    kind = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}.get(
        tags.get(339, 1), ""
    )
    if not kind and tags[258] in (1, 2, 4, 8, 16) and tags.get(284) != 2:
        return ""
    count = tags.get(277, 1)
    planes = " in planes of their own" if tags.get(284) == 2 else ""
    return f"a TIFF of {count} {kind}samples of {tags[258]} bits a pixel{planes}; {_SAVE_AS}"


def _check_planes(data: bytes) -> None:
    """Raise for a TIFF with planes of 16 bits: Pillow reads their bytes as samples of 8."""
    tags = tiff_tags(data)
    if tags.get(284) == 2 and tags.get(277, 1) > 1 and tags.get(258, 8) > 8:
        raise _Refused(Reason.UNREADABLE, _unread_tiff(data))


def _check_chunks(data: bytes) -> None:
    """Raise where a PNG's end was lost but its place is filled, as in an unfinished download."""
    with Pillow.open(io.BytesIO(data), formats=["PNG"]) as chunks:
        chunks.verify()  # every chunk's CRC, which loading skips; decodes no pixel


def _raw_view(data: bytes, path: str, side: int | None, max_pixels: int) -> View | FailureToAcquire:
    """The preview inside a camera's raw file.

    Raises _Refused without the extra or a preview, and where the preview's end is missing.
    """
    try:
        import rawpy  # optional
    except ImportError:
        detail = "a camera's raw file needs the extra: pip install 'facecli[raw]'"
        raise _Refused(Reason.NEEDS_EXTRA, detail) from None

    def preview_in(data: bytes) -> tuple[Pillow.Transpose | None, bytes | Image]:
        with rawpy.imread(io.BytesIO(data)) as raw:
            return _FLIPPED.get(raw.sizes.flip), raw.extract_thumb().data

    try:
        flip, preview = preview_in(data)
    except rawpy.LibRawNoThumbnailError:
        raise _Refused(Reason.UNREADABLE, "it holds no preview; develop it to a JPEG") from None
    # Of a file that is cut LibRaw hands out what its memory held before: another photo, perhaps.
    cut = _Refused(Reason.TRUNCATED, "the end of its preview is missing; fetch the file again")
    if not isinstance(preview, bytes):  # (H, W, 3) uint8 RGB
        dark, light = (preview_in(data + fill * preview.size)[1] for fill in (b"\0", b"\xff"))
        if not np.array_equal(dark, light):
            raise cut
        return View(_to_bgr(_turned(Pillow.fromarray(preview), flip)), 1)
    own = 4 + int.from_bytes(preview[4:6], "big")  # after an EXIF block that LibRaw may put before
    if preview not in data and preview[own:] not in data:
        raise cut
    found = decode_view(preview, path, side, max_pixels)
    if isinstance(found, FailureToAcquire) or _says_which_way_up(preview):
        return found
    return View(np.array(_turned(Pillow.fromarray(found.image), flip)), found.scale)


def _says_which_way_up(jpeg: bytes) -> bool:
    with JpegImageFile(io.BytesIO(jpeg)) as picture:
        return _ORIENTATION in picture.getexif()


def _reduce(picture: Pillow.Image, side: int) -> int:
    """Make the picture decode as small as `side` allows; how many times smaller that is."""
    longest = max(picture.size)
    scale = next((s for s in (8, 4, 2) if longest // s >= side), 1)
    if scale == 1:
        return 1
    width, height = (max(1, length // scale) for length in picture.size)
    drafted = picture.draft(None, (width, height))  # None for formats that cannot
    return round(longest / max(drafted[1][2:])) if drafted else 1


def _reads_avif() -> bool:
    from PIL import features  # only asked after a failure

    return "avif" in features.get_supported_modules()


@dataclass(frozen=True, slots=True)
class Frame:
    """How a photo lies in its file. size: (width, height) as stored, px; (0, 0) where it cannot be
    read. orientation: its EXIF's, 1 to 8; 1, upright, where it has none.
    """

    size: tuple[int, int]
    orientation: int


def frame(data: bytes, path: str) -> Frame:
    """What a photo's header says, of all formats but a camera's raw one. No pixel is decoded."""
    try:
        with _open(data, file_kind(data, Path(path).suffix).name) as picture:
            return Frame(picture.size, _orientation(picture))
    except Exception:  # as in `decode_view`, which says what is wrong
        return Frame((0, 0), 1)


def _orientation(picture: Pillow.Image) -> int:
    """AVIF and HEIC carry theirs as boxes, which Pillow maps to EXIF."""
    try:
        found = picture.getexif().get(_ORIENTATION)
    except Exception:  # corrupt EXIF says nothing about the pixels
        return 1
    return found if isinstance(found, int) and found in _UPRIGHT else 1


def _turn(picture: Pillow.Image) -> Pillow.Image:
    """Upright by EXIF orientation."""
    return _turned(picture, _UPRIGHT.get(_orientation(picture)))


def _turned(picture: Pillow.Image, turn: Pillow.Transpose | None) -> Pillow.Image:
    return picture if turn is None else picture.transpose(turn)


def _eight_bit(picture: Pillow.Image, form: str) -> Pillow.Image:
    """With 8 bits a sample. Raises _Refused where no agreed white says what they come to."""
    # Pillow scales a PGM of more than 8 bits to 16, and calls it "I".
    if picture.mode.startswith("I;16") or (picture.mode == "I" and form == "PNM"):
        wide = np.asarray(picture).astype(np.uint32)
        return Pillow.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
    if picture.mode in ("I", "F"):
        what = "floating-point samples" if picture.mode == "F" else "samples"
        detail = f"{what} of 32 bits have no agreed white; {_SAVE_AS}"
        raise _Refused(Reason.UNREADABLE, detail)
    return picture


def _to_bgr(picture: Pillow.Image) -> Image:
    if picture.has_transparency_data:
        # White is what viewers and printers show behind a cut-out, so it is what its owner saw.
        paper = Pillow.new("RGBA", picture.size, "white")
        picture = Pillow.alpha_composite(paper, picture.convert("RGBA"))
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    width, height = picture.size
    image = np.empty((height, width, 3), np.uint8)
    # In strips: Pillow hands out pixels by way of two more copies of them.
    for top in range(0, height, STRIP):
        part = picture.crop((0, top, width, min(top + STRIP, height)))
        cv2.cvtColor(np.asarray(part), cv2.COLOR_RGB2BGR, image[top : top + STRIP])
    return image


def _first_line(error: Exception) -> str:
    said = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said  # LibRaw's
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder, not a photo"
    return "a FIFO, not a photo" if stat.S_ISFIFO(mode) else "not a regular file"
