"""What another camera's photos look like is told, and others can be made to look so."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facecli.common.types import Face, Image
from facecli.recognition import alignment, quality
from facecli.recognition.detector import YuNet
from facecli.training import degrade
from facecli.training.degrade import Appearance, Look


@pytest.fixture(scope="module")
def shots(collins: Image, hopper: Image, detector: YuNet) -> list[tuple[Image, Face]]:
    return [(picture, detector.detect(picture)[0]) for picture in (collins, hopper)]


def seen(image: Image, detector: YuNet) -> Appearance:
    face = detector.detect(image)[0]
    return degrade.measured(image, face, alignment.crop(image, face.landmarks))


@pytest.mark.parametrize(
    "look",
    [Look(90, 24, 0, False), Look(60, 60, 0, True), Look(80, 80, 12, False), Look(40, 20, 0, True)],
)
def test_a_look_is_found_again_in_what_it_made(
    look: Look, shots: list[tuple[Image, Face]], detector: YuNet
) -> None:
    for image, face in shots:
        made, _ = degrade.degraded(image, face.box, look, 1)
        found = degrade.matched([seen(made, detector)], [(image, face)])[0]
        assert found.side == pytest.approx(look.side, rel=0.15)
        # All that is sharp is as sharp as can be told, and noise passes for detail.
        assert found.detail > 40 or found.detail == pytest.approx(look.detail, rel=0.35)
        assert (found.detail > 40) == (look.detail > 40)
        assert found.noise == pytest.approx(look.noise, abs=6)
        assert (found.noise > 6) == (look.noise > 6)
        assert found.grey == look.grey


def test_the_same_seed_gives_the_same_noise_and_points_move_with_the_pixels(
    shots: list[tuple[Image, Face]], detector: YuNet
) -> None:
    image, face = shots[0]
    look = Look(70, 70, 8, False)
    (first, k), (again, _) = (degrade.degraded(image, face.box, look, 7) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, degrade.degraded(image, face.box, look, 8)[0])
    moved = (face.landmarks + 0.5) * k - 0.5
    assert np.abs(detector.detect(first)[0].landmarks - moved).max() < 3


def test_nothing_is_made_larger_or_sharper(shots: list[tuple[Image, Face]]) -> None:
    image, face = shots[0]
    made, k = degrade.degraded(image, face.box, Look(1e4, 1e4, 0, False), 0)
    assert k == 1 and np.array_equal(made, image)
    small, _ = degrade.degraded(image, face.box, Look(1e4, 20, 0, False), 0)
    assert small.shape == image.shape
    points = face.landmarks
    assert quality.sharpness(alignment.crop(small, points)) < 0.7 * quality.sharpness(
        alignment.crop(image, points)
    )


def test_a_face_at_the_edge_is_measured_all_the_same() -> None:
    picture = cv2.randu(np.zeros((40, 40, 3), np.uint8), 0, 255)
    face = Face((-30.0, -30.0, 2.0, 2.0), np.zeros((5, 2), np.float32), 0.9)
    found = degrade.measured(picture, face, np.zeros((112, 112, 3), np.uint8))
    assert np.isfinite([found.side, found.noise]).all()
