"""Five landmarks to the 112 x 112 crop that ArcFace embedders were trained on."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from facecli.types import Float32, Float64, Image

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
MIN_SPREAD = 1.0  # px: root mean square distance of the landmarks from their centre
MAX_RESIDUAL = 0.35  # of the face's spread: five points that look like no face


def similarity(source: Float32 | Float64, target: Float32 | Float64) -> Float64:
    """The rotation, uniform scale and shift that best map source onto target (least squares).

    source, target: (n, 2). Returns (2, 3): [sR | t]. Umeyama 1991, eq. 40-42, reflections
    excluded. Raises ValueError when the source points are not finite or coincide.
    """
    src, dst = np.asarray(source, np.float64), np.asarray(target, np.float64)
    src_mean, dst_mean = src.mean(axis=0), dst.mean(axis=0)
    src_c, dst_c = src - src_mean, dst - dst_mean
    variance = float((src_c**2).sum(axis=1).mean())
    if not np.isfinite(variance) or variance <= np.finfo(np.float64).eps:
        raise ValueError("the points coincide or are not finite")
    u, d, vt = np.linalg.svd(dst_c.T @ src_c / len(src))
    sign = np.array([1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) >= 0 else -1.0])
    rotation = (u * sign) @ vt
    scale = float((d * sign).sum() / variance)
    shift = dst_mean - scale * rotation @ src_mean
    return np.column_stack([scale * rotation, shift])


def crop(image: Image, landmarks: Float32) -> Image:
    """Cut one face out, upright and at the embedder's size.

    image: (H, W, 3) uint8 BGR. landmarks: (5, 2) px. Returns (112, 112, 3) uint8 BGR; outside
    the photo is black. Raises ValueError for landmarks that cannot be a face: not finite,
    (nearly) one point, on one line, mirrored or all outside the photo.
    """
    _check(landmarks, image.shape[1], image.shape[0])
    matrix = similarity(landmarks, ARCFACE_TEMPLATE)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        # A plain warp skips pixels when it shrinks by more than 2: aliasing costs cosine.
        image, matrix = _shrink(image, matrix, scale)
    warped = cv2.warpAffine(image, matrix, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR)
    return cast(Image, warped)


def _check(landmarks: Float32, width: int, height: int) -> None:
    if landmarks.shape != (5, 2) or not np.isfinite(landmarks).all():
        raise ValueError("the landmarks are not five finite points")
    inside = ((landmarks >= 0) & (landmarks < (width, height))).all(axis=1)
    if not inside.any():
        raise ValueError("every landmark lies outside the photo")
    centred = landmarks - landmarks.mean(axis=0)
    spread = float(np.sqrt((centred**2).sum(axis=1).mean()))
    if spread < MIN_SPREAD:
        raise ValueError("the landmarks fall on one point")
    matrix = similarity(landmarks, ARCFACE_TEMPLATE)
    mapped = landmarks @ matrix[:, :2].T + matrix[:, 2]
    template_spread = float(
        np.sqrt(((ARCFACE_TEMPLATE - ARCFACE_TEMPLATE.mean(axis=0)) ** 2).sum(axis=1).mean())
    )
    residual = float(np.sqrt(((mapped - ARCFACE_TEMPLATE) ** 2).sum(axis=1).mean()))
    if residual > MAX_RESIDUAL * template_spread * 2:
        raise ValueError("the landmarks do not look like a face")


def _shrink(image: Image, matrix: Float64, scale: float) -> tuple[Image, Float64]:
    """Cut out the part the crop shows and shrink it by area, so that the warp shrinks by < 2."""
    corners = np.array([[0, 0], [CROP_SIZE, 0], [0, CROP_SIZE], [CROP_SIZE, CROP_SIZE]], float)
    inverse = np.linalg.inv(matrix[:, :2])
    reach = (corners - matrix[:, 2]) @ inverse.T
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(reach.min(axis=0)) - 2, 0, (width - 1, height - 1)).astype(int)
    x2, y2 = np.clip(np.ceil(reach.max(axis=0)) + 2, (x1 + 1, y1 + 1), (width, height)).astype(int)
    part = image[y1:y2, x1:x2]
    new_w = max(1, round((x2 - x1) * scale))
    new_h = max(1, round((y2 - y1) * scale))
    k = np.array([new_w / (x2 - x1), new_h / (y2 - y1)])
    small = cast(Image, cv2.resize(part, (new_w, new_h), interpolation=cv2.INTER_AREA))
    # q = (p - start + 0.5) * k - 0.5, so p = (q + 0.5) / k - 0.5 + start
    offset = 0.5 / k - 0.5 + np.array([x1, y1])
    linear = matrix[:, :2] / k
    return small, np.column_stack([linear, matrix[:, :2] @ offset + matrix[:, 2]])
