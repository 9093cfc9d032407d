"""images.py: real files of every format, turned, cut, flipped, and refused."""

from __future__ import annotations

import importlib.util
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from facecli.common.enums import Reason
from facecli.common.types import FailureToAcquire, Image
from facecli.recognition import images


def _hopper() -> Pillow.Image:
    """Grace Hopper, 96 x 120: she looks different under every turn and mirror."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(
            "needs matplotlib's portrait: pip install 'facecli[demo]'", allow_module_level=True
        )
    folder = Path(spec.submodule_search_locations[0])
    with Pillow.open(folder / "mpl-data/sample_data/grace_hopper.jpg") as photo:
        return photo.convert("RGB").resize((96, 120))


PHOTO = _hopper()
PIXELS = np.asarray(PHOTO)[..., ::-1]
STORED = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_90,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_270,
}
FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "HEIF"]
# What a Samsung panorama and a Dahua doorbell have in the place of an end marker.
TRAILERS = [b"", b"\0\0\x11\x09\x12\0\0\0Panorama_Shot_Info" + b"\1" * 12 + b"SEFH" + bytes(20),
            b"dhav\x59\x19\1\0", bytes(900)]  # fmt: skip


def encode(picture: Pillow.Image, form: str, **options: object) -> bytes:
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def good(result: Image | FailureToAcquire) -> Image:
    assert isinstance(result, np.ndarray), result
    assert result.dtype == np.uint8 and result.shape[2] == 3
    assert result.flags.c_contiguous and result.flags.writeable
    return result


def failed(result: Image | bytes | FailureToAcquire) -> FailureToAcquire:
    assert isinstance(result, FailureToAcquire), type(result)
    return result


def error(result: Image | FailureToAcquire, expected: np.ndarray = PIXELS) -> float:
    pixels = good(result)
    assert pixels.shape == expected.shape
    return float(np.abs(pixels.astype(int) - expected).mean())


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_comes_out_bgr(form: str) -> None:
    options = {"quality": 95} if form in ("JPEG", "WEBP", "AVIF", "HEIF") else {}
    assert error(images.decode(encode(PHOTO, form, **options), "a")) < 5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_every_orientation_comes_out_upright(form: str, orientation: int) -> None:
    # EXIF 2.32, tag 274: what was done to the scene before it was stored.
    stored = PHOTO if orientation == 1 else PHOTO.transpose(STORED[orientation])
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    quality = {} if form in ("PNG", "TIFF") else {"quality": 95}
    assert error(images.decode(encode(stored, form, exif=exif.tobytes(), **quality), "a")) < 5


@pytest.mark.parametrize("height", [images.STRIP, images.STRIP + 1, 3 * images.STRIP - 5])
def test_a_tall_picture_is_whole(height: int) -> None:
    """It leaves Pillow in strips."""
    tall = PHOTO.resize((40, height))
    pixels = np.asarray(tall)[..., ::-1]
    found = good(images.decode(encode(tall, "PNG"), "a"))
    assert np.array_equal(found, pixels)
    assert found.flags.c_contiguous and found.flags.writeable


def test_orientation_agrees_with_opencv() -> None:
    for orientation in range(1, 9):
        exif = Pillow.Exif()
        exif[0x0112] = orientation
        data = encode(PHOTO, "JPEG", exif=exif)
        theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert error(images.decode(data, "a"), theirs) < 1


def test_corrupt_exif_is_ignored() -> None:
    data = encode(PHOTO, "JPEG", quality=95)
    for length in (b"\x00\x1e", b"\x00\x20"):  # right, and reaching into the next segment
        block = b"\xff\xe1" + length + b"Exif\0\0II*\0" + b"\xff" * 18
        assert error(images.decode(data[:2] + block + data[2:], "a")) < 5


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_grey_has_three_equal_channels(form: str) -> None:
    grey = PHOTO.convert("L")
    pixels = good(images.decode(encode(grey, form), "a"))
    assert error(pixels, np.repeat(np.asarray(grey)[..., None], 3, 2)) < 5
    assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(form: str) -> None:
    grey = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = good(images.decode(encode(Pillow.fromarray(grey), form), "a"))
    assert np.abs(pixels[..., 0] - grey / 257.0).max() <= 0.51
    colour = PIXELS.astype(np.uint16) * 257
    data = cv2.imencode("." + form.lower(), colour)[1].tobytes()
    assert error(images.decode(data, "a")) == 0


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_hidden_pixels_do_not_show(form: str) -> None:
    hidden = PHOTO.copy()
    hidden.putalpha(0)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    assert (good(images.decode(encode(hidden, form, **options), "a")) == 255).all()


def test_half_transparent_is_half_white() -> None:
    half = Pillow.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert good(images.decode(encode(half, "PNG"), "a"))[0, 0, 0] == 127


def test_palettes_and_their_transparency() -> None:
    palette = PHOTO.quantize(256)
    plain = np.asarray(palette.convert("RGB"))[..., ::-1]
    assert error(images.decode(encode(palette, "PNG"), "a"), plain) == 0
    clear = images.decode(encode(palette, "PNG", transparency=bytes(256)), "a")
    assert (good(clear) == 255).all()


def test_cmyk_jpeg_with_adobes_inverted_inks() -> None:
    data = encode(PHOTO.convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    assert error(images.decode(data, "a")) < 5


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_frame_of_several(form: str) -> None:
    second = Pillow.new("RGB", PHOTO.size, "red")
    options = {"lossless": True} if form == "WEBP" else {}
    data = encode(PHOTO, form, save_all=True, append_images=[second], **options)
    assert error(images.decode(data, "a")) < 5


def tiff(samples: np.ndarray, order: str = "<", big: bool = False) -> bytes:
    """An RGB TIFF 6.0 or BigTIFF, one strip. samples: (H, W, 3) of any type."""
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    height, width, count = samples.shape
    pixels = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    tags = {256: width, 257: height, 258: 8 * samples.itemsize, 259: 1, 262: 2, 273: 0, 277: count,
            278: height, 279: len(pixels), 339: kind}  # fmt: skip
    head, size = (16, "Q") if big else (8, "I")
    tags[273] = head + struct.calcsize(f"{order}Q" if big else f"{order}H")
    tags[273] += len(tags) * (20 if big else 12) + (8 if big else 4)
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    start += struct.pack(f"{order}HHQ", 8, 0, head) if big else struct.pack(f"{order}I", head)
    start += struct.pack(f"{order}{'Q' if big else 'H'}", len(tags))
    entries = [struct.pack(f"{order}HH{size}{size}", tag, 16 if big else 4, 1, value)
               for tag, value in tags.items()]  # fmt: skip
    # Three bits-a-sample do not fit beside the tag; one value stands for all.
    return start + b"".join(entries) + struct.pack(f"{order}{size}", 0) + pixels


@pytest.mark.parametrize("big", [False, True])
def test_bigtiff_is_read_as_tiff_is(big: bool) -> None:
    grey = np.asarray(PHOTO.convert("L"))
    for form in ("u1", "u2"):
        samples = grey[..., None].astype(form) * (257 if form == "u2" else 1)
        data = tiff(samples, big=big).replace(struct.pack("<HH", 262, 16 if big else 4)
            + struct.pack("<QQ" if big else "<II", 1, 2), struct.pack("<HH", 262, 16 if big else 4)
            + struct.pack("<QQ" if big else "<II", 1, 1))  # fmt: skip
        assert error(images.decode(data, "a"), np.repeat(grey[..., None], 3, 2)) < 1


@pytest.mark.parametrize(("kind", "said"), [
    ("f4", "3 floating-point samples of 32 bits"),
    ("f8", "3 floating-point samples of 64 bits"),
    ("u4", "3 samples of 32 bits"),
    ("i2", "3 signed samples of 16 bits"),
])  # fmt: skip
@pytest.mark.parametrize("big", [False, True])
def test_samples_without_an_agreed_white_are_called_that(kind: str, said: str, big: bool) -> None:
    failure = failed(images.decode(tiff(PIXELS.astype(kind), big=big), "a.tif"))
    assert failure.reason is Reason.UNREADABLE
    assert said in failure.detail and "8 or 16 bits" in failure.detail


def test_float_samples_of_one_channel_are_refused() -> None:
    nan = Pillow.fromarray(np.full((4, 4), np.nan, np.float32))
    failure = failed(images.decode(encode(nan, "TIFF"), "a"))
    assert failure.reason is Reason.UNREADABLE and "floating-point" in failure.detail


def test_what_pillow_cannot_read_of_tiff_is_named() -> None:
    data = tiff(PIXELS, ">", big=True)
    assert "BigTIFF" in failed(images.decode(data, "a")).detail


@pytest.mark.parametrize("most", [255, 1023, 65535])
def test_grey_maps_of_any_depth(most: int) -> None:
    grey = np.asarray(PHOTO.convert("L")).astype(np.uint32)
    samples = (grey * most // 255).astype(">u2" if most > 255 else "u1")
    data = b"P5\n# made by hand\n96 120\n%d\n" % most + samples.tobytes()
    found = images.decode(data, "a.pgm")
    assert error(found, np.repeat(grey[..., None], 3, 2)) < 1
    assert failed(images.decode(data[:-99], "a")).reason is Reason.TRUNCATED
    assert failed(images.decode(b"P5 is how this text begins", "a")).reason is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.98])
def test_a_cut_file_is_truncated(form: str, part: float) -> None:
    data = encode(PHOTO, form)
    assert failed(images.decode(data[: int(len(data) * part)], "a")).reason is Reason.TRUNCATED


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_an_unfinished_download_is_truncated(form: str) -> None:
    data = encode(PHOTO, form, quality=95)
    half = len(data) // 2
    for filler in (bytes(half), b"\xff" * half):
        assert failed(images.decode(data[:half] + filler, "a")).reason is Reason.TRUNCATED


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_whole_jpeg_without_its_end_marker_is_read(trailer: bytes, options: dict) -> None:
    whole = encode(PHOTO, "JPEG", quality=95, **options)
    assert whole.endswith(b"\xff\xd9")
    assert error(images.decode(whole[:-2] + trailer, "a"), good(images.decode(whole, "a"))) == 0


@pytest.mark.parametrize("side", [None, 40])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("part", [0.3, 0.6])
def test_half_a_jpeg_is_that_whatever_follows(part: float, options: dict, side: int | None) -> None:
    whole = encode(PHOTO.resize((480, 600)), "JPEG", quality=90, **options)
    half = whole[: int(len(whole) * part)]
    for rest in (b"\xff\xd9", b"\xff\xd9" + bytes(99), whole, *TRAILERS, b"\xff" * 900):
        failure = failed(images.decode_view(half + rest, "a", side))
        assert failure.reason is Reason.TRUNCATED


def test_a_grey_jpeg_is_whole() -> None:
    """It ends in the very grey that libjpeg leaves where rows are missing."""
    for mode, colour in (("L", 128), ("RGB", (128, 128, 128))):
        for form in ({}, {"progressive": True}):
            data = encode(Pillow.new(mode, (200, 120), colour), "JPEG", **form)
            assert (good(images.decode(data, "a")) == 128).all()
            assert (good(images.decode(data[:-2], "a")) == 128).all()


@pytest.mark.parametrize(
    "trailer", [b"\0" * 999, b"Image_UTC_Data1234SEFT", b"\xff\xd8\xff\xe0cut"]
)
def test_a_trailer_after_a_jpeg_is_no_damage(trailer: bytes) -> None:
    assert error(images.decode(encode(PHOTO, "JPEG", quality=95) + trailer, "a")) < 5


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"hello world", b"%PDF-1.7", b"<svg/>"])
def test_what_is_not_an_image(data: bytes) -> None:
    failure = failed(images.decode(data, "notes.txt"))
    assert failure.reason is Reason.NOT_AN_IMAGE and failure.path == "notes.txt"


@pytest.mark.parametrize("form", FORMATS)
def test_the_pixel_limit(form: str) -> None:
    data = encode(PHOTO, form)
    assert failed(images.decode(data, "a", max_pixels=96 * 120 - 1)).reason is Reason.TOO_LARGE
    good(images.decode(data, "a", max_pixels=96 * 120))


def _with_size(data: bytes, form: str) -> bytes:
    """The same file with 60,000 x 60,000 in its header: 10 GB if anyone believed it."""
    side = 60_000
    if form == "PNG":
        head = b"IHDR" + side.to_bytes(4, "big") * 2 + data[24:29]
        return data[:12] + head + zlib.crc32(head).to_bytes(4, "big") + data[33:]
    if form == "GIF":
        return data[:6] + side.to_bytes(2, "little") * 2 + data[10:]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + side.to_bytes(2, "big") * 2 + data[at + 4 :]


@pytest.mark.parametrize("form", ["PNG", "GIF", "JPEG"])
def test_the_limit_is_read_from_the_header(form: str) -> None:
    bomb = _with_size(encode(PHOTO, form), form)
    assert failed(images.decode(bomb, "a")).reason is Reason.TOO_LARGE


SEEDS = {form: encode(PHOTO.resize((40, 50)), form) for form in FORMATS if form != "HEIF"}


@given(st.sampled_from(sorted(SEEDS)), st.data())
def test_damaged_bytes_never_raise(form: str, data: st.DataObject) -> None:
    seed = bytearray(SEEDS[form])
    for at in data.draw(st.lists(st.integers(0, len(seed) - 1), max_size=8)):
        seed[at] ^= data.draw(st.integers(1, 255))
    kept = data.draw(st.integers(0, len(seed)))
    result = images.decode(bytes(seed[:kept]), "a", max_pixels=1 << 20)
    assert isinstance(result, FailureToAcquire) or result.size == good(result).size


MAGICS = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
          b"II+\0", b"P5 9 9 255 ", b"RIFF\0\0\0\0WEBP", b"\0\0\0\x18ftypavif"]  # fmt: skip


@given(st.sampled_from(MAGICS), st.binary())
def test_random_bytes_never_raise(magic: bytes, rest: bytes) -> None:
    result = images.decode(magic + rest, "a", max_pixels=1 << 20)
    assert isinstance(result, FailureToAcquire) or result.size == good(result).size


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_native_libraries_keep_quiet(tmp_path: Path) -> None:
    jpeg = encode(PHOTO, "JPEG", quality=95)
    half = len(jpeg) // 2
    exif = b"\xff\xe1\x00\x20Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 14
    damaged = [jpeg[:half], jpeg[:-2] + b"abc" + jpeg[-2:], jpeg[:half] + b"\xff\xd9"]
    damaged += [jpeg[:2] + exif + jpeg[2:]]
    for form in ("PNG", "TIFF", "WEBP", "AVIF"):
        data = encode(PHOTO, form)
        damaged += [data[: len(data) // 2], data[:200] + bytes(60) + data[260:]]
    damaged.append(encode(PHOTO, "TIFF", compression="jpeg")[:-900])
    damaged.append(encode(PHOTO, "PNG", icc_profile=b"\0" * 200))
    for number, data in enumerate(damaged):
        (tmp_path / f"{number}").write_bytes(data)
    code = (
        "import sys; from pathlib import Path; from facecli.recognition import images\n"
        "for p in sorted(Path(sys.argv[1]).iterdir()): images.decode(p.read_bytes(), str(p))"
    )
    done = _python(code, str(tmp_path))
    assert (done.stdout, done.stderr) == ("", "")


def dng(preview: Pillow.Image, orientation: int = 1, *, bitmap: bool = False) -> bytes:
    """A camera's raw file (DNG 1.4): the preview as a JPEG or as plain pixels, and 64 x 48 sensor
    values beside it."""
    shown = preview.tobytes() if bitmap else encode(preview, "JPEG", quality=95)
    sensor = bytes(64 * 48 * 2)
    raw = {254: (4, 0), 256: (4, 64), 257: (4, 48), 258: (3, 16), 259: (3, 1), 262: (3, 32803),
           273: (4, 0), 277: (3, 1), 278: (4, 48), 279: (4, len(sensor)),
           33421: (3, 2 | 2 << 16), 33422: (1, 0x02010100)}  # fmt: skip
    compression, colours = (1, 2) if bitmap else (7, 6)
    first = {254: (4, 1), 256: (4, preview.width), 257: (4, preview.height), 258: (3, 8),
             259: (3, compression), 262: (3, colours), 273: (4, 0), 277: (3, 3),
             278: (4, preview.height), 279: (4, len(shown)), 330: (4, 0),
             50706: (1, 0x0401)}  # fmt: skip
    first[274] = (3, orientation)
    first = dict(sorted(first.items()))
    at = 8 + 2 * 6 + 12 * (len(raw) + len(first))
    first[330] = (4, 8 + 6 + 12 * len(first))
    first[273], raw[273] = (4, at), (4, at + len(shown))

    def directory(tags: dict[int, tuple[int, int]]) -> bytes:
        counts = {33421: 2, 33422: 4, 50706: 4}
        entries = (struct.pack("<HHII", tag, kind, counts.get(tag, 1), value)
                   for tag, (kind, value) in tags.items())  # fmt: skip
        return struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4)

    return b"II*\0\x08\0\0\0" + directory(first) + directory(raw) + shown + sensor


def test_of_a_raw_file_the_preview_is_read() -> None:
    pytest.importorskip("rawpy", reason="NOT CHECKED: pip install 'facecli[raw]'")
    assert error(images.decode(dng(PHOTO), "a.dng")) < 5
    for orientation in (3, 6, 8):
        stored = PHOTO.transpose(STORED[orientation])
        assert error(images.decode(dng(stored, orientation), "a.dng")) < 5


@pytest.mark.parametrize("bitmap", [False, True])
def test_a_cut_raw_file_never_shows_the_photo_that_was_read_before_it(bitmap: bool) -> None:
    pytest.importorskip("rawpy", reason="NOT CHECKED: pip install 'facecli[raw]'")
    for left_out in (None, -100):
        for _ in range(300):  # LibRaw's memory is as malloc gives it: a quarter of them, before
            whole = dng(PHOTO, bitmap=bitmap)
            assert error(images.decode(whole, "a.dng")) < 5
            cut = whole[:500] if left_out is None else whole[: left_out - 64 * 48 * 2]
            failure = failed(images.decode(cut, "b.dng"))
            assert failure.reason in (Reason.TRUNCATED, Reason.UNREADABLE), failure


def test_a_damaged_raw_file_is_said_in_words() -> None:
    pytest.importorskip("rawpy", reason="NOT CHECKED: pip install 'facecli[raw]'")
    failure = images.decode(b"II*\0\x10\0\0\0CR\2\0" + bytes(30), "x.cr2")
    assert isinstance(failure, FailureToAcquire) and failure.reason is Reason.TRUNCATED
    assert failure.detail.startswith("CR2: ") and "b'" not in failure.detail


def test_a_raw_file_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)  # what Python does for a missing package
    for data, name in ((dng(PHOTO), "a.dng"), (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "b")):
        failure = failed(images.decode(data, name))
        assert failure.reason is Reason.NEEDS_EXTRA and "facecli[raw]" in failure.detail


@pytest.mark.parametrize(("data", "said"), [
    (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "it is MOV;"),
    (b"%PDF-1.7", "it is PDF;"),
    (b"PK\3\4" + bytes(60), "it is ZIP;"),
    (b"<!DOCTYPE html><title>404</title>", "it is HTML;"),
    (b"", "the file is empty"),
])  # fmt: skip
def test_another_kind_of_file_is_called_that(data: bytes, said: str) -> None:
    assert failed(images.decode(data, "a.jpg")).detail.startswith(said)


def test_heic_without_its_extra_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"  # what Python does for a missing package
        "from pathlib import Path; from facecli.recognition import images\n"
        "r = images.decode(Path(sys.argv[1]).read_bytes(), 'a'); print(r.reason.name, r.detail)"
    )
    said = _python(code, str(tmp_path / "a.heic")).stdout
    assert said.startswith("NEEDS_EXTRA") and "facecli[heif]" in said


def test_read_gives_the_bytes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "사진.jpg").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "사진.jpg")
    assert images.read_photo(tmp_path / "link") == b"abc"


def test_read_reports_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "loop", Path("/dev/null")):
        failure = failed(images.read_photo(path))
        assert failure.reason is Reason.UNREADABLE and failure.detail and failure.path == str(path)
    for path in (tmp_path / "gone.jpg", Path("a\0b")):
        assert failed(images.read_photo(path)).reason is Reason.NOT_FOUND


def test_read_refuses_a_file_too_large(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    assert failed(images.read_photo(tmp_path / "sparse")).reason is Reason.TOO_LARGE


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_read_reports_a_forbidden_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "a").chmod(0)
    assert failed(images.read_photo(tmp_path / "a")).reason is Reason.UNREADABLE
