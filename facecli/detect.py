"""YuNet through OpenCV: an upright photo in, faces out, whatever their size.

YuNet knows faces of about 10 to 300 px, so one pass cannot serve both a group and a selfie.
A pass at a moderate size comes first; a large photo gets a finer pass for small faces, and
faces that fill the frame get a coarser one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from facecli.errors import ModelError
from facecli.types import Face, Image

SCORE_MIN = 0.6
NMS_IOU = 0.3
COARSE_SIDE, BASE_SIDE, FINE_SIDE = 320, 640, 1280  # px: the long side a pass works at
FINEST_SIDE = 2560  # px: memory grows with the square, a square photo takes 0.6 GB at this
LARGE = 200.0  # px in a pass: above this a coarser pass sees the face better
SMALL = 25.0  # px in a pass: where faces this small are found, smaller ones may be missed
MAX_PER_PASS = 5000


class YuNet:
    """Not thread-safe (`cv2.FaceDetectorYN` keeps state): make one per thread.

    onnx: the weights' bytes, already verified. Raises ModelError when OpenCV cannot load them.
    """

    def __init__(self, onnx: bytes) -> None:
        buffer = np.frombuffer(onnx, np.uint8)
        # OpenCV 5 prints a harmless warning about targets for every network it loads.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            self._net: Any = cv2.FaceDetectorYN.create(
                "onnx",
                buffer,
                np.empty(0, np.uint8),
                (BASE_SIDE, BASE_SIDE),
                SCORE_MIN,
                NMS_IOU,
                MAX_PER_PASS,
            )
        except cv2.error as error:
            raise ModelError(f"OpenCV cannot load the face detector: {error}") from error

    def detect(self, image: Image) -> tuple[Face, ...]:
        """Faces of an upright (H, W, 3) uint8 BGR photo, largest first."""
        longest = max(image.shape[:2])
        side = min(longest, BASE_SIDE)
        faces = self._pass(image, side)
        if longest > COARSE_SIDE and (not faces or _size(faces[0]) * side / longest > LARGE):
            faces = _merge(self._pass(image, COARSE_SIDE), faces, COARSE_SIDE / longest)
        finest = min(longest, FINEST_SIDE)
        while side < finest and (side < FINE_SIDE or _more_below(faces, side / longest)):
            finer = min(finest, 2 * side)
            faces = _merge(faces, self._pass(image, finer), side / longest)
            side = finer
        return tuple(faces)

    def _pass(self, image: Image, side: int) -> list[Face]:
        """Detect with the photo's long side shrunk to `side` px; faces in the photo's own px."""
        height, width = image.shape[:2]
        k = side / max(height, width)
        size = (max(1, round(width * k)), max(1, round(height * k)))
        if size != (width, height):
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        self._net.setInputSize(size)
        _, rows = self._net.detect(image)
        if rows is None:
            return []
        factor = np.array([width / size[0], height / size[1]], np.float32)
        faces = [_face(row, factor) for row in rows]
        return sorted(faces, key=_size, reverse=True)


def _face(row: np.ndarray[Any, Any], factor: np.ndarray[Any, Any]) -> Face:
    """One row of FaceDetectorYN: x, y, w, h, five points, score; px centres kept in place."""
    points = (row[4:14].reshape(5, 2).astype(np.float32) + 0.5) * factor - 0.5
    x1, y1 = (row[:2] + 0.5) * factor - 0.5
    x2, y2 = (row[:2] + row[2:4] + 0.5) * factor - 0.5
    box = (float(x1), float(y1), float(x2), float(y2))
    return Face(box, points.astype(np.float32), float(min(row[14], 1.0)))


def _size(face: Face) -> float:
    """The longer side of the box, px."""
    x1, y1, x2, y2 = face.box
    return max(x2 - x1, y2 - y1)


def _more_below(faces: list[Face], scale: float) -> bool:
    """True where a finer pass may find more; `scale`: px of the last pass per px of the photo."""
    return not faces or _size(faces[-1]) * scale < SMALL


def _merge(coarse: list[Face], fine: list[Face], scale: float) -> list[Face]:
    """Both passes' faces, largest first, each once.

    scale: px of the coarse pass per px of the photo. Of a face seen twice the finer view stays
    while the coarse one was small; inside a large face a finer pass sees only false part-faces.
    """
    kept = list(coarse)
    for face in fine:
        twin = next((i for i, other in enumerate(kept) if _same(face, other, scale)), None)
        if twin is None:
            kept.append(face)
        elif _size(kept[twin]) * scale < LARGE / 2:
            kept[twin] = face
    return sorted(kept, key=_size, reverse=True)


def _same(fine: Face, coarse: Face, scale: float) -> bool:
    shared = _area(
        max(fine.box[0], coarse.box[0]), max(fine.box[1], coarse.box[1]),
        min(fine.box[2], coarse.box[2]), min(fine.box[3], coarse.box[3]),
    )  # fmt: skip
    areas = _area(*fine.box), _area(*coarse.box)
    if _size(coarse) * scale > LARGE:
        return shared > NMS_IOU * min(areas)
    return shared > NMS_IOU * (sum(areas) - shared)


def _area(x1: float, y1: float, x2: float, y2: float) -> float:
    return max(0.0, x2 - x1) * max(0.0, y2 - y1)
