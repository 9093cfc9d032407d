"""How a gallery differs from the reference set: the best non-mated score of each of its faces.

Every reference is searched among the *other* subjects' templates. The best score it finds there
is what a stranger would have found, so the mean and spread of these say how alike the people
and photos of this gallery are, without a single further photo.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Float32, GalleryFit
from facecli.metrics.reference_table import ReferenceTable

# Found on LFW: below 50 subjects the spread is too noisy to widen a margin by, and a ratio up to
# 1.15 is what chance makes of photos like the reference set's.
WIDENED_FROM_N, WIDENED_FROM_RATIO = 50, 1.15
# Galleries of LFW's people vary by 0.11 / sqrt(n) in m and by 1.13 / sqrt(n) in r, and photos that
# differ from the reference set's by 0.02 and 0.07 are nothing unusual. As priors around no
# difference these are worth 30 and 300 subjects.
LOWERED_FROM_N, LOWERED_MOST = 30, 0.02
NARROWED_FROM_N, NARROWED_MOST = 300, 0.1
COMPARISONS = 100_000_000  # at most; about a second a core at 192 dimensions
FEWEST_PROBES = 1000
BLOCK = 1024  # references a matrix product


@dataclass(frozen=True, slots=True)
class Observed:
    """The best non-mated scores within a gallery, each subject counting once.

    n: subjects. mean, deviation: of the scores. references: how many were searched, all of them
    or a sample with a fixed seed.
    """

    n: int
    mean: float
    deviation: float
    references: int


def observe(vectors: Float32, owners: NDArray[np.int64], templates: Float32) -> Observed | None:
    """Leave one identity out.

    vectors: (r, d) float32 references. owners: (r,) the row in `templates` of each one's subject.
    templates: (n, d) float32. None with fewer than two subjects, or references.
    """
    chosen = _sample(len(vectors), sample_size(len(templates)))
    rows = np.arange(len(templates))
    return observe_blocks(vectors[chosen], owners[chosen], [(rows, templates)])


def observe_blocks(
    vectors: Float32,
    owners: NDArray[np.int64],
    blocks: Iterable[tuple[NDArray[np.int64], Float32]],
) -> Observed | None:
    """The same for templates that come in parts, with the ids of their subjects, ascending.

    owners: (r,) subject ids. blocks: (b,) ids and (b, d) float32 templates. All vectors are
    searched.
    """
    best = np.full(len(vectors), -np.inf, np.float32)
    n = 0
    for ids, templates in blocks:
        n += len(ids)
        for start in range(0, len(vectors), BLOCK):
            some = slice(start, start + BLOCK)
            scores = vectors[some] @ templates.T
            own = np.minimum(np.searchsorted(ids, owners[some]), len(ids) - 1)
            here = np.flatnonzero(ids[own] == owners[some])
            scores[here, own[here]] = -np.inf
            best[some] = np.maximum(best[some], scores.max(axis=1))
    if n < 2 or len(vectors) < 2:
        return None
    _, subject, counts = np.unique(owners, return_inverse=True, return_counts=True)
    scores, weights = best.astype(np.float64), 1 / counts[subject]
    mean = float(np.average(scores, weights=weights))
    deviation = float(np.sqrt(np.average((scores - mean) ** 2, weights=weights)))
    return Observed(n, mean, deviation, len(vectors))


def sample_size(n: int) -> int:
    """How many references are searched at most among n subjects."""
    return max(FEWEST_PROBES, COMPARISONS // max(n, 1))


def fit(table: ReferenceTable, observed: Observed) -> GalleryFit:
    """What to move and stretch the table by, so that it expects what was observed.

    The threshold becomes mu + shift + (t0 - mu) * scale.
    """
    expected, spread = table.maximum(observed.n - 1)
    ratio = observed.deviation / spread
    return GalleryFit(
        n=observed.n,
        mean=observed.mean,
        expected_mean=expected,
        ratio=ratio,
        shift=shift(observed.mean - expected, observed.n),
        scale=scale(ratio, observed.n),
        references=observed.references,
    )


def shift(seen: float, n: int) -> float:
    """What the m - mu of n subjects moves the threshold by: all of it upwards, a part downwards.

    Raising errs on the safe side. A few subjects look unlike each other by chance, so lowering is
    shrunk by n / (n + LOWERED_FROM_N); and strangers may be more alike than those enrolled, so it
    is never more than LOWERED_MOST.
    """
    return seen if seen > 0 else max(-LOWERED_MOST, seen * n / (n + LOWERED_FROM_N))


def scale(ratio: float, n: int) -> float:
    """What the r of n subjects stretches the margin t0 - mu by, likewise: in full or in part."""
    if ratio > WIDENED_FROM_RATIO and n >= WIDENED_FROM_N:
        return ratio
    narrower = min(0.0, ratio - 1) * n / (n + NARROWED_FROM_N)
    return 1 + max(-NARROWED_MOST, narrower)


def fitted(table: ReferenceTable, to: GalleryFit | None) -> ReferenceTable:
    """The table as the gallery's own people have it; the same one without a fit."""
    if to is None:
        return table
    return table.mapped(to.expected_mean, to.expected_mean + to.shift, to.scale)


def _sample(total: int, most: int) -> NDArray[np.int64]:
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))
