"""One appearance of one person is one piece: through crossings, cuts, gaps and long shots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from support import clips
from support.clips import Actor, frame, walk

from facecli.common.types import Face, Image
from facecli.recognition.glimpses import Glimpse, Look
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR
from facecli.video import tracks
from facecli.video.templates import same_person
from facecli.video.tracks import BEST, KEPT, Piece, Sighting, Tracker, thumbnail

EVERY = 0.2


@pytest.fixture(scope="module")
def grace() -> Image:
    return clips.grace()


@pytest.fixture(scope="module")
def eileen() -> Image:
    return clips.eileen()


class Counted:
    """The extractor's looks, and at how many faces they were taken."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self.embedded = 0

    def __call__(self, seen: Sequence[Glimpse]) -> Sequence[Look]:
        self.embedded += len(seen)
        return self._extractor.look(seen)


def pieces(extractor: Extractor, frames: Iterable[Image], every=EVERY, **options) -> list[Piece]:
    tracker = Tracker(
        extractor.look, same_person(extractor.spec), DEFAULT_BAR, boxes=True, **options
    )
    found = []
    for number, image in enumerate(frames):
        found += tracker.step(number * every, thumbnail(image), extractor.glimpses(image))
    return found + list(tracker.close())


def who(extractor: Extractor, piece: Piece, *people: Image) -> set[int]:
    """Which of the people the faces that a piece kept are."""
    vectors = []
    for person in people:
        (look,) = extractor.look(extractor.glimpses(frame(Actor(person, 0.5))))
        vectors.append(look.found.template.vector)
    looks = extractor.look([s.glimpse for s in piece.kept])
    return {int(np.argmax([one.found.template.vector @ v for v in vectors])) for one in looks}


def told(piece: Piece) -> tuple[float, float, int]:
    return round(piece.start, 3), round(piece.end, 3), piece.frames


def test_a_walk_is_one_piece_with_few_faces_embedded(extractor: Extractor, grace: Image) -> None:
    counted = Counted(extractor)
    tracker = Tracker(counted, same_person(extractor.spec), DEFAULT_BAR, boxes=True)
    for number, image in enumerate(walk(grace, 20, 0.3, 0.7)):
        assert not list(tracker.step(number * EVERY, thumbnail(image), extractor.glimpses(image)))
    (piece,) = tracker.close()
    assert told(piece) == (0.0, pytest.approx(3.8), 20)
    assert counted.embedded == BEST
    centres = [(x1 + x2) / 2 for _, (x1, _, x2, _) in piece.boxes]
    assert len(centres) == 20 and centres == sorted(centres)
    assert len(piece.kept) <= KEPT
    times = sorted(seen.seconds for seen in piece.best(DEFAULT_BAR))
    assert times[-1] - times[0] > 0.4  # of different spans of its time


def test_a_cut_costs_few_templates(extractor: Extractor, grace: Image, eileen: Image) -> None:
    """Though another face is where one was a moment ago: asked once, not in every frame since."""
    counted = Counted(extractor)
    tracker = Tracker(counted, same_person(extractor.spec), DEFAULT_BAR)
    shots = walk(grace, 12, 0.45, 0.55) + walk(eileen, 12, 0.45, 0.55, 1)
    found = []
    for number, image in enumerate(shots):
        found += tracker.step(number * EVERY, thumbnail(image), extractor.glimpses(image))
    found += tracker.close()
    assert [piece.frames for piece in found] == [12, 12]
    assert counted.embedded <= 2 * BEST + 2


def test_two_who_cross_are_not_mixed_up(extractor: Extractor, grace: Image, eileen: Image) -> None:
    places = np.linspace(0.22, 0.78, 16)
    frames = [frame(Actor(grace, x), Actor(eileen, 1 - x)) for x in places]
    found = pieces(extractor, frames)
    assert len(found) == 2
    assert [who(extractor, piece, grace, eileen) for piece in found] in (
        [{0}, {1}],
        [{1}, {0}],
    )
    assert all(told(piece)[:2] == (0.0, pytest.approx(3.0)) for piece in found)


