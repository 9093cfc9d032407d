"""How a gallery differs from the reference set: what each of its faces finds among the others.

Every reference is searched among the *other* subjects' templates. What it finds there is what a
stranger would have found, so these scores say how alike the people and photos of this gallery
are, without a single further photo. Their median and 10-90 % range are taken, which one person
under two names, or two look-alikes, do not move.

Who may be a small child is not searched: a stranger who is one gets no name whatever it scores, and
what they find, each other, says nothing of the strangers who may get one. With them a gallery that
is half of toddlers looked so spread that 5 of 100 others were missed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Crowd, Float32, Float64, GalleryFit
from facecli.metrics.crowd import FIRST, LAST
from facecli.metrics.face_kinds import NO_KINDS, PERHAPS_A_CHILD, FaceKinds
from facecli.metrics.reference_table import ReferenceTable

# The median and range of few subjects are noisy. As a prior around the reference set's, found on
# LFW's people, it is worth so many subjects.
LOWERED_FROM_N, LOWERED_MOST = 30, 0.02
# One person under two names is all that two subjects show, and half of what four do: their median
# is nobody's then. From ten on it is beyond the reach of one such pair.
RAISED_MOST = 0.002  # cosine, times n squared
STRETCHED_FROM_N, NARROWED_MOST, WIDENED_MOST = 150, 0.1, 1.0
LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9
COMPARISONS = 100_000_000  # at most; about a second a core at 192 dimensions
FEWEST_PROBES, MOST_PROBES = 1000, 4000
FEWEST_GROWN = 2  # references of others than small children
BLOCK = 1024  # references a matrix product
MARK = 7  # bytes


@dataclass(frozen=True, slots=True)
class Observed:
    """What the references of a gallery of n subjects find among the other subjects.

    scores: as bytes, so that it can be kept. MARK bytes tell which kinds of faces were told (see
    `made_with`); then (4, r) float16: each reference's best score, its likeness to the crowd (see
    `crowd`; NaN where there are too few others), how far it is of the kind that crowds (see
    `ReferenceTable`), and what it counts for, so that each subject counts once. r: all references
    but those of small children, or a sample of them with a fixed seed.
    """

    n: int
    scores: bytes

    @classmethod
    def of(
        cls,
        n: int,
        best: Float32,
        alike: Float32,
        share: Float32,
        crowding: Float64 | float = 1.0,
        kinds: FaceKinds = NO_KINDS,
    ) -> Observed:
        """(r,) each; kept to 0.0005. kinds: what told them, and left small children out."""
        columns = np.stack([best, alike, np.broadcast_to(crowding, best.shape), share])
        return cls(n, _mark(kinds) + columns.astype(np.float16).tobytes())

    @property
    def older(self) -> bool:
        """Whether it was made before kinds of faces were told: it is to be made anew."""
        return bool(self.scores) and not len(self.scores) % 2

    @property
    def people(self) -> int:
        """How many subjects it is of: n, less small children, or those in the sample."""
        return round(float(self.columns()[3].sum()))

    def made_with(self, kinds: FaceKinds) -> bool:
        """Whether it knows these kinds of faces."""
        return self.scores.startswith(_mark(kinds))

    def seen_by(self, table: ReferenceTable) -> Observed:
        """As this table takes the crowd's share off: one without kinds, off whoever it is."""
        if table.crowding is not None:
            return self
        best, alike, _, share = self.columns().astype(np.float32)
        return Observed.of(self.n, best, alike, share)

    def whole(self) -> bool:
        """Whether `scores` is what `of` made: a file may hold anything."""
        if len(self.scores) <= MARK or (len(self.scores) - MARK) % 8:
            return False
        best, alike, kinds, share = self.columns()
        finite = np.isfinite(best) & (np.isfinite(alike) | np.isnan(alike)) & np.isfinite(share)
        within = (np.abs(best) <= 1.01) & (kinds >= 0) & (kinds <= 1)
        return bool(finite.all() and within.all() and (share > 0).all())

    def columns(self) -> Float64:
        """(4, r) float64: best scores, likenesses, kinds, shares."""
        return np.frombuffer(self.scores[MARK:], np.float16).reshape(4, -1).astype(np.float64)

    def less(self, crowd: Crowd | None) -> Float64:
        """(r,) the best scores less the crowd's share; whole where a likeness is not known."""
        best, alike, kinds, _ = self.columns()
        if crowd is None:
            return np.asarray(best)
        return np.asarray(best - np.nan_to_num(crowd.share(alike, kinds)))


