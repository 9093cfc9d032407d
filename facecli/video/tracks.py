"""Which faces of which frames are one appearance of one person.

    frame after frame -> pieces: faces that follow each other in one place
    pieces            -> tracks: those that one person continues, by template

A face goes on with a piece where it overlaps that piece's last face and nothing speaks against it:
no other face or piece is near, the picture was not cut, no frame was missed. Where something does,
their templates decide, at the score that one pair of strangers in a hundred reaches (the embedder's
table says which): people who cross are not mixed up, and who stays on screen through a cut is
followed. A piece that nobody continued for GAP seconds is held against those that began since, by
the mean of the best faces of each: one appearance that was broken (by a cut, a hand, a turned head)
becomes one track, before anybody is searched for. What is still unlike itself is parted.

A track keeps a few faces, whatever its length, and only these are embedded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np

from facecli.common.types import Face, Float32, Image
from facecli.recognition.glimpses import Glimpse, Look
from facecli.storage.records import mean_template

GAP = 1.0
"""Seconds that a person may be out of sight within one appearance."""

BEST = 3
"""Faces that a track's template is the mean of."""

KEPT = 8  # faces that a piece keeps, each the best of an equal span of its time
OVERLAP = 0.3  # intersection over union: two faces of one person in neighbouring frames
NEAR = 0.1  # of a rival's box, which raises a doubt
REACH = 2.0  # face sides between two centres: farther nobody gets from one frame to the next
CUT = 0.8  # correlation of two frames' thumbnails: below, the picture may have been cut
THUMB = (32, 18)  # px

Embed = Callable[[Sequence[Glimpse]], Sequence[Look]]
Box = tuple[float, float, float, float]


@dataclass(slots=True, eq=False)
class Sighting:
    """A face in a frame. look: once it was asked for."""

    seconds: float
    glimpse: Glimpse
    look: Look | None = None

    @property
    def face(self) -> Face:
        return self.glimpse.face


@dataclass(slots=True, eq=False)
class Piece:
    """Sightings that follow each other; see above. last: the newest. kept: by span of time.

    boxes: of every sighting, where they are to be drawn.
    """

    start: float
    last: Sighting
    frames: int = 0
    span: float = 0.0
    kept: list[Sighting] = field(default_factory=list)
    boxes: list[tuple[float, Box]] = field(default_factory=list)

    @property
    def end(self) -> float:
        return self.last.seconds

    def add(self, seen: Sighting, boxes: bool) -> None:
        """Go on with a newer sighting."""
        self.last = seen
        self.frames += 1
        if boxes:
            self.boxes.append((seen.seconds, seen.face.box))
        self.kept.append(seen)
        self._thin()

    def follow(self, earlier: Piece) -> None:
        """Take in a piece that ended before this one began."""
        self.start = earlier.start
        self.frames += earlier.frames
        self.span = max(self.span, earlier.span)
        self.kept = earlier.kept + self.kept
        self.boxes = earlier.boxes + self.boxes
        self._thin()

    def best(self, bar: float) -> list[Sighting]:
        """BEST faces: each third's own where it reaches the bar, then the next best."""
        ranked = sorted(self.kept, key=lambda seen: -seen.face.quality)
        part = max(self.end - self.start, 1e-6) / BEST
        first: dict[int, Sighting] = {}
        for seen in ranked:
            if seen.face.quality >= bar:
                first.setdefault(min(BEST - 1, int((seen.seconds - self.start) / part)), seen)
        chosen = list(first.values())
        rest = [seen for seen in ranked if all(seen is not one for one in chosen)]
        return (chosen + rest)[:BEST]

    def _thin(self) -> None:
        """Of each span of time the best face; spans grow until there are few enough."""
        while len(self.kept) > KEPT:
            spans: dict[float, Sighting] = {}
            for seen in self.kept:
                at = (seen.seconds - self.start) // self.span if self.span else seen.seconds
                if at not in spans or seen.face.quality > spans[at].face.quality:
                    spans[at] = seen
            self.kept = list(spans.values())
            if len(self.kept) > KEPT:
                self.span = max(2 * self.span, (self.end - self.start) / (2 * KEPT))


