"""How a gallery differs from the reference set: the best non-mated score of each of its faces.

Every reference is searched among the *other* subjects' templates. The best score it finds there
is what a stranger would have found, so the mean and spread of these say how alike the people
and photos of this gallery are, without a single further photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecli.reference_table import ReferenceTable
from facecli.types import Float32, GalleryFit

# Found on LFW: below 50 subjects the spread is too noisy to scale by, and a ratio up to 1.15 is
# what chance makes of photos like the reference set's.
SCALE_FROM_N, SCALE_FROM_RATIO = 50, 1.15
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
    n = len(templates)
    if n < 2 or len(vectors) < 2:
        return None
    chosen = _sample(len(vectors), max(FEWEST_PROBES, COMPARISONS // n))
    best = np.empty(len(chosen))
    for start in range(0, len(chosen), BLOCK):
        rows = chosen[start : start + BLOCK]
        scores = vectors[rows] @ templates.T
        scores[np.arange(len(rows)), owners[rows]] = -np.inf
        best[start : start + len(rows)] = scores.max(axis=1)
    weights = 1 / np.bincount(owners[chosen], minlength=n)[owners[chosen]]
    mean = float(np.average(best, weights=weights))
    deviation = float(np.sqrt(np.average((best - mean) ** 2, weights=weights)))
    return Observed(n, mean, deviation, len(chosen))


def fit(table: ReferenceTable, observed: Observed) -> GalleryFit:
    """What to move and stretch the table by, so that it expects what was observed.

    The threshold becomes max(m, mu) + (t0 - mu) * s: stricter than the table alone wherever t0 is
    above mu, as it is for any target below about one half.
    """
    expected, spread = table.maximum(observed.n - 1)
    ratio = observed.deviation / spread
    stretch = observed.n >= SCALE_FROM_N and ratio > SCALE_FROM_RATIO
    return GalleryFit(
        n=observed.n,
        mean=observed.mean,
        expected_mean=expected,
        ratio=ratio,
        shift=max(0.0, observed.mean - expected),
        scale=ratio if stretch else 1.0,
        references=observed.references,
    )


def fitted(table: ReferenceTable, to: GalleryFit | None) -> ReferenceTable:
    """The table as the gallery's own people have it; the same one without a fit."""
    if to is None:
        return table
    return table.mapped(to.expected_mean, to.expected_mean + to.shift, to.scale)


def _sample(total: int, most: int) -> NDArray[np.int64]:
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))
