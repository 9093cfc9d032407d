"""What a file is by its first bytes, whatever it is called."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facecli.common.file_kinds import HEAD, UNKNOWN, Family, FileKind, file_kind, kind_of, tiff_tags


def media(brand: bytes, *more: bytes) -> bytes:
    """The beginning of an ISO base media file."""
    body = b"ftyp" + brand + bytes(4) + b"".join(more)
    return struct.pack(">I", len(body) + 4) + body + b"\0\0\0\x08free"


def tiff(tags: dict[int, int], order: str = "<") -> bytes:
    start = b"II*\0" if order == "<" else b"MM\0*"
    entries = (struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack(f"{order}IH", 8, len(tags))
    return start + head + b"".join(entries) + bytes(4)


KINDS = {
    ("JPEG", Family.PHOTO): [b"\xff\xd8\xff\xe0"],
    ("TIFF", Family.PHOTO): [b"II+\0" + bytes(20), b"MM\0*", tiff({256: 9, 262: 2})],
    ("HEIF", Family.PHOTO): [media(b"heic", b"mif1"), media(b"mif1", b"heic")],
    ("AVIF", Family.PHOTO): [media(b"avif"), media(b"mif1", b"avif")],
    ("PNM", Family.PHOTO): [b"P6 640 480 255 ", b"P2\n# by hand\n3 3\n"],
    ("WEBP", Family.PHOTO): [b"RIFF\1\2\3\4WEBPVP8 "],
    ("CR2", Family.RAW): [b"II*\0\x10\0\0\0CR\2\0"],
    ("CR3", Family.RAW): [media(b"crx ", b"isom")],
    ("DNG", Family.RAW): [tiff({254: 1, 50706: 4}), tiff({50706: 4}, ">")],
    ("RAW", Family.RAW): [tiff({254: 1, 330: 99}), tiff({262: 32803}, ">")],
    ("RAF", Family.RAW): [b"FUJIFILMCCD-RAW 0201"],
    ("MOV", Family.VIDEO): [media(b"qt  "), b"\0\0\1\0moov", b"\0\0\0\x08wide"],
    ("MP4", Family.VIDEO): [media(b"isom", b"mp41"), media(b"mp42")],
    ("3GP", Family.VIDEO): [media(b"3gp4")],
    ("AVI", Family.VIDEO): [b"RIFF\1\2\3\4AVI LIST"],
    ("MKV", Family.VIDEO): [b"\x1aE\xdf\xa3\x93B\x82\x88matroska"],
    ("WEBM", Family.VIDEO): [b"\x1aE\xdf\xa3\x93B\x82\x84webm"],
    ("TS", Family.VIDEO): [(b"G" + bytes(187)) * 3],
    ("PDF", Family.OTHER): [b"%PDF-1.7"],
    ("ZIP", Family.OTHER): [b"PK\3\4" + bytes(99)],
    ("JXL", Family.OTHER): [b"\xff\x0a\xfa", b"\0\0\0\x0cJXL \r\n\x87\n"],
    ("JP2", Family.OTHER): [b"\0\0\0\x0cjP  \r\n\x87\n"],
    ("HTML", Family.OTHER): [
        b"<!DOCTYPE html>\n<p>404",
        b"\xef\xbb\xbf\n <html lang=en>",
        b"<HTML>",
    ],
    ("M4A", Family.OTHER): [media(b"M4A ")],
    ("", Family.OTHER): [b"", b"hello", b"P5 is a text", b"RIFF\1\2\3\4????", bytes(999)],
}


@pytest.mark.parametrize(("name", "family"), KINDS)
def test_what_a_file_begins_with(name: str, family: Family) -> None:
    for head in KINDS[name, family]:
        assert file_kind(head) == FileKind(name, family), head
        assert file_kind(head, ".jpg") == FileKind(name, family), "names are not believed"


def test_the_name_tells_which_camera_s_raw_file_a_tiff_is() -> None:
    plain = tiff({256: 9, 262: 2})
    assert file_kind(plain, ".NEF") == FileKind("NEF", Family.RAW)
    assert file_kind(plain, ".tif") == FileKind("TIFF", Family.PHOTO)
    assert file_kind(b"\xff\xd8\xff\xe0", ".NEF") == FileKind("JPEG", Family.PHOTO)


def test_tags_are_read_as_pillow_wrote_them() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (31, 17)).save(stream, "TIFF")
    tags = tiff_tags(stream.getvalue())
    assert (tags[256], tags[257], tags[258], tags[277]) == (31, 17, 8, 3)


@given(
    st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x20ftyp", b""]), st.binary()
)
def test_no_bytes_break_it(start: bytes, rest: bytes) -> None:
    assert isinstance(file_kind(start + rest, ".nef"), FileKind)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "clip").write_bytes(media(b"qt  ") + bytes(2 * HEAD))
    (tmp_path / "link").symlink_to("clip")
    (tmp_path / "empty").touch()
    assert kind_of(tmp_path / "link") == FileKind("MOV", Family.VIDEO)
    assert kind_of(tmp_path / "empty") == UNKNOWN
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "gone", Path("/dev/zero"), Path("a\0b")):
        assert kind_of(path) is None
