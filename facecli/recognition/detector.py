"""YuNet at several sizes: an upright photo in, faces out, whatever their size.

YuNet knows faces of about 10 to 300 px, so one pass cannot serve both a group and a selfie.
A pass at a moderate size comes first; a large photo gets a finer pass for small faces, and
faces that fill the frame get a coarser one.

Each face's landmarks are then found again in a cut-out of one size. In the passes YuNet sets
them nearly as if every head were upright: of 150 LFW photos tilted by 20 degrees it saw 5 in the
median, in the cut-out 17.5. On lfw-dev's 6,000 pairs that takes the FNMR at an FMR of 0.1 % from
1.9 to 0.8 % (untilted, on the photos the cut-out's size was chosen with).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from facecli.common.types import Face, Float32, Image
from facecli.recognition.yunet import NMS_IOU, Network, OpenCvNetwork, RuntimeNetwork, distinct

COARSE_SIDE, BASE_SIDE, FINE_SIDE = 240, 640, 1280  # px: the long side a pass works at
FINEST_SIDE = 2560  # px: of 12 megapixels it shows faces from about 16 px, too small to embed
STRIP, OVERLAP = 384, 256  # px: rows of a finest pass at once, 70 MB instead of 300 MB; and again
EDGE = 4  # px: what comes as near to a strip's edge is cut by it
LARGE = 200.0  # px in a pass: above this a coarser pass sees the face better
SMALL = 25.0  # px in a pass: where faces this small are found, smaller ones may be missed
FACE_SIDE = 224  # px: a face's longer side where its landmarks are found
FACE_WINDOW = 1.5  # of the face's longer side: the cut-out around it


class YuNet:
    """Thread-safe: one serves all threads.

    onnx: the weights' bytes, already verified. threads: as for `sessions.session`.
    Raises ModelError when they do not load.
    """

    def __init__(
        self,
        onnx: bytes,
        network: Callable[[bytes, int], Network] = RuntimeNetwork,
        threads: int = 1,
    ) -> None:
        self._network = network(onnx, threads)

    def detect(self, image: Image, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        """Faces of an upright (H, W, 3) uint8 BGR photo, largest first.

        known: what was found in a smaller copy of at least FINE_SIDE px, in px of this one: only
        a finer pass is made then, where it may find more, and the landmarks are found again.
        """
        longest = max(image.shape[:2])
        side = min(longest, FINE_SIDE)
        faces = list(known) or self._up_to(image, side)
        finest = min(longest, FINEST_SIDE)
        if side < finest and _more_below(faces, side / longest):
            faces = _merge(faces, self._pass(image, image, finest), side / longest)
        return tuple(self._refined(image, face) for face in faces)

    def glance(self, image: Image) -> tuple[Face, ...]:
        """Faces of a frame of FINE_SIDE px at most, largest first, in half the time.

        One pass at its own size and one at COARSE_SIDE: faces of about 10 px, and such as fill it.
        The landmarks are the passes'; `detect` finds them again in faces that it is told of.
        """
        longest = max(image.shape[:2])
        faces = self._pass(image, image, longest)
        if longest > COARSE_SIDE:
            coarse = self._pass(image, image, COARSE_SIDE)
            # The finer view stays up to LARGE px of the frame: `_merge` asks for half as many.
            faces = _merge(coarse, faces, 0.5)
        return tuple(faces)

    def _up_to(self, image: Image, side: int) -> list[Face]:
        """What passes of up to `side` px show: one at BASE_SIDE at least, a finer one to `side`,
        and a coarser one where a face may fill the photo.

        Each looks at a copy of `side` px: to shrink all pixels for each takes longer than to look.
        """
        longest = max(image.shape[:2])
        copy, base = _resized(image, side), min(side, BASE_SIDE)
        faces = self._pass(image, copy, base)
        if longest > COARSE_SIDE and (not faces or _size(faces[0]) * base / longest > LARGE):
            coarse = self._pass(image, copy, COARSE_SIDE)
            faces = _merge(coarse, faces, COARSE_SIDE / longest)
        if base < side:
            faces = _merge(faces, self._pass(image, copy, side), base / longest)
        return faces

    def _refined(self, image: Image, face: Face) -> Face:
        """The face with the landmarks that a view of FACE_SIDE px shows, where it shows it."""
        x1, y1, x2, y2 = face.box
        reach, height, width = FACE_WINDOW / 2 * _size(face), *image.shape[:2]
        left, right = (int(np.clip((x1 + x2) / 2 + d, 0, width)) for d in (-reach, reach))
        top, bottom = (int(np.clip((y1 + y2) / 2 + d, 0, height)) for d in (-reach, reach))
        part = image[top:bottom, left:right]
        if part.size == 0:
            return face
        side = max(1, round(max(part.shape[:2]) * FACE_SIDE / _size(face)))
        views = [_moved(view, left, top) for view in self._pass(part, part, side)]
        best = max(views, key=lambda view: _overlap(view, face), default=face)
        return replace(face, landmarks=best.landmarks) if _overlap(best, face) > NMS_IOU else face

    def _pass(self, image: Image, copy: Image, side: int) -> list[Face]:
        """Detect with the photo's long side made `side` px; faces in the photo's own px.

        copy: the photo, or a smaller copy that has at least these pixels.
        """
        seen = _resized(copy, side)
        (height, width), (down, across) = image.shape[:2], seen.shape[:2]
        factor = np.array([width / across, height / down], np.float32)
        faces = [_face(row, factor) for row in self._rows(seen)]
        return sorted(faces, key=_size, reverse=True)

    def _rows(self, image: Image) -> Float32:
        """The network's rows; of more than FINE_SIDE px in strips, so that memory stays small.

        What a strip's edge cuts looks like another face. It is left out: up to OVERLAP px it lies
        whole in another strip, and larger faces are known from coarser passes.
        """
        height = image.shape[0]
        if max(image.shape[:2]) <= FINE_SIDE:
            return self._network.rows(image)
        found = []
        for top in range(0, max(1, height - OVERLAP), STRIP):
            end = min(top + STRIP + OVERLAP, height)
            rows = self._network.rows(image[top:end])
            low, high = rows[:, 1], rows[:, 1] + rows[:, 3]
            whole = (low > (EDGE if top else -np.inf)) & (
                high < (end - top - EDGE if end < height else np.inf)
            )
            rows[:, [1, *range(5, 14, 2)]] += top
            found.append(rows[whole])
        return distinct(np.concatenate(found))


def opencv(onnx: bytes, threads: int = 1) -> YuNet:
    """The same with the network run by `cv2.FaceDetectorYN`, on OpenCV's threads: the reference."""
    return YuNet(onnx, lambda onnx, _: OpenCvNetwork(onnx), threads)


