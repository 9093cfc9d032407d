"""Which way up a photo is, where its EXIF does not say: scans, doorbells, messengers.

The detector knows upright faces. Where it is sure of one, the photo is upright, and nothing more
is looked at. Else the photo is tried in the three other orientations, and the one that the
detector is surest of is the right one: of 250 LFW photos turned each way it was 250 times. It is
below SURE for 3.0 % of upright photos, which cost the time, and for all of 290 upside-down ones.

Heads that lean by 30 to 60 degrees are seen badly in two neighbouring orientations, with landmarks
as if they leaned by half of that: where the surest orientation is another one or shows a head that
leans, and is not SURE either, those between the four are tried, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from facecli.common.types import Face, Float32, Float64, Image, tilt

SURE = 0.905  # the detection score of a photo's surest face from which it is taken for upright
TILTED = 45.0  # degrees that this face may lean by: beyond, another orientation is nearer
LEANS = 12.0  # degrees in the detector's eyes; LFW's heads that lean by 30 seem to by 17 or more
TRIAL_SIDE, FINE_TRIAL_SIDE = 640, 1280  # px: of the copy that is tried; where no face is known
STEP = 45

_QUARTERS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}  # by the degrees clockwise


def turn_needed(
    image: Image, faces: Sequence[Face], detect: Callable[[Image], Sequence[Face]]
) -> int:
    """Degrees clockwise that bring a photo's faces upright: a multiple of STEP, below 360.

    image: (H, W, 3) uint8 BGR. faces: those found in it as it is; one sure and upright face among
    them is enough for 0. detect: finds faces, in a smaller copy.
    """
    upright = _surest(faces)
    if upright and upright.detection_score >= SURE and abs(tilt(upright)) <= TILTED:
        return 0
    best = {0: upright}
    k = min(1.0, (TRIAL_SIDE if faces else FINE_TRIAL_SIDE) / max(image.shape[:2]))
    size = [max(1, round(side * k)) for side in image.shape[1::-1]]
    copy = image if k == 1 else cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA))

    def surest() -> int:
        return max(best, key=lambda degrees: _score(best[degrees]))

    for degrees in _QUARTERS:
        best[degrees] = _surest(detect(turned(copy, degrees)))
    nearest = surest()
    face = best[nearest]
    if face and face.detection_score < SURE and (nearest or abs(tilt(face)) > LEANS):
        for degrees in range(STEP, 360, 2 * STEP):
            best[degrees] = _surest(detect(turned(copy, degrees)))
    return surest()


def _surest(faces: Sequence[Face]) -> Face | None:
    return max(faces, key=lambda face: face.detection_score, default=None)


def _score(face: Face | None) -> float:
    return face.detection_score if face else 0.0


def turned(image: Image, degrees: int) -> Image:
    """The picture turned clockwise by a multiple of STEP; between quarters with black corners."""
    if degrees in _QUARTERS:
        return cast(Image, cv2.rotate(image, _QUARTERS[degrees]))
    if degrees == 0:
        return image
    forth, size = _between(degrees, (image.shape[1], image.shape[0]))
    return cast(Image, cv2.warpAffine(image, forth, size))


def turned_back(face: Face, degrees: int, size: tuple[int, int]) -> Face:
    """A face found in a photo that was `turned` by `degrees`, in px of the photo as it was.

    size: (width, height) of the photo as it was. The landmarks keep their order: the eye that is
    on the left once the face is upright stays the first. Between quarters the box keeps its sides.
    """
    if degrees == 0:
        return face
    x1, y1, x2, y2 = face.box
    corners = _back(np.array([[x1, y1], [x2, y2]]), degrees, size)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    if degrees not in _QUARTERS:
        x, y = corners.mean(axis=0)
        left, right, top, bottom = (
            *(x + d * (x2 - x1) / 2 for d in (-1, 1)),
            *(y + d * (y2 - y1) / 2 for d in (-1, 1)),
        )
    landmarks = _back(face.landmarks, degrees, size).astype(np.float32)
    box = (float(left), float(top), float(right), float(bottom))
    return replace(face, box=box, landmarks=landmarks)


def _back(points: Float32 | Float64, degrees: int, size: tuple[int, int]) -> Float64:
    """(n, 2) px of the turned photo in px of the photo as it was."""
    x, y = np.asarray(points, np.float64).T
    width, height = size
    if degrees == 90:
        return np.stack([y, height - 1 - x], axis=1)
    if degrees == 180:
        return np.stack([width - 1 - x, height - 1 - y], axis=1)
    if degrees == 270:
        return np.stack([width - 1 - y, x], axis=1)
    forth, _ = _between(degrees, size)
    back = cv2.invertAffineTransform(forth)
    return np.asarray(np.stack([x, y], axis=1) @ back[:, :2].T + back[:, 2], np.float64)


def _between(degrees: int, size: tuple[int, int]) -> tuple[Float64, tuple[int, int]]:
    """The (2, 3) matrix that turns a picture about its middle, and the size that holds it all."""
    width, height = size
    angle = np.radians(degrees)
    down = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    across = np.abs(down) @ (width, height)
    room = (int(np.ceil(across[0])), int(np.ceil(across[1])))
    middle, new = (np.array([w - 1, h - 1]) / 2 for w, h in (size, room))
    return np.column_stack([down, new - down @ middle]), room