class Tracker:
    """Frames in, in order; finished pieces out, each one person's appearance."""

    def __init__(
        self, embed: Embed, same: float, bar: float, boxes: bool = False, longest: float = np.inf
    ) -> None:
        """same: the cosine from which two templates are one person's. bar: the quality that a face
        needs for its template to tell. boxes: whether to keep them. longest: seconds after which a
        piece is finished though it goes on.
        """
        self._embed = embed
        self._same = same
        self._bar = bar
        self._boxes = boxes
        self._longest = longest
        self._pieces: list[Piece] = []
        self._thumb: Float32 | None = None
        self._before = -np.inf
        self._cut = -np.inf  # seconds of the last frame after which a place may be another's
        self._pause = 0.0  # seconds from the last frame but one to the last

    def step(self, seconds: float, thumb: Float32, faces: Sequence[Glimpse]) -> Iterator[Piece]:
        """Go on by one frame; the pieces that have ended, first those that ended first.

        thumb: the frame's, see `thumbnail`.
        """
        seen = [Sighting(seconds, face) for face in faces]
        # After a cut, or a longer pause, the same place may hold another face.
        self._pause = seconds - self._before if np.isfinite(self._before) else 0.0
        if doubtful := self._was_cut(thumb) or self._pause > GAP / 2:
            self._cut = seconds
        # Who was not there at a cut is told by template when their piece ends, not by place.
        here = [p for p in self._pieces if doubtful or p.end >= self._cut]
        for piece, sighting in self._assigned(here, seen, doubtful):
            if piece is None:
                piece = Piece(seconds, sighting)
                self._pieces.append(piece)
            piece.add(sighting, self._boxes)
        self._before = seconds
        yield from self._ended(seconds)

    def close(self) -> Iterator[Piece]:
        """There are no more frames, or none for now: the rest."""
        yield from self._ended(np.inf)

    # one frame to the next ---------------------------------------------------------------------

    def _was_cut(self, thumb: Float32) -> bool:
        before, self._thumb = self._thumb, thumb
        return before is not None and float((before * thumb).sum()) < CUT

    def _assigned(
        self, pieces: Sequence[Piece], seen: Sequence[Sighting], doubtful: bool
    ) -> Iterator[tuple[Piece | None, Sighting]]:
        """Each sighting with the piece of these that it goes on with, None where it begins one.

        One that is in doubt and too poor for its template to tell is left out.
        """
        shared = np.array(
            [[overlap(p.last.face.box, s.face.box) for s in seen] for p in pieces]
        ).reshape(len(pieces), len(seen))
        near = shared > NEAR
        alone = (near.sum(axis=0)[None] == 1) & (near.sum(axis=1)[:, None] == 1)
        poor = np.array([[self._poor(p.kept) and self._poor([s]) for s in seen]
                         for p in pieces], bool).reshape(shared.shape)  # fmt: skip
        fresh = np.array([p.end == self._before for p in pieces], bool)[:, None]
        # Whom poor faces show nobody can tell, nor will they be named.
        plain = (shared >= OVERLAP) & alone & ((fresh & (not doubtful)) | poor)
        taken = {int(j): pieces[int(i)] for i, j in np.argwhere(plain)}
        asked = [
            (piece, j)
            for i, piece in enumerate(pieces)
            for j, sighting in enumerate(seen)
            if not plain[i].any() and j not in taken
            and _within_reach(piece.last.face.box, sighting.face.box)
        ]  # fmt: skip
        found = [(self._likeness(self._best(piece), [seen[j]]), piece, j) for piece, j in asked]
        gone = set[int]()
        for cosine, piece, j in sorted(found, key=lambda pair: -pair[0]):
            if cosine >= self._same and j not in taken and id(piece) not in gone:
                taken[j] = piece
                gone.add(id(piece))
        in_doubt = {j for _, j in asked}
        for j, sighting in enumerate(seen):
            if j in taken or j not in in_doubt or not self._poor([sighting]):
                yield taken.get(j), sighting

    # piece to piece ----------------------------------------------------------------------------

    def _ended(self, now: float) -> Iterator[Piece]:
        """Pieces that are over, unless one that began since continues them."""
        reach = max(GAP, self._pause)
        gone = [p for p in self._pieces if now - p.end > GAP or p.end - p.start >= self._longest]
        while pairs := [
            (cosine, p, q)
            for p in gone
            for q in self._pieces
            if p.end < q.start <= p.end + reach
            and (cosine := self._likeness(self._best(p), self._best(q)[:1])) >= self._same
        ]:
            _, earlier, later = max(pairs, key=lambda pair: pair[0])
            later.follow(earlier)
            gone.remove(earlier)
            self._pieces.remove(earlier)
        for piece in sorted(gone, key=lambda p: p.end):
            self._pieces.remove(piece)
            yield from self._parted(piece)

    def _parted(self, piece: Piece) -> Iterator[Piece]:
        """The piece, or where its faces are not one person's, those of each."""
        best = self._usable(self._best(piece))
        if all(self._cosine([a], [b]) >= self._same for a in best for b in best):
            yield piece
            return
        people: list[list[Sighting]] = []
        for seen in self._usable(piece.kept):
            own = next((p for p in people if self._cosine(p, [seen]) >= self._same), None)
            if own is None:
                people.append([seen])
            else:
                own.append(seen)
        for person in people:
            yield _part(piece, person)

    def _best(self, piece: Piece) -> list[Sighting]:
        return piece.best(self._bar)

    # templates -----------------------------------------------------------------------------------

    def _poor(self, seen: Sequence[Sighting]) -> bool:
        """Whether none of them can tell who it is, as far as is known without a template."""
        return all(s.face.quality < self._bar for s in seen)

    def _likeness(self, some: Sequence[Sighting], others: Sequence[Sighting]) -> float:
        """The cosine of their mean templates; -1 where either shows nobody well enough."""
        if self._poor(some) or self._poor(others):
            return -1.0
        one, other = self._usable(some), self._usable(others)
        return self._cosine(one, other) if one and other else -1.0

    def _usable(self, seen: Sequence[Sighting]) -> list[Sighting]:
        """Those whose template tells, by their quality in full; they are embedded here."""
        good = [s for s in seen if s.face.quality >= self._bar]
        embed(self._embed, good)
        return [s for s in good if s.look and s.look.found.face.quality >= self._bar]

    def _cosine(self, some: Sequence[Sighting], others: Sequence[Sighting]) -> float:
        one, other = (mean_template([_vector(s) for s in seen]) for seen in (some, others))
        return float(one @ other)


