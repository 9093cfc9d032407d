"""Decisions -> the photo with boxes, names and scores drawn on it.

An identified face has a thick solid blue box, a possible one long dashes in purple, an unknown one
thinner dashes in orange, one without a template thin grey dots: told apart by colour, also by the
colour-blind (Okabe and Ito, 2008), and by line alone in a black-and-white print.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facecli.common import outputs
from facecli.common.enums import Outcome
from facecli.common.errors import InputError
from facecli.common.types import Decision, Image
from facecli.report import fonts

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
Size = tuple[int, int]

SMALLEST = 12  # px per em: letters that can be read
_ENCODERS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
}


@dataclass(frozen=True, slots=True)
class _Style:
    """paint, text: BGR, in strong contrast. weight: line width relative to the others.

    dash, gap: in line widths; a gap of 0 is a solid line.
    """

    paint: Colour
    text: Colour
    weight: float
    dash: int = 1
    gap: int = 0


_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_STYLES = {
    Outcome.IDENTIFIED: _Style(paint=(178, 114, 0), text=_WHITE, weight=1.5),
    Outcome.POSSIBLE: _Style(paint=(167, 121, 204), text=_BLACK, weight=1.0, dash=12, gap=3),
    Outcome.UNKNOWN: _Style(paint=(0, 159, 230), text=_BLACK, weight=1.0, dash=5, gap=3),
    Outcome.LOW_QUALITY: _Style(paint=(200, 200, 200), text=_BLACK, weight=0.6, dash=3, gap=3),
    Outcome.FAILED: _Style(paint=(200, 200, 200), text=_BLACK, weight=0.6, dash=1, gap=3),
}


def annotate(image: Image, decisions: Sequence[Decision]) -> Image:
    """A copy of `image` with a box and a label for each decision that has a face.

    image: (H, W, 3) uint8 BGR, upright, the photo the decisions' boxes refer to.
    Labels read 'Name 0.71', or 'unknown' and below it 'nearest Name 0.32'; where a photo shows
    several faces, each label begins with the face's number, as in `--json`. They keep inside the
    frame, and avoid each other and other faces where there is room; a name too long for the frame
    is cut with an ellipsis.
    """
    canvas = image.copy()
    height, width = canvas.shape[:2]
    size = max(SMALLEST, round(max(height, width) / 60))  # 12 at 250 px, 67 at 12 megapixels
    shown = [(d, _clip(d.probe.face.box, width, height)) for d in decisions if d.probe.face]
    shown = [(d, box) for d, box in shown if d.outcome in _STYLES]
    for decision, box in shown:
        _outline(canvas, box, _STYLES[decision.outcome], size)
    faces = [box for _, box in shown]
    labels: list[Box] = []
    for decision, box in shown:
        number = f"#{decision.probe.index} " if len(shown) > 1 else ""
        sheet = _label(_words(decision, number), _STYLES[decision.outcome], size, width)
        if sheet.shape[0] > height or sheet.shape[1] > width:
            continue  # a thumbnail too small for any letter
        others = [face for face in faces if face is not box]
        place = _place(sheet, box, max(1, size // 8), labels, others, (width, height))
        canvas[place[1] : place[3], place[0] : place[2]] = sheet
        labels.append(place)
    return canvas


def save(image: Image, path: Path) -> None:
    """Write a .jpg or .png, whole or not at all, readable by its owner only (0600).

    image: (H, W, 3) uint8 BGR. Raises InputError for another suffix, and as `outputs.judge`:
    nothing is replaced.
    """
    options = _ENCODERS.get(path.suffix.lower())
    if options is None:
        raise InputError(f"{path}: annotated pictures are written as .jpg or .png; rename it")
    done, data = cv2.imencode(path.suffix.lower(), image, options)
    if not done:
        raise InputError(f"{path}: a {image.shape[1]} x {image.shape[0]} picture does not fit")
    outputs.write(path, data.tobytes(), force=None)


def _clip(box: tuple[float, float, float, float], width: int, height: int) -> Box:
    """The box in whole pixels of the frame, at least one pixel large."""
    x1, y1, x2, y2 = np.nan_to_num(np.asarray(box), nan=0.0, posinf=1e6, neginf=-1e6)
    left, top = (int(np.clip(v, 0, n - 1)) for v, n in ((x1, width), (y1, height)))
    right, bottom = (int(np.clip(v, 0, n - 1)) for v, n in ((x2, width), (y2, height)))
    return left, top, max(left, right), max(top, bottom)


def _outline(canvas: Image, box: Box, style: _Style, size: int) -> None:
    """The box, drawn first a little wider in the text's colour: it shows on any picture."""
    line = max(1, round(size / 8 * style.weight))
    half = line // 2
    height, width = canvas.shape[:2]
    left, top = max(box[0], half), max(box[1], half)
    right, bottom = min(box[2], width - 1 - half), min(box[3], height - 1 - half)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    for paint, thick in ((style.text, line + max(2, line // 3 * 2)), (style.paint, line)):
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            _stroke(canvas, start, end, paint, thick, (style.dash * line, style.gap * line))


def _stroke(
    canvas: Image,
    start: tuple[int, int],
    end: tuple[int, int],
    paint: Colour,
    thick: int,
    dash: tuple[int, int],
) -> None:
    """A straight line; dash: (drawn, left out) px, the dashes spread evenly between the ends."""
    first, last = np.array(start, float), np.array(end, float)
    length = float(np.hypot(*(last - first)))
    drawn, gap = dash
    if gap == 0 or length < 2 * drawn + gap:
        cv2.line(canvas, start, end, paint, thick)
        return
    count = max(2, round((length + gap) / (drawn + gap)))
    for at in np.linspace(0, length - drawn, count):
        a, b = (np.rint(first + (last - first) * (s / length)) for s in (at, at + drawn))
        cv2.line(canvas, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), paint, thick)


def _label(lines: Sequence[tuple[str, str]], style: _Style, size: int, room: int) -> Image:
    """The label as a picture, at most `room` px wide where one letter and the score allow it."""
    pad = max(2, size // 4)
    smaller = max(SMALLEST, round(0.75 * size))  # what a second line says matters less
    inks = [
        fonts.ink(_fit(name, score, em, room - 2 * pad), em)
        for (name, score), em in zip(lines, (size, smaller), strict=False)
    ]
    widest = max(ink.shape[1] for ink in inks)
    even = [np.pad(i, ((pad * 2 // 3,) * 2, (pad, pad + widest - i.shape[1]))) for i in inks]
    ink = np.vstack(even)[..., None] / 255.0
    return np.rint(np.array(style.paint) * (1 - ink) + np.array(style.text) * ink).astype(np.uint8)


def _words(decision: Decision, number: str = "") -> list[tuple[str, str]]:
    """What a label says: a name or a word and a score a line; either may be empty.

    number: what it begins with.
    """
    best = decision.candidates[0] if decision.candidates else None
    score = f"{best.score:.2f}" if best else ""
    if decision.outcome is Outcome.FAILED:
        why = decision.failure.reason.value if decision.failure else "failed"
        return [(number + why, "")]
    if decision.outcome is Outcome.POSSIBLE and best:
        names = (
            " or ".join(c.subject for c in decision.possible) if decision.rival else best.subject
        )
        return [(f"{number}possible: {names}", score)]
    if decision.outcome is Outcome.UNKNOWN:
        nearest = [(f"nearest {best.subject}", score)] if best else []
        return [(f"{number}unknown", ""), *nearest]
    if decision.outcome is Outcome.LOW_QUALITY:
        return [(f"{number}low quality", score)]
    own = [c for c in decision.candidates if c.subject == decision.subject]
    return [(number + (decision.subject or ""), f"{own[0].score:.2f}" if own else score)]


def _fit(name: str, score: str, size: int, room: int) -> tuple[str, str]:
    """Name and score, the name cut as far as `room` px demand."""

    def cut(letters: int) -> tuple[str, str]:
        return f"{name[:letters].rstrip()}…", score

    if len(name) < 2 or fonts.width((name, score), size) <= room:
        return name, score
    # Halving, for to shape a name of 10,000 letters once a letter takes minutes.
    lengths = range(1, len(name))
    return cut(max(1, bisect_right(lengths, room, key=lambda n: fonts.width(cut(n), size))))


def _place(
    sheet: Image, face: Box, edge: int, labels: list[Box], others: list[Box], room: Size
) -> Box:
    """Where a label lies: above, below or inside its box, whichever covers least.

    edge: px that the box's line reaches outwards. room: the frame's width and height.
    """
    height, width = sheet.shape[:2]
    x1, y1, x2, y2 = face[0] - edge, face[1] - edge, face[2] + edge, face[3] + edge
    spots = [
        (x, y)
        for y in (y1 - height, y2 + 1, y1, y2 + 1 - height)
        for x in (x1, x2 + 1 - width, (x1 + x2 - width) // 2)
    ]
    boxes = []
    for x, y in spots:
        left = min(max(x, 0), room[0] - width)
        top = min(max(y, 0), room[1] - height)
        boxes.append((left, top, left + width, top + height))

    def cost(box: Box) -> int:
        # Two labels on each other cannot be read; one on a face can.
        on_faces = 2 * sum(_overlap(box, o) for o in others) + _overlap(box, face)
        return 1000 * sum(_overlap(box, o) for o in labels) + on_faces

    return min(boxes, key=cost)


def _overlap(a: Box, b: Box) -> int:
    """Pixels that two boxes share."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
