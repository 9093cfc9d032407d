"""Quality: each measure falls with what it measures, and what is too poor is named and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter1d
from support.galleries import Command, two_faces
from support.galleries import hopper as hopper_path

from facecli import Gallery
from facecli.common.decision import decide
from facecli.common.enums import Basis, FacesRule, Outcome, Reason, Target
from facecli.common.types import Candidate, Face, FailureToAcquire, Image, OperatingPoint, Probe
from facecli.datasets.labels import LabelledPhoto
from facecli.gallery.enroll import EnrollStatus
from facecli.recognition import alignment
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR, assess, eye_distance, fault, pose, sharpness

NAN = float("nan")
POINT = OperatingPoint(0.4, Basis.BY_HAND, Target.NONE, NAN, NAN, NAN, NAN, 1, "e", "")


def blurred(image: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def smaller(image: Image, factor: float) -> Image:
    shrunk = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)


def darker(image: Image, gain: float) -> Image:
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    return np.clip(image * gain + noise, 0, 255).astype(np.uint8)


def seen(extractor: Extractor, image: Image) -> Face:
    return extractor.image(image, "").faces[0].face


def face(nose: float = 0.5, score: float = 0.9, distance: float = 40) -> Face:
    """Eyes level and `distance` px apart, the nose at that share of the way between them."""
    points = np.array([[0, 0], [1, 0], [nose, 0.5], [0.1, 1], [0.9, 1]], np.float32) * distance
    return Face((0, -distance, distance, 2 * distance), points, score, 0.3, 0.2)


@pytest.mark.parametrize(
    ("worse", "steps"),
    [(blurred, (2, 4, 6)), (smaller, (0.35, 0.1, 0.08)), (darker, (0.15, 0.08, 0.05))],
)
def test_quality_falls_step_by_step_below_the_bar(
    extractor: Extractor, hopper: Image, worse: Callable[[Image, float], Image], steps: tuple
) -> None:
    small = smaller(hopper, 0.4)
    base = hopper if worse is smaller else small
    found = [seen(extractor, base), *(seen(extractor, worse(base, step)) for step in steps)]
    scores = [f.quality for f in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.8
    assert scores[-1] < DEFAULT_BAR


def test_sharpness_falls_with_blur_and_hardly_with_light(
    extractor: Extractor, hopper: Image
) -> None:
    crop = alignment.crop(hopper, seen(extractor, hopper).landmarks)
    sharp = sharpness(crop)
    assert [sharpness(blurred(crop, s)) for s in (2, 4, 8)] == sorted(
        (sharpness(blurred(crop, s)) for s in (2, 4, 8)), reverse=True
    )
    assert sharpness(blurred(crop, 4)) < 0.4 * sharp
    assert sharpness((crop * 0.6).astype(np.uint8)) > 0.7 * sharp
    assert sharpness(np.full_like(crop, 128)) == 0


def test_sharpness_is_fine_detail_over_contrast_of_the_face_itself(
    extractor: Extractor, pictures: dict[str, Image]
) -> None:
    """By scipy: differences of Gaussians of 2 px along rows or columns, and of 8 px, in the middle
    80 rows and 72 columns; 12 grey levels are added to the contrast, and 0.145 of it is sharp.
    """
    for image in pictures.values():
        crop = alignment.crop(image, seen(extractor, image).landmarks)
        for shown in (crop, blurred(crop, 3)):
            grey = cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY).astype(np.float64)

            def less(*axes: int, sigma: float, radius: int, grey: np.ndarray = grey) -> float:
                blurry = grey
                for axis in axes:
                    blurry = gaussian_filter1d(blurry, sigma, axis, radius=radius, mode="mirror")
                return float((grey - blurry)[24:104, 20:92].std())

            fine = min(less(axis, sigma=2, radius=6) for axis in (0, 1))
            contrast = less(0, 1, sigma=8, radius=32)
            expected = min(1.0, fine / (contrast + 12) / 0.145)
            assert sharpness(shown) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("nose", "wanted"),
    [(0.5, 1), (0.25, 1), (0.125, 0.75), (0, 0.5), (-0.5, 0.5), (1.2, 0.5)],
)
def test_pose_is_where_the_nose_stands(nose: float, wanted: float) -> None:
    turned = face(nose)
    assert pose(turned) == pytest.approx(wanted, abs=1e-6)
    tilt = np.array([[0.8, 0.6], [-0.6, 0.8]], np.float32)  # the whole head, in the picture plane
    tilted = Face(turned.box, turned.landmarks @ tilt, 0.9)
    assert pose(tilted) == pytest.approx(wanted, abs=1e-5)
    assert eye_distance(tilted) == pytest.approx(40, abs=1e-4)


def test_the_score_is_made_of_its_measures(hopper: Image, extractor: Extractor) -> None:
    crop = alignment.crop(hopper, seen(extractor, hopper).landmarks)
    whole = assess(face(score=0.95), crop)
    assert whole.score == pytest.approx(np.sqrt(whole.sharpness))
    assert assess(face(score=0.6), crop).score == 0
    assert assess(face(score=0.775), crop).score == pytest.approx(whole.score / 2)
    assert assess(face(nose=0, score=0.95), crop).score == pytest.approx(whole.score * 0.5**0.5)
    assert assess(Face((0, 0, 1, 1), np.zeros((5, 2), np.float32), 1), crop).score == 0


def test_a_fault_states_its_numbers() -> None:
    poor = face(distance=9, nose=0.125, score=0.71)
    assert fault(poor, 0.3) is None
    assert fault(poor, 0.31) == (
        "quality 0.30 is below 0.31 (eye distance 9 px, sharpness 0.20, pose 0.75, "
        "detection score 0.71); give a larger, sharper or more frontal one"
    )
    stored = Face(poor.box, poor.landmarks, 0.71, 0.3)
    assert "sharpness" not in str(fault(stored, 0.31)).split(";")[0]


def test_a_flawed_face_gets_no_name_whatever_its_score() -> None:
    flaw = FailureToAcquire("p", Reason.LOW_QUALITY, "blurred")
    probe = Probe("p", 0, face())
    for score in (0.41, 0.39):
        made = decide(probe, [Candidate(1, "Ada", 1, score)], POINT, POINT.threshold, 0.1, flaw)
        assert (made.outcome, made.subject) == (Outcome.LOW_QUALITY, None)
        assert made.failure is flaw
        assert made.candidates[0].subject == "Ada"
    assert decide(probe, [], POINT, POINT.threshold).outcome is Outcome.UNKNOWN


@pytest.fixture
def gallery(tmp_path: Path, extractor: Extractor):
    opened = Gallery.open(tmp_path / "g.facecli", create=True)
    opened.models.extractor = extractor
    yield opened
    opened.close()


@pytest.fixture
def poor(tmp_path: Path, hopper: Image) -> Path:
    """Hopper so blurred that nobody could be sure."""
    path = tmp_path / "poor.png"
    cv2.imwrite(str(path), blurred(smaller(hopper, 0.4), 6))
    return path


def test_enrolment_refuses_it_with_the_reason(gallery: Gallery, poor: Path) -> None:
    (item,) = gallery.enroll([LabelledPhoto(poor, "Grace Hopper")]).items
    assert (item.status, item.faces) == (EnrollStatus.SKIPPED, 0)
    assert item.failure is not None and item.failure.reason is Reason.LOW_QUALITY
    assert f"below {DEFAULT_BAR:.2f} (eye distance" in item.failure.detail
    assert gallery.info().references == 0
    (item,) = gallery.enroll([LabelledPhoto(poor, "Grace Hopper")], min_quality=0).items
    assert (item.status, item.faces, item.failure) == (EnrollStatus.ENROLLED, 1, None)


def test_of_several_faces_the_poor_ones_are_left_out(
    gallery: Gallery, extractor: Extractor, tmp_path: Path
) -> None:
    photo = two_faces(tmp_path / "two.png")
    picture = cv2.imread(str(photo))
    picture[:, :400] = cv2.GaussianBlur(picture[:, :400], (0, 0), 8)
    cv2.imwrite(str(photo), picture)
    kept = [
        (i, f.face) for i, f in enumerate(extractor.photo(photo).faces)  # type: ignore[union-attr]
        if f.face.quality >= DEFAULT_BAR
    ]  # fmt: skip
    assert len(kept) == 1
    (item,) = gallery.enroll([LabelledPhoto(photo, "Both")], faces=FacesRule.ALL).items
    assert (item.status, item.faces) == (EnrollStatus.ENROLLED, 1)
    assert item.failure is not None and item.failure.reason is Reason.LOW_QUALITY
    (reference,) = gallery.storage.reader.references()
    assert reference.face_index == kept[0][0]
    assert reference.face.box == pytest.approx(kept[0][1].box)


def test_identify_tells_low_quality_from_unknown(
    gallery: Gallery, poor: Path, collins: Image, tmp_path: Path
) -> None:
    gallery.enroll([LabelledPhoto(hopper_path(), "Grace Hopper")])
    bad = tmp_path / "collins.png"
    cv2.imwrite(str(bad), blurred(smaller(collins, 0.5), 5))
    (stranger,) = gallery.identify([bad], threshold=0.9)
    assert (stranger.outcome, stranger.subject) == (Outcome.LOW_QUALITY, None)
    assert stranger.failure is not None and stranger.failure.reason is Reason.LOW_QUALITY
    assert stranger.candidates[0].subject == "Grace Hopper"
    (same,) = gallery.identify([bad], threshold=0.9, min_quality=0)
    assert (same.outcome, same.failure) == (Outcome.UNKNOWN, None)
    (known,) = gallery.identify([poor], threshold=-0.9)
    assert (known.outcome, known.subject) == (Outcome.LOW_QUALITY, None)
    assert known.candidates[0].subject == "Grace Hopper"
    (known,) = gallery.identify([poor], threshold=-0.9, min_quality=0)
    assert (known.outcome, known.failure) == (Outcome.IDENTIFIED, None)


def test_the_command_says_so(tmp_path: Path, poor: Path) -> None:
    command = Command(tmp_path / "home")
    refused = command("enroll", poor, "-s", "Grace Hopper")
    assert refused.returncode == 3
    assert "low quality: quality 0." in refused.stdout
    assert f" is below {DEFAULT_BAR:.2f} (eye distance" in refused.stdout
    assert command("enroll", poor, "-s", "Grace Hopper", "--min-quality", "0").returncode == 0
    with Pillow.open(poor) as upright:
        upright.rotate(12).save(poor)
    row = json.loads(command("identify", poor, "--threshold", "0.9999", "--json").stdout)[0]
    assert (row["decision"], row["subject"]) == ("low_quality", None)
    assert row["reason"].startswith("low quality: quality 0.")
    table = command("identify", poor, "--threshold", "0.9999").stdout
    assert "nearest: Grace Hopper, below threshold" in table
    assert "low quality" in table
    any_ = command("identify", poor, "--threshold", "0.9999", "--min-quality", "0").stdout
    assert "unknown" in any_
    assert command("enroll", poor, "--min-quality", "2").returncode == 2


@pytest.mark.lfw
def test_the_bar_refuses_hardly_a_photo_of_lfw(extractor: Extractor, lfw: Path) -> None:
    paths = sorted((lfw / "photos").glob("*/*.jpg"))[::20]
    found = [photo.faces[0].face.quality for photo in extractor.photos(paths)]  # type: ignore[union-attr]
    assert np.mean(np.array(found) < DEFAULT_BAR) < 0.011  # at most 2 of 197
    assert np.median(found) > 0.85
