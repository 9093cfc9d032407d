"""Frames to tracks, each with the template that it is searched for by.

Faces are found in every frame that is looked at, on several threads; what becomes of them is
decided in order. Of a track a few faces are embedded and no more: an embedding takes as long as
finding the faces of a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from facecli.common.parallel import ordered
from facecli.common.types import FaceTemplate, FailureToAcquire, Float32, Template, Track
from facecli.recognition.glimpses import Glimpse, Look
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR
from facecli.storage.records import mean_template
from facecli.threshold.operating_point import Measured
from facecli.video.frames import Frame, Lost
from facecli.video.tracks import Piece, Sighting, Tracker, embed, thumbnail

SAME_FMR = 0.01
"""How many pairs of strangers in all are taken for one person within a clip, where they are near in
place and time: the score is the embedder's table's."""

NO_IMAGE = np.empty((0, 0, 3), np.uint8)
Seen = tuple[Frame, Float32, tuple[Glimpse, ...]]


@dataclass(frozen=True, slots=True)
class Tracking:
    """How tracks are made. bar: the quality of faces that a template is made of, in [0, 1].

    boxes: whether each track keeps where it was. longest: seconds after which one is answered
    though it goes on. since: see `Track`. workers: threads; None for one a processor.
    """

    bar: float = DEFAULT_BAR
    boxes: bool = False
    longest: float = float("inf")
    since: str = ""
    workers: int | None = None


def same_person(spec: EmbedderSpec) -> float:
    """The cosine from which two templates near each other in a clip are one person's."""
    measured = Measured.of(spec)
    table = measured.table or measured.shape
    assert table is not None  # an embedder without one borrows the default's
    return table.threshold(SAME_FMR, 1)


def tracks(
    extractor: Extractor,
    frames: Iterable[Frame | Lost | FailureToAcquire],
    how: Tracking,
    progress: Callable[[Frame], object] = lambda _: None,
) -> Iterator[FaceTemplate | FailureToAcquire]:
    """Every track as it ends, as a face with `track`; what failed comes last.

    The template is the mean of the best faces that reach the bar; of a track without one, the best
    face's, which keeps its poor quality. progress: called once a frame.
    """
    count = 0
    for piece in pieces(extractor, frames, how, progress):
        if isinstance(piece, Piece):
            yield _template(extractor, piece, how, count)
            count += 1
        else:
            yield piece


def pieces(
    extractor: Extractor,
    frames: Iterable[Frame | Lost | FailureToAcquire],
    how: Tracking,
    progress: Callable[[Frame], object] = lambda _: None,
) -> Iterator[Piece | FailureToAcquire]:
    """The same as the faces that each track keeps."""
    tracker = Tracker(extractor.look, same_person(extractor.spec), how.bar, how.boxes, how.longest)
    failures = list[FailureToAcquire]()

    def looked_at(item: Frame | Lost | FailureToAcquire) -> Seen | Lost | FailureToAcquire:
        if not isinstance(item, Frame):
            return item
        # What waits for its turn keeps no frame: of 1080p one takes 6 MB.
        bare = replace(item, image=NO_IMAGE)
        return bare, thumbnail(item.image), extractor.glimpses(item.image)

    for seen in ordered(looked_at, frames, how.workers, queued=1):
        if isinstance(seen, FailureToAcquire):
            failures.append(seen)
        elif isinstance(seen, Lost):
            yield from tracker.close()
        else:
            frame, thumb, faces = seen
            yield from tracker.step(frame.seconds, thumb, faces)
            progress(frame)
    yield from tracker.close()
    yield from failures


def usable(extractor: Extractor, piece: Piece, bar: float) -> list[tuple[Sighting, Look]]:
    """A piece's best faces that reach the bar, the best first."""
    best = piece.best(bar)
    embed(extractor.look, best)
    made = [(seen, seen.look) for seen in best if seen.look]
    good = [pair for pair in made if pair[1].found.face.quality >= bar]
    return sorted(good, key=lambda pair: -pair[1].found.face.quality)


def _template(extractor: Extractor, piece: Piece, how: Tracking, number: int) -> FaceTemplate:
    good = usable(extractor, piece, how.bar) or usable(extractor, piece, 0.0)[:1]
    shown, first = good[0]
    vector = mean_template([look.found.template.vector for _, look in good])
    track = Track(
        number, piece.start, piece.end, piece.frames, shown.seconds, len(good), first.crop,
        tuple(piece.boxes), how.since,
    )  # fmt: skip
    embedder = first.found.template.embedder_id
    return FaceTemplate(first.found.face, Template(vector, embedder), track)
