"""Five landmarks to the 112 x 112 crop that ArcFace embedders were trained on."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from facecli.common.types import Float32, Float64, Image

# The template of the ArcFace papers' code, px in a 112 x 112 crop: the eye on the photo's left,
# the other eye, nose tip, the mouth corner on the photo's left, the other corner.
ARCFACE_TEMPLATE: Float64 = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)

CROP_SIZE = 112
# What the landmarks of a face keep to. Of 4,807 faces found in LFW, full profiles among them, the
# flattest has a breadth of 0.10 and the worst fit is 0.78; a mirrored template fits at 0.97.
MIN_SPREAD = 1.0  # px: root mean square distance of the landmarks from their centre
MIN_BREADTH = 0.05  # across the line they lie along, of their length along it
MAX_MISFIT = 0.87  # of the template's spread, see `_misfit`


def similarity(source: Float32 | Float64, target: Float32 | Float64) -> Float64:
    """The rotation, uniform scale and shift that best map source onto target (least squares).

    source, target: (n, 2). Returns (2, 3): [sR | t]. Umeyama 1991, eq. 40-42, reflections
    excluded. In the plane, with points as complex numbers about their means, that is
    target = a * source with a = sum(conj(source) * target) / sum(|source|^2).
    Raises ValueError when points are not finite or the source points coincide.
    """
    src, dst = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if not (np.isfinite(src).all() and np.isfinite(dst).all()):
        raise ValueError("the points are not finite")
    src_mean, dst_mean = src.mean(axis=0), dst.mean(axis=0)
    src_c, dst_c = src - src_mean, dst - dst_mean
    spread = float((src_c**2).sum())
    if spread <= len(src) * np.finfo(np.float64).eps:
        raise ValueError("the points coincide")
    real = float((src_c * dst_c).sum()) / spread
    imaginary = float((src_c[:, 0] * dst_c[:, 1] - src_c[:, 1] * dst_c[:, 0]).sum()) / spread
    turn = np.array([[real, -imaginary], [imaginary, real]])
    return np.column_stack([turn, dst_mean - turn @ src_mean])


def crop(image: Image, landmarks: Float32) -> Image:
    """Cut one face out, upright and at the embedder's size.

    image: (H, W, 3) uint8 BGR. landmarks: (5, 2) px. Returns (112, 112, 3) uint8 BGR; outside
    the photo is black. Raises ValueError for landmarks that cannot be a face: not finite,
    (nearly) one point, on one line, mirrored or all outside the photo.
    """
    _check(landmarks, image.shape[1], image.shape[0])
    matrix = similarity(landmarks, ARCFACE_TEMPLATE)
    if _misfit(landmarks, matrix) > MAX_MISFIT:
        raise ValueError("the landmarks are mirrored or in the wrong order")
    image, matrix = _cut(image, matrix)
    warped = cv2.warpAffine(image, matrix, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR)
    return cast(Image, warped)


def _check(landmarks: Float32, width: int, height: int) -> None:
    if landmarks.shape != (5, 2) or not np.isfinite(landmarks).all():
        raise ValueError("the landmarks are not five finite points")
    inside = ((landmarks >= 0) & (landmarks < (width, height))).all(axis=1)
    if not inside.any():
        raise ValueError("every landmark lies outside the photo")
    centred = landmarks - landmarks.mean(axis=0, dtype=np.float64)
    if float(np.sqrt((centred**2).sum(axis=1).mean())) < MIN_SPREAD:
        raise ValueError("the landmarks fall on one point")
    along, across = np.linalg.svd(centred, compute_uv=False)
    if across < MIN_BREADTH * along:
        raise ValueError("the landmarks lie on one line")


def _misfit(landmarks: Float32, matrix: Float64) -> float:
    """How far the aligned landmarks stay from the template: 0 on it, 1 as if shrunk to a point."""
    left_over = landmarks @ matrix[:, :2].T + matrix[:, 2] - ARCFACE_TEMPLATE
    centred = ARCFACE_TEMPLATE - ARCFACE_TEMPLATE.mean(axis=0)
    return float(np.linalg.norm(left_over) / np.linalg.norm(centred))


def _cut(image: Image, matrix: Float64) -> tuple[Image, Float64]:
    """The part of the photo that the crop shows, and the matrix from there to the crop.

    Where the warp would shrink by more than 2 the part is shrunk by area first: a plain warp skips
    pixels, and aliasing costs cosine. OpenCV cannot warp more than 32,767 px in one direction.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    corners = np.array([[0, 0], [CROP_SIZE, 0], [0, CROP_SIZE], [CROP_SIZE, CROP_SIZE]], float)
    reach = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    margin = 2 + np.ceil(1 / scale)  # one more pixel of the crop, for interpolation at its edge
    height, width = image.shape[:2]
    low = np.floor(reach.min(axis=0)) - margin
    high = np.ceil(reach.max(axis=0)) + margin
    x1, y1 = np.clip(low, 0, (width - 1, height - 1)).astype(int)
    x2, y2 = np.clip(high, (x1 + 1, y1 + 1), (width, height)).astype(int)
    part = image[y1:y2, x1:x2]
    k = np.ones(2)
    if scale < 0.5:
        size = (max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale)))
        k = np.array(size) / (x2 - x1, y2 - y1)
        part = cast(Image, cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    # q = (p - start + 0.5) * k - 0.5, so p = (q + 0.5) / k - 0.5 + start
    start = 0.5 / k - 0.5 + np.array([x1, y1])
    shift = matrix[:, :2] @ start + matrix[:, 2]
    return part, np.column_stack([matrix[:, :2] / k, shift])
