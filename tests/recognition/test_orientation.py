"""Photos that are not upright: found, in px of the photo as it is, and reported."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from facecli.common.types import Face, Image, Photo, tilt
from facecli.recognition import orientation
from facecli.recognition.detector import YuNet
from facecli.recognition.pipeline import Extractor, OpenedPhoto, open_photo


def leaning(image: Image, degrees: float) -> Image:
    """Turned clockwise about its middle by any angle."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    return np.asarray(
        cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_photo_gives_the_upright_ones_template_and_boxes_of_its_own(
    extractor: Extractor, hopper: Image, degrees: int
) -> None:
    (upright,) = extractor.image(hopper, "").faces
    photo = orientation.turned(hopper, 360 - degrees)
    (found,) = extractor.image(photo, "").faces
    assert (upright.face.turned, found.face.turned) == (0, degrees)
    assert float(found.template.vector @ upright.template.vector) > 0.999
    size = (photo.shape[1], photo.shape[0])
    expected = orientation.turned_back(upright.face, degrees, size)  # tested by itself below
    assert found.face.box == pytest.approx(expected.box, abs=2)
    assert found.face.landmarks == pytest.approx(expected.landmarks, abs=2)


@pytest.mark.parametrize("degrees", [-60, -45, 30, 45, 60])
def test_a_head_that_leans_is_found_as_one(
    extractor: Extractor, collins: Image, degrees: float
) -> None:
    (upright,) = extractor.image(collins, "").faces
    found = extractor.image(leaning(collins, degrees), "").faces[0]
    assert tilt(found.face) - tilt(upright.face) == pytest.approx(degrees, abs=17)
    assert float(found.template.vector @ upright.template.vector) > 0.5


def test_a_large_turned_photo_is_found_in_a_smaller_copy(
    extractor: Extractor, hopper: Image
) -> None:
    upright = extractor.image(hopper, "").faces[0].template.vector
    large = cv2.resize(hopper, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    out = io.BytesIO()
    Pillow.fromarray(orientation.turned(np.asarray(large, np.uint8), 270)[:, :, ::-1]).save(
        out, "JPEG"
    )
    seen = open_photo(out.getvalue())
    assert isinstance(seen, OpenedPhoto) and seen.view.scale > 1
    photo = extractor.photo(out.getvalue())
    assert isinstance(photo, Photo)
    assert photo.faces[0].face.turned == 90
    assert photo.size == (large.shape[0], large.shape[1])
    assert max(photo.faces[0].face.box) > seen.view.image.shape[0] / 2  # of the whole photo
    assert float(photo.faces[0].template.vector @ upright) > 0.95


def test_one_good_face_keeps_the_photo_as_it_is(extractor: Extractor, hopper: Image) -> None:
    both = np.hstack([hopper, orientation.turned(hopper, 180)])
    asked: list[Image] = []
    faces = extractor.detector.detect(both)
    assert orientation.turn_needed(both, faces, lambda image: asked.append(image) or ()) == 0
    assert asked == []


def test_a_sure_upright_photo_is_looked_at_once(hopper: Image, detector: YuNet) -> None:
    faces = detector.detect(hopper)

    def never(_: Image) -> tuple[Face, ...]:
        raise AssertionError("the photo was tried again")

    assert orientation.turn_needed(hopper, faces, never) == 0


def test_nobody_is_nobody_in_every_orientation(extractor: Extractor) -> None:
    assert extractor.image(np.full((200, 300, 3), 200, np.uint8), "").faces == ()


@pytest.mark.parametrize("degrees", range(0, 360, orientation.STEP))
def test_what_is_turned_can_be_turned_back(degrees: int) -> None:
    picture = np.zeros((60, 100, 3), np.uint8)
    picture[20, 70] = 255
    seen = orientation.turned(picture, degrees)
    y, x = np.unravel_index(seen[:, :, 0].argmax(), seen.shape[:2])
    points = np.full((5, 2), (x, y), np.float32)
    back = orientation.turned_back(
        Face((x - 2, y - 3, x + 2, y + 3), points, 0.9), degrees, (100, 60)
    )
    assert back.landmarks == pytest.approx(np.full((5, 2), (70, 20)), abs=0.8)
    if degrees % 90:
        assert np.subtract(back.box[2:], back.box[:2]) == pytest.approx((4, 6)), "keeps its sides"
    middle = ((back.box[0] + back.box[2]) / 2, (back.box[1] + back.box[3]) / 2)
    assert middle == pytest.approx((70, 20), abs=0.8)


def test_upright_is_as_it_is_and_between_quarters_the_middle_stays(hopper: Image) -> None:
    seen = leant(0.9, 3, 4)
    assert orientation.turned(hopper, 0) is hopper
    assert orientation.turned_back(seen, 0, (9, 9)) is seen
    white = np.full((40, 61, 3), 255, np.uint8)
    for degrees in range(45, 360, 90):
        turned = orientation.turned(white, degrees).astype(int)
        assert np.abs(turned - turned[::-1, ::-1]).max() <= 16, "the same turned by half"


# what is tried -------------------------------------------------------------------------------


def leant(score: float, along: float, down: float) -> Face:
    """A face whose second eye is so many px to the right of the first, and down."""
    points = np.array([[0, 0], [along, down], [0, 0], [0, 0], [0, 0]], np.float32)
    return Face((0, 0, 9, 9), points, score)


def tried(faces: list[Face], answers: list[Face | None]) -> tuple[int, int]:
    """The turn that is needed, and how many others were looked at: these are what each shows."""
    shown: list[Image] = []

    def detect(image: Image) -> list[Face]:
        shown.append(image)
        found = answers[len(shown) - 1] if len(shown) <= len(answers) else None
        return [found] if found else []

    return orientation.turn_needed(np.zeros((20, 30, 3), np.uint8), faces, detect), len(shown)


@pytest.mark.parametrize(
    ("face", "looked"),
    [(leant(0.905, 1, 1), 0), (leant(0.905, 1, -1), 0), (leant(0.9049, 9, 0), 3),
     (leant(0.905, 1, 1.001), 3), (leant(0.99, -1, 0), 3)],
)  # fmt: skip
def test_others_are_looked_at_where_the_surest_is_unsure_or_leans_by_more_than_45_degrees(
    face: Face, looked: int
) -> None:
    assert tried([leant(0.7, 0, 1), face], []) == (0, looked)


def test_between_quarters_is_looked_where_the_surest_is_unsure_and_leans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unsure = leant(0.9, 9, 2)
    monkeypatch.setattr(orientation, "LEANS", abs(tilt(unsure)))
    assert tried([unsure], []) == (0, 3)
    monkeypatch.setattr(orientation, "LEANS", np.nextafter(abs(tilt(unsure)), 0))
    assert tried([unsure], []) == (0, 7)
    assert tried([leant(0.3, 9, 0)], [None, leant(0.904, 9, 0)]) == (180, 7), "a turn is unsure"
    assert tried([leant(0.3, 9, 0)], [None, leant(0.905, 9, 0)]) == (180, 3)


@pytest.mark.parametrize("place", range(7))
def test_the_turn_is_the_one_that_shows_the_surest_face(place: int) -> None:
    answers: list[Face | None] = [leant(0.7, 9, 0)] * 7
    answers[place] = leant(0.8, 9, 0)
    turns = (90, 180, 270, 45, 135, 225, 315)
    assert tried([leant(0.6, 9, 0)], answers) == (turns[place], 7)
