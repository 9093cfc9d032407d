"""What a file holds tells a clip; its name does not."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support import clips as made
from support.galleries import collins, hopper

from facecli.datasets.clips import is_animation, is_clip
from facecli.datasets.labels import labelled, photos


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


def test_photos_folders_and_pipes_are_no_clips(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")  # nobody writes to it: opening it would wait
    for path in (hopper(), collins(), tmp_path, tmp_path / "pipe.mp4", tmp_path / "gone.mp4"):
        assert not is_clip(path) and not is_animation(path)
    assert not is_clip(Path("a\0b"))


def test_animated_photos_are_told(tmp_path: Path) -> None:
    shown = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (0, 90, 250)]
    for name in ("a.gif", "a.webp", "a.png"):
        shown[0].save(tmp_path / name, save_all=True, append_images=shown[1:], duration=100)
        assert is_animation(tmp_path / name) and not is_clip(tmp_path / name)
    shown[0].save(tmp_path / "still.webp")
    assert not is_animation(tmp_path / "still.webp")


def test_a_folder_s_clips_are_taken_only_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "Ada").mkdir()
    clip = made.write(tmp_path / "Ada" / "holiday.mp4", [made.frame()])
    hidden = clip.with_name("IMG_1.dat")
    hidden.write_bytes(clip.read_bytes())
    clip.with_name("empty.mov").touch()
    clip.with_name("notes.txt").write_text("nothing")
    cv2.imwrite(str(clip.with_name("a.png")), made.frame())
    found, problems = photos([tmp_path], moving=True)
    assert [p.name for p in found] == ["IMG_1.dat", "a.png", "empty.mov", "holiday.mp4"]
    assert problems == []
    assert [p.name for p in photos([tmp_path])[0]] == ["a.png"]
    people = labelled([tmp_path], moving=True).photos
    assert {p.subject for p in people} == {"Ada"} and len(people) == 4
