"""What a reference population says of strangers: a table of their scores, made from templates.

Every photo of one person is compared with every photo of every other, weighted so that each pair
of people counts once. Then galleries of many sizes are drawn from the people, and the others are
searched there: what resembling many people does to a best score (`crowd.CrowdEffect`). Who has
photos enough tells how far twins are to be apart (`twins.margins`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Float32, Float64
from facecli.metrics.crowd import FIRST, CrowdEffect, crowd
from facecli.metrics.face_kinds import FaceKind
from facecli.metrics.reference_table import ReferenceTable, from_scores
from facecli.metrics.twins import margins

SIZES = (2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 800, 1100)
SEARCHES, FEWEST_DRAWS = 60_000, 25  # 600 searches behind each 99 % quantile


def make_table(
    vectors: Float32,
    subjects: NDArray[np.int64],
    made_from: str,
    embedder_id: str = "",
    sizes: Sequence[int] = SIZES,
    searches: int = SEARCHES,
    steeper: float = 1.0,
    crowding: FaceKind | None = None,
    crowding_steeper: float = 1.0,
) -> ReferenceTable:
    """The table of all comparisons between different people, and the effects of crowds.

    vectors: (n, d) float32 templates, one a photo. subjects: (n,) whose. sizes: of the galleries
    that are drawn, as far as they leave half of the people to search for; searches: in those of
    each size. steeper: what the slopes of crowds are multiplied by. As measured they level what one
    population's people differ by; other populations differ by more. crowding: see `ReferenceTable`;
    crowding_steeper: the same for it. Always the same for the same templates.
    """
    _, codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    share = 1 / counts[codes]
    scores, mass = [], []
    for i in range(len(vectors) - 1):
        others = codes[i + 1 :] != codes[i]
        scores.append((vectors[i + 1 :] @ vectors[i])[others])
        mass.append((share[i + 1 :] * share[i])[others])
    table = from_scores(np.concatenate(scores), len(counts), made_from, np.concatenate(mass))
    by_person = vectors[np.argsort(codes, kind="stable")]
    rng = np.random.default_rng(0)
    fitting = [n for n in sizes if n <= len(counts) // 2]
    measured = [_searched(by_person, counts, n, searches, crowding, rng) for n in fitting]
    effects = tuple(_effect(table, found.off_all(), steeper) for found in measured)
    own = tuple(_effect(table, found, crowding_steeper) for found in measured) if crowding else ()
    return replace(
        table, effects=effects, embedder_id=embedder_id, margins=margins(vectors, subjects),
        crowding=crowding, crowding_effects=own,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Searches:
    """Of many galleries of n people: (m,) best scores, likenesses to the crowd, and kinds."""

    n: int
    best: Float64
    alike: Float64
    kinds: Float64

    def off_all(self) -> _Searches:
        return replace(self, kinds=np.ones(len(self.kinds)))


def _searched(
    vectors: Float32,
    counts: NDArray[np.intp],
    n: int,
    searches: int,
    crowding: FaceKind | None,
    rng: np.random.Generator,
) -> _Searches:
    """Galleries of n people drawn with one photo each, and all others searched there.

    vectors: person by person, `counts` of each.
    """
    kinds = crowding.likeness(vectors) if crowding else np.ones(len(vectors))
    first = np.cumsum(counts) - counts
    found = []
    for _ in range(max(FEWEST_DRAWS, searches // len(counts))):
        drawn = first + rng.integers(0, counts)
        rows = drawn[rng.permutation(len(drawn))]
        scores = vectors[rows[n:]] @ vectors[rows[:n]].T
        found.append((scores.max(axis=1), crowd(scores), kinds[rows[n:]]))
    best, alike, own = (
        np.concatenate(column).astype(np.float64) for column in zip(*found, strict=True)
    )
    return _Searches(n, best, alike, own)


def _effect(table: ReferenceTable, found: _Searches, steeper: float) -> CrowdEffect:
    """What is taken off them, and what is left."""
    n, y, a = found.n, found.best, found.alike
    slope, likeness = 0.0, float(a.mean()) if n >= FIRST else 0.0
    if n > FIRST:
        slope = steeper * float(np.cov(y, a)[0, 1] / a.var())
        y = y - slope * found.kinds * (a - likeness)
    low, middle, high, top = np.quantile(y, [0.1, 0.5, 0.9, 0.99])
    return CrowdEffect(
        n=n,
        slope=round(slope, 4),
        likeness=round(likeness, 5),
        centre=round(float(middle) - table.median(n), 5),
        spread=round(float(high - low) / table.spread(n, 0.1, 0.9), 4),
        stretch=round(float(top - middle) / (table.threshold(0.01, n) - table.median(n)), 4),
    )
