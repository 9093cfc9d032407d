"""The one person whom a clip shows, for enrolment: the best faces, or why it is nobody's clip.

And these faces again, for another embedder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facecli.common.enums import Reason
from facecli.common.types import FaceTemplate, FailureToAcquire
from facecli.recognition.glimpses import Glimpse, Look
from facecli.recognition.pipeline import Extractor
from facecli.storage.records import mean_template
from facecli.video import frames
from facecli.video.frames import Sampling
from facecli.video.templates import Tracking, pieces, same_person, usable
from facecli.video.tracks import BEST, Box, Piece, Sighting, overlap

Shown = list[tuple[Sighting, Look]]


def faces_of_one_person(
    extractor: Extractor, path: Path, bar: float
) -> tuple[FaceTemplate, ...] | FailureToAcquire:
    """At most BEST faces, of different moments, the best first.

    bar: their quality at least. A clip in which two people reach it is refused, with the second at
    which the other one is seen: nobody can tell whose it is. Who is seen poorly does not count.
    """
    shown: list[tuple[Piece, Shown]] = []
    seen_poorly, failure = False, None
    read = frames.read(path, Sampling())
    for piece in pieces(extractor, read, Tracking(bar=bar, workers=1)):
        if isinstance(piece, FailureToAcquire):
            failure = piece
        elif good := usable(extractor, piece, bar):
            shown.append((piece, good))
        else:
            seen_poorly = True
    if not shown:
        if failure is not None and not seen_poorly:
            return failure
        reason = Reason.LOW_QUALITY if seen_poorly else Reason.NO_FACE
        detail = "give a clip that shows the face larger, sharper or more frontal"
        return FailureToAcquire(str(path), reason, detail)
    if (other := _another(shown, same_person(extractor.spec))) is not None:
        detail = f"another person is seen at {other:.1f} s; cut the clip to the one meant"
        return FailureToAcquire(str(path), Reason.SEVERAL_FACES, detail)
    every = [look.found for _, good in shown for _, look in good]
    return tuple(sorted(every, key=lambda found: -found.face.quality)[:BEST])


def found_again(
    extractor: Extractor, path: Path, boxes: Sequence[Box]
) -> tuple[FaceTemplate, ...] | FailureToAcquire:
    """The faces of a clip nearest to these boxes, each once.

    Of a clip's bytes the same frames are looked at as when it was enrolled, so a face that was
    taken from it lies in its own box again.
    """
    nearest: dict[Box, tuple[float, Glimpse]] = {}
    failure = FailureToAcquire(str(path), Reason.NO_FACE)
    for frame in frames.read(path, Sampling()):
        if isinstance(frame, FailureToAcquire):
            failure = frame
            continue
        for seen in extractor.glimpses(frame.image):
            for box in boxes:
                shared = overlap(box, seen.face.box)
                if box not in nearest or shared > nearest[box][0]:
                    nearest[box] = shared, seen
    found = [seen for _, seen in nearest.values()]
    return tuple(look.found for look in extractor.look(found)) if found else failure


def _another(shown: list[tuple[Piece, Shown]], same: float) -> float | None:
    """When somebody is seen who is not the one seen longest; None where nobody is."""
    main, own = max(shown, key=lambda pair: pair[0].frames)
    mean = mean_template([look.found.template.vector for _, look in own])
    for piece, good in sorted(shown, key=lambda pair: pair[0].start):
        at_once = piece is not main and piece.start <= main.end and main.start <= piece.end
        likeness = mean @ mean_template([look.found.template.vector for _, look in good])
        if at_once or likeness < same:
            return good[0][0].seconds
    return None
