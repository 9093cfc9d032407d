"""A face cut out of its photo, or of a clip, for a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from facecli.common.types import FailureToAcquire, Image
from facecli.recognition import images
from facecli.video import frames
from facecli.video.frames import Frame, Sampling

MARGIN = 0.25  # of the box's longer side, all round: hair and chin tell people apart, too
LARGEST = 4  # times the photo's longer side: no sound box asks for more
GREY = (127, 127, 127)
JPEG_QUALITY = 85


SIDE = 240  # px
Box = tuple[float, float, float, float]


def thumbnail(path: str, box: Box, size: int = SIDE) -> bytes | None:
    """A square JPEG of size x size px with the face in its middle, grey beyond the photo's edge.

    box: (x1, y1, x2, y2) px of the upright photo. None where the photo cannot be read any more
    or the box does not lie in it.
    """
    data = images.read_photo(Path(path))
    image = data if isinstance(data, FailureToAcquire) else images.decode(data, path)
    return None if isinstance(image, FailureToAcquire) else _cut(image, box, size)


def of_clip(path: str, places: Sequence[tuple[float, Box]], size: int = SIDE) -> list[bytes | None]:
    """The same of several moments of a clip, each with its second: it is read once, to the last."""
    found: list[bytes | None] = [None] * len(places)
    left = sorted(range(len(places)), key=lambda i: -places[i][0])
    for frame in frames.read(Path(path), Sampling()):
        while left and isinstance(frame, Frame) and frame.seconds >= places[left[-1]][0] - 1e-3:
            i = left.pop()
            found[i] = _cut(frame.image, places[i][1], size)
        if not left:
            break
    return found


def _cut(image: Image, box: Box, size: int) -> bytes | None:
    square = _square(image, box)
    if square is None:
        return None
    shrinks = len(square) > size
    small = cv2.resize(
        square, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    done, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return jpeg.tobytes() if done else None


def _square(image: Image, box: Box) -> Image | None:
    x1, y1, x2, y2 = box
    height, width = image.shape[:2]
    side = max(x2 - x1, y2 - y1) * (1 + 2 * MARGIN)
    if not 1 <= side <= LARGEST * max(height, width):  # NaN fails, too
        return None
    span, left, top = round(side), round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    if not (-span < left < width and -span < top < height):
        return None
    near = image[max(0, top) : top + span, max(0, left) : left + span]
    above, before = max(0, -top), max(0, -left)
    below, after = span - above - near.shape[0], span - before - near.shape[1]
    return cv2.copyMakeBorder(  # type: ignore[return-value]
        near, above, below, before, after, cv2.BORDER_CONSTANT, value=GREY
    )
