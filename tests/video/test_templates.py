"""Frames to tracks: one template a track, of its best faces, and what failed last."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support import clips
from support.clips import Actor, frame, walk

from facecli.common.enums import Reason
from facecli.common.types import FaceTemplate, FailureToAcquire, Image
from facecli.recognition.pipeline import Extractor
from facecli.video.frames import Frame, Lost
from facecli.video.templates import Tracking, same_person, tracks


def rolled(frames: list[Image]) -> list[Frame | FailureToAcquire]:
    return [
        Frame(i / clips.RATE, image, len(frames) / clips.RATE) for i, image in enumerate(frames)
    ]


def found_in(extractor: Extractor, frames: list[Image], **options) -> list[FaceTemplate]:
    return list(tracks(extractor, rolled(frames), Tracking(**options)))


def test_a_track_has_the_mean_template_of_its_best_faces(extractor: Extractor) -> None:
    (found,) = found_in(extractor, walk(clips.grace(), 10, 0.3, 0.7), boxes=True)
    track = found.track
    assert track is not None and (track.number, track.frames, track.embedded) == (0, 10, 3)
    assert 0 <= track.start <= track.best <= track.end == pytest.approx(1.8)
    assert np.linalg.norm(found.template.vector) == pytest.approx(1, abs=1e-5)
    again = extractor.embedder.embed(track.crop[None])[0]
    assert 0.9 < float(again @ found.template.vector) < 1 - 1e-6  # near it, and not it alone
    assert found.face.quality > 0.55
    boxes = dict(track.boxes)
    assert boxes[track.best] == found.face.box


def test_a_track_of_poor_faces_stays_poor(extractor: Extractor) -> None:
    dim = [cv2.GaussianBlur(image, (0, 0), 9) for image in walk(clips.grace(), 8, 0.4, 0.6)]
    found = found_in(extractor, dim)
    assert found and all(one.face.quality < 0.55 for one in found)
    assert all(one.track is not None and one.track.embedded == 1 for one in found)


def test_one_sharp_face_among_poor_ones_speaks_for_its_track_alone(extractor: Extractor) -> None:
    frames = walk(clips.grace(), 9, 0.45, 0.5)
    dim = [
        image if i == 4 else cv2.GaussianBlur(image, (0, 0), 5) for i, image in enumerate(frames)
    ]
    best = max(found_in(extractor, dim), key=lambda one: one.face.quality)
    assert best.track is not None and best.face.quality > 0.55
    assert (best.track.embedded, round(best.track.best, 3)) == (1, 0.8)


def test_the_answer_does_not_depend_on_threads_and_progress_is_told(extractor: Extractor) -> None:
    grace, eileen = clips.grace(), clips.eileen()
    frames = [frame(Actor(grace, x), Actor(eileen, 1 - x)) for x in np.linspace(0.2, 0.8, 8)]
    seen: list[float] = []
    alone = list(tracks(extractor, rolled(frames), Tracking(workers=1)))
    several = list(
        tracks(extractor, rolled(frames), Tracking(workers=3), lambda f: seen.append(f.seconds))
    )
    assert seen == pytest.approx([i / 5 for i in range(8)])
    assert len(alone) == len(several) == 2
    for one, other in zip(alone, several, strict=True):
        assert np.array_equal(one.template.vector, other.template.vector)
        assert (one.track.start, one.track.frames) == (other.track.start, other.track.frames)


def test_a_track_comes_out_while_the_clip_goes_on(extractor: Extractor) -> None:
    def endless():
        yield from rolled(walk(clips.grace(), 5, 0.4, 0.5))
        for i in range(5, 10**9):
            yield Frame(i / clips.RATE, frame())

    assert isinstance(next(tracks(extractor, endless(), Tracking())), FaceTemplate)


def test_who_is_on_screen_when_a_live_source_is_lost_has_left(extractor: Extractor) -> None:
    """And is another track when it is back, though it be the same person in the same place."""
    shot = rolled(walk(clips.grace(), 4, 0.4, 0.5))
    gone: list[Frame | Lost | FailureToAcquire] = [Lost()] * 3
    back = [Frame(one.seconds + 9, one.image) for one in shot if isinstance(one, Frame)]
    found = [one.track for one in tracks(extractor, [*shot, *gone, *back], Tracking())]  # type: ignore[union-attr]
    assert [(t.number, t.start, round(t.end, 3), t.frames) for t in found if t] == [
        (0, 0.0, 0.6, 4),
        (1, 9.0, 9.6, 4),
    ]


def test_what_failed_comes_last(extractor: Extractor) -> None:
    failure = FailureToAcquire("x.mp4", Reason.TRUNCATED, "")
    frames = [*rolled(walk(clips.grace(), 4, 0.4, 0.5)), failure]
    found = list(tracks(extractor, frames, Tracking()))
    assert [isinstance(one, FaceTemplate) for one in found] == [True, False]
    assert found[-1] is failure


def test_who_is_taken_for_one_person_is_by_the_embedder_s_table(extractor: Extractor) -> None:
    assert same_person(extractor.spec) == pytest.approx(0.3458, abs=1e-3)
