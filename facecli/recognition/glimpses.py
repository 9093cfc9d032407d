"""Faces of a video's frame: all of them seen quickly, and few of them, later, closely.

Of a track only the best faces are embedded. What the others would need no more is left out: to
find a face's landmarks again takes as long as to find the face. So a glimpse keeps the part of the
frame around the face, and a look at it is taken when a template is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np

from facecli.common.plugins import Detector
from facecli.common.types import Face, FaceTemplate, Image
from facecli.recognition import alignment, quality

PART_SIDE = 224  # px: a face's longer side in the part at most; as large its landmarks are found
PART_WINDOW = 1.5  # of the face's longer side: what the landmarks are found again in, and the crop


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """A face as it was found in a frame.

    face: px of the frame; its landmarks, and so its quality, are near enough to rank it by.
    part: the frame around it, (h, w, 3) uint8 BGR, shrunk where the face is larger than PART_SIDE.
    corner: where the part begins, (x, y) px of the frame. scale: px of the frame per px of it.
    """

    face: Face
    part: Image
    corner: tuple[int, int]
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The same face as a photo's is seen. crop: (112, 112, 3) uint8 BGR, aligned."""

    found: FaceTemplate
    crop: Image


def glimpse(image: Image, face: Face) -> Glimpse:
    """A face of a frame, (H, W, 3) uint8 BGR, with what lies around it."""
    x1, y1, x2, y2 = face.box
    reach, (height, width) = PART_WINDOW / 2 * max(x2 - x1, y2 - y1), image.shape[:2]
    left, right = (int(np.clip((x1 + x2) / 2 + d, 0, width)) for d in (-reach, reach))
    top, bottom = (int(np.clip((y1 + y2) / 2 + d, 0, height)) for d in (-reach, reach))
    part, scale = image[top:bottom, left:right], max(1.0, reach / PART_WINDOW * 2 / PART_SIDE)
    if scale == 1:
        part = part.copy()  # or the whole frame would be kept
    else:
        size = (max(1, round((right - left) / scale)), max(1, round((bottom - top) / scale)))
        part = cast(Image, cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    return Glimpse(face, part, (left, top), scale)


def closer(seen: Glimpse, detector: Detector) -> tuple[Face, Image]:
    """The face with its landmarks found again and its quality by them, and its crop."""
    corner, k = np.array(seen.corner, np.float32), np.float32(seen.scale)
    box = (np.reshape(seen.face.box, (2, 2)) - corner + 0.5) / k - 0.5
    there = (seen.face.landmarks - corner + 0.5) / k - 0.5
    here = Face(tuple(map(float, box.ravel())), there, seen.face.detection_score)  # type: ignore[arg-type]
    (found, *_) = detector.detect(seen.part, (here,))
    try:
        crop = alignment.crop(seen.part, found.landmarks)
    except ValueError:  # those of the glimpse can be a face's: they were cropped by
        found, crop = here, alignment.crop(seen.part, here.landmarks)
    face = replace(seen.face, landmarks=(found.landmarks + 0.5) * k - 0.5 + corner)
    judged = quality.assess(face, crop)
    return replace(face, quality=judged.score, sharpness=judged.sharpness), crop
