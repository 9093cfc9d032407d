"""How many people a face resembles: the more there are, the more it must resemble one to be them.

Faces that an embedder saw little of in training (a child's, those of some groups, a drawing) are
alike to it: a stranger among them reaches everybody's score, and so somebody's threshold. Such a
face shows by its runners-up. What it scores by resembling all of them is taken off its best score.

That costs the others: of a face that the embedder knows well its runners-up say little, and what is
taken off is mostly noise. So it is taken off in full of those faces alone that lie where the
embedder maps people it knows less well (`ReferenceTable.crowding`), and in part of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facecli.common.types import Crowd, Float32, Float64, OperatingPoint

# Ranks of the candidates that stand for everybody. From the third on, for the second may be the
# same person under another name; not many, for a small group is only alike among itself.
FIRST, LAST = 3, 10


@dataclass(frozen=True, slots=True)
class CrowdEffect:
    """What resembling many people does to strangers' searches among n subjects.

    Measured on the reference population, by `likeness` to the crowd (see `crowd`):
    slope: what a stranger's best score rises by where the likeness rises by 1; 0 where n is too
        small to tell.
    likeness: its mean, cosine.
    centre: the median of the best scores, less slope x (likeness - its mean), over the table's
        median best of n, cosine.
    spread: their 10-90 % range over the table's.
    stretch: their distance from the median to the 99 % quantile over the table's.
    """

    n: int
    slope: float
    likeness: float
    centre: float
    spread: float
    stretch: float

    @property
    def crowd(self) -> Crowd | None:
        """What a search takes off for it; None where n is too small."""
        return Crowd(self.slope, self.likeness) if self.slope else None


NO_EFFECT = CrowdEffect(n=1, slope=0.0, likeness=0.0, centre=0.0, spread=1.0, stretch=1.0)


def crowd(scores: Float32) -> Float64:
    """Each probe's mean score at the ranks FIRST to LAST: its likeness to the crowd.

    scores: (m, n) cosines of m probes with n subjects. (m,) float64; of the ranks there are where
    n is below LAST, and NaN where it is below FIRST.
    """
    n = scores.shape[1]
    if n < FIRST:
        return np.full(len(scores), np.nan)
    last = min(LAST, n)
    ranked = np.partition(scores, (n - last, n - FIRST), axis=1)
    return np.asarray(ranked[:, n - last : n - FIRST + 1].mean(axis=1, dtype=np.float64))


def own_threshold(point: OperatingPoint, ranked: Sequence[float], kind: float = 1.0) -> float:
    """The threshold for one probe: the point's, raised as far as the probe resembles many people.

    ranked: its candidates' scores, best first: at least LAST of them, or all there are. kind: in
    [0, 1], how far it is of the kind that this is done for, see `ReferenceTable.crowding`.
    """
    alike = ranked[FIRST - 1 : LAST]
    if point.crowd is None or not alike:
        return point.threshold
    return point.threshold + point.crowd.share(sum(alike) / len(alike), kind)