def thumbnail(image: Image) -> Float32:
    """What of an (H, W, 3) uint8 BGR frame tells a cut: THUMB grey px, mean 0, norm 1."""
    small = cv2.resize(image, THUMB, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey -= grey.mean()
    return cast(Float32, grey / max(float(np.linalg.norm(grey)), 1e-6))


def embed(how: Embed, seen: Sequence[Sighting]) -> None:
    """Give every sighting its look that has none yet."""
    bare = [s for s in seen if s.look is None]
    if bare:
        for sighting, look in zip(bare, how([s.glimpse for s in bare]), strict=True):
            sighting.look = look


def _vector(sighting: Sighting) -> Float32:
    assert sighting.look is not None
    return sighting.look.found.template.vector


def _part(piece: Piece, person: list[Sighting]) -> Piece:
    """Of a piece that shows several people what shows one of them: `person`, faces it kept.

    A frame between is theirs whose kept face is nearest in time.
    """
    others = [s for s in piece.kept if all(s is not own for own in person)]

    def nearest(some: Sequence[Sighting], seconds: float) -> float:
        return min((abs(s.seconds - seconds) for s in some), default=float("inf"))

    boxes = [b for b in piece.boxes if nearest(person, b[0]) < nearest(others, b[0])]
    times = [t for t, _ in boxes] or [s.seconds for s in person]
    newest = max(person, key=lambda s: s.seconds)
    last = Sighting(max(times), newest.glimpse, newest.look)
    frames = len(boxes) or max(len(person), piece.frames * len(person) // len(piece.kept))
    return Piece(min(times), last, frames, piece.span, person, boxes)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, in [0, 1]."""
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other))
    return wide * high / max(areas - wide * high, 1e-9)


def _within_reach(one: Box, other: Box) -> bool:
    """Whether one person's face may be at both from one frame to the next."""
    sides = [max(x2 - x1, y2 - y1) for x1, y1, x2, y2 in (one, other)]
    across = (one[0] + one[2] - other[0] - other[2]) / 2
    down = (one[1] + one[3] - other[1] - other[3]) / 2
    return float(np.hypot(across, down)) <= REACH * max(sides)
