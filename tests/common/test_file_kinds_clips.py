"""Clips of every usual wrapping are told by what they hold, and what is none is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import clips as made
from support.galleries import collins, hopper

from facecli.common.file_kinds import Family, is_animation, kind_of


def is_clip(path: Path) -> bool:
    kind = kind_of(path)
    return kind is not None and kind.family is Family.VIDEO


@pytest.mark.parametrize(
    ("suffix", "code"),
    [("mp4", "mp4v"), ("mov", "mp4v"), ("avi", "MJPG"), ("mkv", "mp4v"), ("ts", "mpg2"),
     ("wmv", "WMV2"), ("flv", "FLV1"), ("mpg", "mpg1"), ("webm", "VP80")],
)  # fmt: skip
def test_every_usual_wrapping_is_known_whatever_the_file_is_called(
    tmp_path: Path, suffix: str, code: str
) -> None:
    clip = made.write(tmp_path / f"x.{suffix}", [made.frame() for _ in range(30)], 25, code)
    other = clip.rename(tmp_path / "letter.txt")
    assert is_clip(other) and not is_animation(other)


@pytest.mark.parametrize(
    "data",
    [b"", b"G", b"hello, this is no clip", b"The free world, a text whose fifth letter is an f",
     b"RIFF\x10\0\0\0WAVEfmt ", b"G" * 150 + b"G" * 40, b"\0\0\0\x1cftypheic\0\0\0\0mif1heic",
     b"\0\0\0\x1cftypmif1\0\0\0\0avifmif1", b"ID3\x04", b"%PDF-1.7", b"#EXTM3U\nhttp://x/y.ts"],
)  # fmt: skip
def test_what_is_no_clip_is_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    assert not is_clip(path)


def test_photos_and_folders_are_no_clips(tmp_path: Path) -> None:
    for path in (hopper(), collins(), tmp_path, tmp_path / "gone.mp4"):
        assert not is_clip(path) and not is_animation(path)
    assert not is_clip(Path("a\0b"))


def test_animated_photos_are_told(tmp_path: Path) -> None:
    shown = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (0, 90, 250)]
    for name in ("a.gif", "a.webp", "a.png"):
        shown[0].save(tmp_path / name, save_all=True, append_images=shown[1:], duration=100)
        assert is_animation(tmp_path / name) and not is_clip(tmp_path / name)
    shown[0].save(tmp_path / "still.webp")
    assert not is_animation(tmp_path / "still.webp")
