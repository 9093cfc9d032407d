"""Which files of a folder are taken: clips only where they are wanted."""

from __future__ import annotations

from pathlib import Path

import cv2
from support import clips as made

from facecli.datasets.labels import labelled, photos


def test_a_folder_s_clips_are_taken_only_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "Ada").mkdir()
    clip = made.write(tmp_path / "Ada" / "holiday.mp4", [made.frame()])
    hidden = clip.with_name("IMG_1.dat")
    hidden.write_bytes(clip.read_bytes())
    clip.with_name("empty.mov").touch()
    clip.with_name("notes.txt").write_text("nothing")
    cv2.imwrite(str(clip.with_name("a.png")), made.frame())
    found = photos([tmp_path], moving=True)
    assert [p.name for p in found.paths] == ["IMG_1.dat", "a.png", "empty.mov", "holiday.mp4"]
    assert found.problems == () and [i.path.name for i in found.left_out] == ["notes.txt"]
    assert [p.name for p in photos([tmp_path]).paths] == ["a.png"]
    people = labelled([tmp_path], moving=True).photos
    assert {p.subject for p in people} == {"Ada"} and len(people) == 4