def _resized(image: Image, side: int) -> Image:
    """With its long side made `side` px: shrunk by area, enlarged between its pixels."""
    height, width = image.shape[:2]
    k = side / max(height, width)
    size = (max(1, round(width * k)), max(1, round(height * k)))
    if size == (width, height):
        return image
    how = cv2.INTER_AREA if k < 1 else cv2.INTER_LINEAR
    return cast(Image, cv2.resize(image, size, interpolation=how))


def _face(row: Float32, factor: Float32) -> Face:
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
    if _size(coarse) * scale > LARGE:
        return _shared(fine, coarse) > NMS_IOU * min(_area(*fine.box), _area(*coarse.box))
    return _overlap(fine, coarse) > NMS_IOU


def _overlap(one: Face, other: Face) -> float:
    """Intersection over union of the boxes, in [0, 1]."""
    shared = _shared(one, other)
    return shared / (_area(*one.box) + _area(*other.box) - shared)


def _shared(one: Face, other: Face) -> float:
    """The area where both boxes lie, px^2."""
    low, high = np.maximum(one.box, other.box), np.minimum(one.box, other.box)
    return _area(float(low[0]), float(low[1]), float(high[2]), float(high[3]))


def _moved(face: Face, right: int, down: int) -> Face:
    x1, y1, x2, y2 = face.box
    box = (x1 + right, y1 + down, x2 + right, y2 + down)
    return replace(face, box=box, landmarks=face.landmarks + np.array([right, down], np.float32))


def _area(x1: float, y1: float, x2: float, y2: float) -> float:
    return max(0.0, x2 - x1) * max(0.0, y2 - y1)