@pytest.mark.parametrize("scenery", [1, 0], ids=["another scenery", "the same scenery"])
def test_another_face_in_the_same_place_after_a_cut_is_another_piece(
    extractor: Extractor, grace: Image, eileen: Image, scenery: int
) -> None:
    frames = walk(grace, 6, 0.5, 0.5) + walk(eileen, 6, 0.5, 0.5, scenery)
    first, second = pieces(extractor, frames)
    assert (who(extractor, first, grace, eileen), told(first)) == ({0}, (0.0, 1.0, 6))
    assert (who(extractor, second, grace, eileen), told(second)) == ({1}, (1.2, 2.2, 6))


def test_who_stays_on_screen_through_a_cut_is_one_piece(extractor: Extractor, grace: Image) -> None:
    (piece,) = pieces(extractor, walk(grace, 6, 0.2, 0.25) + walk(grace, 6, 0.75, 0.7, 1))
    assert told(piece) == (0.0, pytest.approx(2.2), 12)


def test_a_gap_of_a_second_is_bridged_and_a_longer_one_is_not(
    extractor: Extractor, grace: Image
) -> None:
    def out(count: int) -> list[Image]:
        return [frame() for _ in range(count)]

    shot = walk(grace, 5, 0.3, 0.35)
    (piece,) = pieces(extractor, shot + out(3) + shot)
    assert told(piece)[2] == 10
    first, second = pieces(extractor, shot + out(8) + shot)
    assert (told(first)[1], told(second)[0]) == (pytest.approx(0.8), pytest.approx(2.6))


def test_another_person_does_not_bridge_a_gap(
    extractor: Extractor, grace: Image, eileen: Image
) -> None:
    shot = walk(grace, 5, 0.4, 0.4) + [frame() for _ in range(2)] + walk(eileen, 5, 0.4, 0.4)
    assert len(pieces(extractor, shot)) == 2


def test_key_frames_far_apart_are_joined_by_template(
    extractor: Extractor, grace: Image, eileen: Image
) -> None:
    frames = [frame(Actor(grace, x), Actor(eileen, 1 - x), scenery=i)
              for i, x in enumerate((0.25, 0.3, 0.72, 0.25, 0.75))]  # fmt: skip
    found = pieces(extractor, frames, every=8.0)
    assert sorted(told(piece) for piece in found) == [(0.0, 32.0, 5)] * 2
    assert all(len(who(extractor, piece, grace, eileen)) == 1 for piece in found)


def test_a_piece_of_two_people_is_parted(
    extractor: Extractor, grace: Image, eileen: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a cut is not noticed."""
    monkeypatch.setattr(tracks, "CUT", -1)
    monkeypatch.setattr(tracks, "OVERLAP", 0.1)
    first, second = pieces(extractor, walk(grace, 6, 0.5, 0.5) + walk(eileen, 6, 0.5, 0.5, 1))
    assert {told(first)[:2], told(second)[:2]} == {(0.0, 1.0), (1.2, 2.2)}
    assert len(who(extractor, first, grace, eileen)) == 1
    assert len(first.boxes) == len(second.boxes) == 6


def test_who_never_leaves_is_answered_every_so_often(extractor: Extractor, grace: Image) -> None:
    found = pieces(extractor, walk(grace, 30, 0.4, 0.6), longest=2.0)
    assert [told(piece)[2] for piece in found] == [11, 11, 8]


def test_a_piece_keeps_few_faces_however_long_it_is() -> None:
    rng = np.random.default_rng(0)

    def seen(number: int) -> Sighting:
        face = Face((0, 0, 9, 9), np.zeros((5, 2), np.float32), 0.9, quality=rng.random())
        return Sighting(number * EVERY, Glimpse(face, np.zeros((9, 9, 3), np.uint8), (0, 0), 1.0))

    piece = Piece(0.0, seen(0))
    for number in range(18_000):  # an hour
        piece.add(seen(number), boxes=False)
    assert piece.frames == 18_000 and len(piece.kept) <= KEPT and piece.boxes == []
    assert min(s.face.quality for s in piece.best(DEFAULT_BAR)) > 0.99
    times = sorted(s.seconds for s in piece.kept)
    assert len(times) >= KEPT // 2 and times[-1] - times[0] > 1800
