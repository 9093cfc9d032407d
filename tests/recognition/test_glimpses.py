"""A face of a frame, seen at a glance and then closely, is the face that a photo of it shows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from facecli.common.types import Face, Image
from facecli.recognition.detector import YuNet
from facecli.recognition.glimpses import PART_SIDE, PART_WINDOW
from facecli.recognition.pipeline import Extractor


def placed(portrait: Image, factor: float, size: tuple[int, int]) -> Image:
    """A frame of this size, (width, height) px, with the portrait off its middle."""
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    tile = cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=how)
    canvas = np.full((size[1], size[0], 3), 110, np.uint8)
    left, top = size[0] // 10, 0
    part = tile[: size[1], : size[0] - left]
    canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
    return canvas


@pytest.mark.parametrize(
    ("factor", "size"), [(0.4, (640, 360)), (1, (960, 720)), (2, (1920, 1080))],
    ids=["small", "as it is", "large, in a frame that is looked at smaller"],
)  # fmt: skip
def test_a_look_is_what_a_photo_of_the_frame_gives(
    extractor: Extractor, hopper: Image, factor: float, size: tuple[int, int]
) -> None:
    frame = placed(hopper, factor, size)
    (seen,) = extractor.glimpses(frame)
    (look,) = extractor.look([seen])
    (wanted,) = extractor.image(frame, "").faces
    found = look.found
    assert found.face.box == seen.face.box
    eyes = np.linalg.norm(wanted.face.landmarks[1] - wanted.face.landmarks[0])
    away = np.linalg.norm(found.face.landmarks - wanted.face.landmarks, axis=1).max()
    assert away < 0.08 * eyes
    assert found.face.quality == pytest.approx(wanted.face.quality, abs=0.08)
    assert float(found.template.vector @ wanted.template.vector) > 0.97
    assert look.crop.shape == (112, 112, 3)


def test_a_glimpse_keeps_little_of_the_frame(extractor: Extractor, hopper: Image) -> None:
    for factor in (0.5, 3.0):
        (seen,) = extractor.glimpses(placed(hopper, factor, (1920, 1440)))
        assert max(seen.part.shape) <= PART_WINDOW * PART_SIDE + 1
        assert seen.part.base is None


def test_landmarks_are_found_again_only_in_a_look(extractor: Extractor, hopper: Image) -> None:
    """Of a head that leans: at a glance YuNet sees it nearly upright."""
    height, width = hopper.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1)
    frame = cv2.warpAffine(hopper, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    (seen,) = extractor.glimpses(frame)
    (look,) = extractor.look([seen])

    def lean(face: Face) -> float:
        across, down = face.landmarks[1] - face.landmarks[0]
        return abs(float(np.degrees(np.arctan2(down, across))))

    assert lean(look.found.face) > lean(seen.face) + 3


class Plain:
    """A detector of somebody else's, without `glance`; then with landmarks of no face."""

    def __init__(self, detector: YuNet) -> None:
        self._detector = detector
        self.swapped = False

    def detect(self, image: Image, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        order = [1, 0, 2, 4, 3] if self.swapped else [0, 1, 2, 3, 4]
        found = self._detector.detect(image, known)
        return tuple(Face(f.box, f.landmarks[order], f.detection_score) for f in found)


def test_a_detector_without_a_glance_serves_and_bad_landmarks_are_not_taken(
    extractor: Extractor, detector: YuNet, hopper: Image
) -> None:
    plain = Plain(detector)
    other = Extractor(extractor.spec, extractor.embedder, plain)
    (seen,) = other.glimpses(hopper)
    (look,) = other.look([seen])
    plain.swapped = True
    (again,) = other.look([seen])
    assert float(again.found.template.vector @ look.found.template.vector) > 0.97