def _mark(kinds: FaceKinds) -> bytes:
    """Of an odd length, as what was kept before had an even one."""
    if kinds == NO_KINDS:
        return bytes(MARK)
    told = (kind.to_json() if kind else "" for kind in (kinds.crowding, kinds.children))
    return hashlib.sha256("|".join(told).encode()).digest()[:MARK]


def observe(
    vectors: Float32,
    owners: NDArray[np.int64],
    templates: Float32,
    distinct: Sequence[tuple[int, int]] = (),
    kinds: FaceKinds = NO_KINDS,
) -> Observed | None:
    """Leave one identity out.

    vectors: (r, d) float32 references. owners: (r,) the row in `templates` of each one's subject.
    templates: (n, d) float32. distinct: pairs of such rows, who are no strangers to each other.
    kinds: the embedder's. None with fewer than two subjects, or references.
    """
    chosen = _sample(len(vectors), sample_size(len(templates)))
    rows = np.arange(len(templates))
    some = vectors[chosen], owners[chosen]
    return observe_blocks(*some, [(rows, templates)], distinct, kinds)


def observe_blocks(
    vectors: Float32,
    owners: NDArray[np.int64],
    blocks: Iterable[tuple[NDArray[np.int64], Float32]],
    distinct: Sequence[tuple[int, int]] = (),
    kinds: FaceKinds = NO_KINDS,
) -> Observed | None:
    """The same for templates that come in parts, with the ids of their subjects, ascending.

    owners: (r,) subject ids. blocks: (b,) ids and (b, d) float32 templates. distinct: pairs of
    subject ids. All vectors are searched but those of small children, unless all but one are.
    """
    if kinds.children is not None:
        grown = kinds.children.likeness(vectors) < PERHAPS_A_CHILD
        if np.count_nonzero(grown) >= FEWEST_GROWN:
            vectors, owners = vectors[grown], owners[grown]
    known = defaultdict[int, list[int]](list)
    for one, other in distinct:
        known[one].append(other)
        known[other].append(one)
    best = np.full((len(vectors), LAST), -np.inf, np.float32)
    n = 0
    for ids, templates in blocks:
        n += len(ids)
        for start in range(0, len(vectors), BLOCK):
            some = slice(start, start + BLOCK)
            scores = vectors[some] @ templates.T
            own = np.minimum(np.searchsorted(ids, owners[some]), len(ids) - 1)
            here = np.flatnonzero(ids[own] == owners[some])
            scores[here, own[here]] = -np.inf
            for row in np.flatnonzero(np.isin(owners[some], list(known))):
                scores[row, np.isin(ids, known[owners[some][row]])] = -np.inf
            if scores.shape[1] > LAST:
                scores = np.partition(scores, -LAST, axis=1)[:, -LAST:]
            best[some] = np.sort(np.concatenate([best[some], scores], axis=1), axis=1)[:, -LAST:]
    met = best[:, -1] > -np.inf  # a stranger: not where all others are said to be distinct
    ranked, owners = best[met, ::-1], owners[met]
    if n < 2 or len(ranked) < 2:
        return None
    alike = np.full(len(ranked), np.nan, np.float32)
    crowd = ranked[:, FIRST - 1 :]
    several = crowd[:, 0] > -np.inf
    alike[several] = np.mean(crowd[several], axis=1, where=crowd[several] > -np.inf)
    _, subject, counts = np.unique(owners, return_inverse=True, return_counts=True)
    crowding = kinds.crowding.likeness(vectors[met]) if kinds.crowding else 1.0
    share = (1 / counts[subject]).astype(np.float32)
    return Observed.of(n, ranked[:, 0], alike, share, crowding, kinds)


