"""Annotated clips: boxes where the people are at every moment, the best faces, what is written."""

from __future__ import annotations

import stat
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import clips
from support.clips import Actor, frame, walk
from support.galleries import hopper

from facecli import Gallery
from facecli.common.errors import InputError, UsageError
from facecli.common.types import Image, Track
from facecli.datasets.labels import LabelledPhoto
from facecli.report.clips import best_faces, box_at, write_clip
from facecli.video import frames
from facecli.video.frames import Sampling, has_pyav

RATE = 15.0


@pytest.fixture(scope="module")
def decided(tmp_path_factory, extractor):
    """Hopper walks to the right; after a cut Collins stands on the left; and what was decided."""
    folder = tmp_path_factory.mktemp("clips")
    shots = walk(clips.grace(), 15, 0.5, 0.75) + [frame(Actor(clips.eileen(), 0.2), scenery=1)] * 9
    path = clips.write(folder / "x.mp4", shots, RATE)
    with Gallery.open(folder / "g", create=True) as gallery:
        gallery.models.extractor = extractor
        gallery.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
        return path, list(gallery.identify([path], boxes=True))


def pictures(path: Path) -> list[Image]:
    return [one.image for one in frames.read(path, Sampling(every=0))]


def test_every_frame_is_there_with_a_box_only_where_somebody_is(decided, tmp_path: Path) -> None:
    path, decisions = decided
    codec = write_clip(path, decisions, tmp_path / "out.mp4")
    assert codec.startswith("H.264" if has_pyav() else "MPEG-4")
    before, after = pictures(path), pictures(tmp_path / "out.mp4")
    assert len(before) == len(after) == 24
    changed = [
        np.abs(a.astype(int) - b).max(axis=2) > 60 for a, b in zip(before, after, strict=True)
    ]
    assert all(one.any() for one in changed[:23])  # the last comes after the last look
    middles = [float(np.nonzero(one)[1].mean()) / one.shape[1] for one in changed[:23]]
    assert middles[12] - middles[1] > 0.1  # the box goes along
    assert max(middles[15:]) < 0.35 < min(middles[:14])  # and jumps at the cut
    assert stat.S_IMODE((tmp_path / "out.mp4").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_nothing_is_replaced_and_a_clip_that_is_gone_is_told(decided, tmp_path: Path) -> None:
    _, decisions = decided
    (tmp_path / "out.mp4").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        write_clip(decided[0], decisions, tmp_path / "out.mp4")
    with pytest.raises(InputError, match="can be read no more"):
        write_clip(tmp_path / "gone.mp4", decisions, tmp_path / "new.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_the_best_face_of_every_track(decided, extractor) -> None:
    path, decisions = decided
    found = list(best_faces(path, decisions, Sampling()))
    assert [d.subject for d, _ in found] == ["Grace Hopper", None]
    for decision, image in found:
        face = extractor.glimpses(image)[0].face
        assert face.quality == pytest.approx(decision.probe.face.quality, abs=0.1)
    assert cv2.imencode(".jpg", found[0][1])[0]


def test_a_box_moves_evenly_between_two_looks_and_jumps_where_it_jumps() -> None:
    blank = np.zeros((112, 112, 3), np.uint8)
    looks = ((1.0, (0, 0, 10, 10)), (1.2, (4, 2, 14, 12)), (1.4, (100, 0, 110, 10)))
    track = Track(0, 1.0, 1.4, 3, 1.0, 1, blank, looks)
    assert box_at(track, 1.1) == pytest.approx((2, 1, 12, 11))
    assert box_at(track, 1.29) == looks[1][1] and box_at(track, 1.31) == looks[2][1]
    assert box_at(track, 0.95) == looks[0][1] and box_at(track, 1.45) == looks[2][1]
    assert box_at(track, 0.8) is None and box_at(track, 1.6) is None


def test_odd_sizes_are_written(decided, tmp_path: Path) -> None:
    _, decisions = decided
    odd = [np.full((271, 481, 3), 90, np.uint8)] * 3
    path = clips.write(tmp_path / "x.avi", odd, code="MJPG")
    write_clip(path, decisions, tmp_path / "out.mp4")
    assert {one.shape for one in pictures(tmp_path / "out.mp4")} == {(270, 480, 3)}
