"""Alignment against the published closed form, on landmarks of faces and of no faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform, estimate_transform

from facecli.common.types import Image
from facecli.recognition import alignment, images
from facecli.recognition.detector import YuNet

T = alignment.ARCFACE_TEMPLATE
CENTRE = T.mean(axis=0)

seeds = st.integers(0, 2**32 - 1)


def turned(points: NDArray, degrees: float, scale: float, shift: tuple[float, float]) -> NDArray:
    a = np.radians(degrees)
    rotation = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return (points - CENTRE) @ (scale * rotation).T + CENTRE + shift


def mapped(matrix: NDArray, points: NDArray) -> NDArray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def least_squares(source: NDArray, target: NDArray) -> NDArray:
    """Another way to the same optimum: (a, b, tx, ty) of [[a, -b], [b, a]] by linear equations."""
    x, y, one, zero = *source.T, np.ones(len(source)), np.zeros(len(source))
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    (a, b, tx, ty), *_ = np.linalg.lstsq(rows, np.concatenate(target.T), rcond=None)
    return np.array([[a, -b, tx], [b, a, ty]])


@given(seeds, st.integers(2, 9), st.floats(1, 1000))
def test_similarity_is_umeyamas(seed: int, count: int, size: float) -> None:
    source, target = np.random.default_rng(seed).normal(size=(2, count, 2))
    source *= size
    ours = alignment.similarity(source, target)
    assert ours == pytest.approx(least_squares(source, target), abs=1e-5)
    assert ours == pytest.approx(
        estimate_transform("similarity", source, target).params[:2], abs=1e-5
    )


@given(seeds, st.floats(-180, 180), st.floats(0.01, 100), st.floats(-5000, 5000))
def test_an_exact_similarity_is_recovered(
    seed: int, degrees: float, scale: float, shift: float
) -> None:
    points = np.random.default_rng(seed).normal(size=(5, 2))
    exact = SimilarityTransform(
        scale=scale, rotation=np.radians(degrees), translation=(shift, -shift)
    ).params[:2]
    found = alignment.similarity(points, mapped(exact, points))
    assert found == pytest.approx(exact, abs=1e-5 * max(1, scale))


@given(seeds)
def test_a_reflection_is_never_chosen(seed: int) -> None:
    """The best map onto a mirror image would be the mirror; only turns are allowed."""
    points = np.random.default_rng(seed).normal(size=(5, 2))
    found = alignment.similarity(points, points * (-1, 1))
    assert np.linalg.det(found[:, :2]) > 0
    assert found == pytest.approx(least_squares(points, points * (-1, 1)), abs=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_similarity_refuses_points_that_are_not_finite(bad: float) -> None:
    spoilt = T.copy()
    spoilt[2, 1] = bad
    for source, target in ((spoilt, T), (T, spoilt)):
        with pytest.raises(ValueError, match="not finite"):
            alignment.similarity(source, target)
    with pytest.raises(ValueError, match="coincide"):
        alignment.similarity(np.ones((5, 2)), T)


LINE = np.outer([0, 1, 2, 3, 4.0], [9, 4])
NO_FACES = {
    "finite": (T * [[1], [1], [np.nan], [1], [1]], "finite"),
    "infinite": (T * [[1], [1], [np.inf], [1], [1]], "finite"),
    "four": (T[:4], "five"),
    "one point": (np.full((5, 2), 50.0), "one point"),
    "nearly one point": (CENTRE + (T - CENTRE) / 100, "one point"),
    "a line": (LINE + 20, "one line"),
    "nearly a line": ((T - CENTRE) * (1, 0.02) + CENTRE, "one line"),
    "mirrored": ((T - CENTRE) * (-1, 1) + CENTRE, "mirrored"),
    "mirrored and turned": (turned((T - CENTRE) * (-1, 1) + CENTRE, 130, 1, (0, 0)), "mirrored"),
    "eyes for mouth": (T[[0, 4, 2, 3, 1]], "mirrored"),
    "left of the photo": (T - np.array([200, 0]), "outside"),
    "below the photo": (T + np.array([0, 400]), "outside"),
}


@pytest.mark.parametrize("case", NO_FACES)
def test_landmarks_of_no_face_are_refused(case: str) -> None:
    points, why = NO_FACES[case]
    with pytest.raises(ValueError, match=why):
        alignment.crop(np.full((200, 200, 3), 99, np.uint8), points.astype(np.float32))


@given(st.floats(-180, 180), st.floats(0.2, 40), st.floats(0, 60), st.floats(0, 30))
def test_a_head_that_turns_and_nods_is_still_a_face(
    degrees: float, scale: float, yaw: float, pitch: float
) -> None:
    flat = (T - CENTRE) * (np.cos(np.radians(yaw)), np.cos(np.radians(pitch))) + CENTRE
    points = turned(flat, degrees, scale, (0, 0)).astype(np.float32)
    crop = alignment.crop(np.full((112, 112, 3), 200, np.uint8), points)
    assert crop.shape == (112, 112, 3)
    assert crop.max() == 200


def dotted(points: NDArray, side: int, radius: float) -> Image:
    """A grey picture with a soft white dot on each point, to a fraction of a pixel."""
    y, x = np.mgrid[:side, :side]
    picture = np.full((side, side), 40.0)
    for px, py in points:
        picture += 200 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2))
    return np.repeat(np.clip(picture, 0, 255)[..., None], 3, 2).astype(np.uint8)


def dots(crop: Image) -> NDArray:
    """The dots' centres of mass, near the template's points."""
    weight = crop[..., 0].astype(float) - 40
    y, x = np.mgrid[: alignment.CROP_SIZE, : alignment.CROP_SIZE]
    found = []
    for px, py in T:
        near = weight * (np.hypot(x - px, y - py) < 7)
        found.append([(near * x).sum() / near.sum(), (near * y).sum() / near.sum()])
    return np.array(found)


@pytest.mark.parametrize("scale", [0.9, 1.5, 1.99, 2.01, 3.7, 8.0])
@pytest.mark.parametrize("degrees", [0, 17, -90, 163])
def test_landmarks_land_on_the_template(scale: float, degrees: float) -> None:
    """At scales below and above the one where the photo is first shrunk by area."""
    side = 1000
    points = turned(T, degrees, scale, (500.3 - CENTRE[0], 480.8 - CENTRE[1]))
    crop = alignment.crop(dotted(points, side, 1.5 * scale), points.astype(np.float32))
    assert dots(crop) == pytest.approx(T, abs=0.12)


@pytest.mark.parametrize("scale", [1.0, 2.5, 8.0])
def test_the_crop_is_black_outside_the_photo_and_only_there(scale: float) -> None:
    side = 1500
    white = np.full((side, side, 3), 255, np.uint8)
    inside = turned(T, 30, scale, (side / 2 - CENTRE[0], side / 2 - CENTRE[1]))
    assert alignment.crop(white, inside.astype(np.float32)).min() == 255
    at_edge = (T - CENTRE) * scale + (0, side / 2)  # the nose on the photo's left edge
    crop = alignment.crop(white, at_edge.astype(np.float32))
    assert crop[:, :54].max() == 0
    assert crop[:, 58:].min() == 255


def test_a_large_face_is_not_aliased() -> None:
    """Noise turns grey, as a camera would see it from afar: 100 pixels of it make one."""
    noise = np.random.default_rng(0).integers(0, 2, (1600, 1600, 3), np.uint8) * 255
    points = turned(T, 20, 10, (800 - CENTRE[0], 800 - CENTRE[1])).astype(np.float32)
    assert alignment.crop(noise, points).std() < 1.2 * 127.5 / 10


def test_shrinking_by_area_keeps_the_geometry(hopper: Image, detector: YuNet) -> None:
    (face,) = detector.detect(hopper)
    small = alignment.crop(hopper, face.landmarks)
    large = cv2.resize(hopper, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    again = alignment.crop(large, ((face.landmarks + 0.5) * 6 - 0.5).astype(np.float32))
    assert np.abs(small.astype(int) - again).mean() < 4


def test_a_panorama_wider_than_opencv_can_warp(hopper: Image, detector: YuNet) -> None:
    (face,) = detector.detect(hopper)
    wide = np.zeros((600, 40_000, 3), np.uint8)
    wide[:, -512:] = hopper
    crop = alignment.crop(wide, face.landmarks + np.float32([40_000 - 512, 0]))
    assert np.abs(crop.astype(int) - alignment.crop(hopper, face.landmarks)).mean() < 1


@pytest.mark.lfw
def test_faces_of_lfw_are_never_degenerate(lfw: Path, detector: YuNet) -> None:
    """Full profiles, the worst there are, and a sample of all."""
    hard = ["Naji_Sabri_0006", "Muhammad_Ali_0004", "Warren_Buffett_0001", "GL_Peiris_0001"]
    paths = [lfw / "photos" / n.rsplit("_", 1)[0] / f"{n}.jpg" for n in hard]
    paths += sorted((lfw / "photos").rglob("*.jpg"))[::200]
    seen = 0
    for path in paths:
        image = images.decode(path.read_bytes(), str(path))
        for face in detector.detect(image):
            assert alignment.crop(image, face.landmarks).std() > 5
            seen += 1
    assert seen >= len(paths)