def sample_size(n: int) -> int:
    """How many references are searched at most among n subjects."""
    return min(MOST_PROBES, max(FEWEST_PROBES, COMPARISONS // max(n, 1)))


def fit(table: ReferenceTable, observed: Observed) -> GalleryFit:
    """What to move and stretch the table by, so that it expects what was observed."""
    observed, n = observed.seen_by(table), observed.n - 1
    effect = table.deciding_effect(n)
    low, median, high = quantiles(observed, effect.crowd, (LOW, MIDDLE, HIGH))
    usual = table.median(n) + effect.centre
    ratio = (high - low) / (table.spread(n, LOW, HIGH) * effect.spread)
    return GalleryFit(
        n=observed.n,
        median=median,
        expected_median=usual,
        ratio=ratio,
        shift=shift(median - usual, observed.people),
        scale=scale(ratio, observed.people),
        references=observed.columns().shape[1],
    )


def shift(seen: float, n: int) -> float:
    """What the difference of medians of n subjects moves the threshold by.

    All of it upwards, up to RAISED_MOST of few; a part downwards: raising errs on the safe side.
    A few subjects look unlike each other by chance, so lowering is shrunk by
    n / (n + LOWERED_FROM_N); and strangers may be more alike than those enrolled, so it is never
    more than LOWERED_MOST.
    """
    if seen > 0:
        return min(seen, RAISED_MOST * n**2)
    return max(-LOWERED_MOST, seen * n / (n + LOWERED_FROM_N))


def scale(ratio: float, n: int) -> float:
    """What the ratio of spreads of n subjects stretches the margin over the median by.

    Shrunk towards 1 by n / (n + STRETCHED_FROM_N), within 1 - NARROWED_MOST and 1 + WIDENED_MOST.
    """
    moved = (ratio - 1) * n / (n + STRETCHED_FROM_N)
    return 1 + min(WIDENED_MOST, max(-NARROWED_MOST, moved))


def fitted(table: ReferenceTable, to: GalleryFit | None, n: int) -> ReferenceTable:
    """What strangers score among n subjects, less the crowd's share: the table moved so.

    to: None where the gallery is too small to tell; then only the reference population's own
    crowd is in it.
    """
    effect = table.deciding_effect(n)
    moved, stretched = (to.shift, to.scale) if to else (0.0, 1.0)
    pivot = table.median(n)
    return table.mapped(pivot, pivot + effect.centre + moved, effect.stretch * stretched)


def estimate(shape: ReferenceTable, observed: Observed) -> ReferenceTable:
    """A table for an embedder that ships none, from what the gallery's own people find.

    Each of them, searched among the others, is a stranger's search. The shape of another
    embedder's best score of n - 1 is moved and stretched to their median and 10-90 % range.
    """
    n = observed.n - 1
    _, alike, _, share = observed.columns()
    known = ~np.isnan(alike)
    usual = float(np.average(alike[known], weights=share[known])) if known.any() else 0.0
    by = usual - shape.effect(n).likeness
    crowds = tuple(replace(row, likeness=row.likeness + by) for row in shape.effects)
    here = replace(shape, effects=crowds, made_from=f"{observed.n} people of this gallery",
                   margins=(), subjects=observed.n, comparisons=observed.n * n)  # fmt: skip
    effect = here.effect(n)
    low, median, high = quantiles(observed, effect.crowd, (LOW, MIDDLE, HIGH))
    stretch = (high - low) / (shape.spread(n, LOW, HIGH) * effect.spread)
    return here.mapped(shape.median(n) + effect.centre, median, stretch * effect.stretch)


def quantiles(observed: Observed, crowd: Crowd | None, levels: Sequence[float]) -> list[float]:
    """Of the best scores less the crowd's share, each subject counting once.

    Linear between the values' midpoints of weight.
    """
    values, share = observed.less(crowd), observed.columns()[3]
    order = np.argsort(values)
    mass = share[order]
    places = (np.cumsum(mass) - mass / 2) / mass.sum()
    return [float(q) for q in np.interp(levels, places, values[order])]


def _sample(total: int, most: int) -> NDArray[np.int64]:
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))
