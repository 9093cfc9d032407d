"""What scores come to where every label is right: against others, and against one's own.

Against others: the reference table, moved by what this gallery's people score among each other.
`gallery_fit` takes their mean, which the very faults that are looked for raise; the lower quartile
stays put while up to three quarters of the subjects are at fault.

Against one's own: the median cosine to the other references lies alike whatever their number
(LFW, 1 to 5 others: .77 .74 .76 .74 .75), so one distribution serves: Student's t about their
median, as wide as the median absolute deviation says. Four degrees of freedom fit LFW's low end:
of 2,300 scores 1 % lie below .394 and 5 % below .547, where it says 0.7 % and 4.0 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from facecli.common.types import Float32, Float64
from facecli.evaluation.audit.blocks import Rows
from facecli.metrics.gallery_fit import RAISED_MOST
from facecli.metrics.reference_table import ReferenceTable
from facecli.storage.records import ReferenceRow

Mask = NDArray[np.bool_]

NOTABLE = 0.05  # above this false-alarm value a likeness to somebody else says nothing
FREEDOM = 4
LEAST_SPREAD = 0.08  # cosine: LFW's; a handful of references may agree by accident
SIGMA = 1.4826  # a normal distribution's standard deviation over its median absolute deviation


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """References as arrays: vectors (r, d) float32, owners (r,) in [0, n), names of the n."""

    rows: Sequence[ReferenceRow]
    names: tuple[str, ...]
    vectors: Float32
    owners: Rows

    @classmethod
    def of(cls, rows: Sequence[ReferenceRow]) -> Faces:
        """rows: one reference or more."""
        codes: dict[str, int] = {}
        owners = np.array([codes.setdefault(r.subject, len(codes)) for r in rows], np.int64)
        vectors = np.stack([r.template.vector for r in rows]).astype(np.float32)
        return cls(rows, tuple(codes), vectors, owners)

    def sums(self, kept: Mask) -> Float32:
        """(n, d): the sum of each subject's kept references; 0 where none is kept."""
        total = np.zeros((len(self.names), self.vectors.shape[1]), np.float32)
        np.add.at(total, self.owners[kept], self.vectors[kept])
        return total

    def counts(self, kept: Mask) -> Rows:
        """(n,): how many of each subject's references are kept."""
        return np.bincount(self.owners[kept], minlength=len(self.names))

    def own_scores(self, kept: Mask) -> Float64:
        """(r,) median cosine to the other kept references of the subject; NaN without any."""
        scores = np.full(len(self.rows), np.nan)
        order = np.flatnonzero(kept)[np.argsort(self.owners[kept], kind="stable")]
        for rows in np.split(order, np.flatnonzero(np.diff(self.owners[order])) + 1):
            if len(rows) > 1:
                scores[rows] = middle(self.vectors[rows])
        return scores

    def subject(self, code: int, kept: Mask) -> Rows:
        """The kept references of a subject."""
        return np.flatnonzero((self.owners == code) & kept)

    def at(self, indices: Iterable[int]) -> tuple[ReferenceRow, ...]:
        """Those references."""
        return tuple(self.rows[i] for i in indices)

    def name(self, index: int) -> str:
        """Whose reference that is."""
        return self.names[int(self.owners[index])]


@dataclass(frozen=True, slots=True)
class Chance:
    """What chance makes among n subjects and r references whose labels are right."""

    table: ReferenceTable
    n: int
    r: int
    centre: float
    spread: float
    freedom: int

    def false_alarm(self, score: float) -> float:
        """The chance that a stranger's best score among the other subjects is as high."""
        return self.table.fpir(score, self.n - 1)

    def shown_alarm(self, score: float) -> float:
        """The same, no less than the people behind the table can show: for the report."""
        return max(self.false_alarm(score), self.table.least_fpir)

    def notable(self) -> float:
        """The score from which on a likeness to another subject is looked at."""
        return self.table.threshold(NOTABLE, self.n - 1)

    def pairs(self, score: float) -> float:
        """Expected pairs of subjects as alike: n searches see each pair from both its sides."""
        return self.n / 2 * self.false_alarm(score)

    def low(self, score: Float64 | float) -> Float64:
        """The share of mated scores that is as low."""
        return np.asarray(stdtr(self.freedom, (np.asarray(score) - self.centre) / self.spread))


def chance(faces: Faces, table: ReferenceTable, own: Float64, best: Float32, free: Mask) -> Chance:
    """table: the embedder's. own, best: (r,) scores among one's own and among the others."""
    n, mated = len(faces.names), own[~np.isnan(own)]
    centre, spread = 1.0, float("inf")  # without a mated score none is called low
    if len(mated):
        centre = float(np.median(mated))
        spread = max(LEAST_SPREAD, SIGMA * float(np.median(np.abs(mated - centre))))
    moved = _moved(faces, table, best, free) if n > 2 else 0.0  # two have none to be held against
    # Of few, one person under several names is all that their scores show: as in `gallery_fit`.
    moved = min(moved, RAISED_MOST * n**2)
    table = table.shifted(max(0.0, moved), table.made_from)
    several = int(np.sum(np.bincount(faces.owners) > 1))
    # Fewer subjects than it takes to know the spread: the tail is as heavy as that makes it.
    freedom = min(FREEDOM, max(2, several))
    return Chance(table, n, len(faces.rows), centre, spread, freedom)


def _moved(faces: Faces, table: ReferenceTable, best: Float32, free: Mask) -> float:
    """How far the lower quartile of the subjects' best non-mated scores lies above the table's.

    The table's is the x with F(x)^(n - 1) = 1/4.
    """
    counts = faces.counts(free)
    if not counts.any():
        return 0.0
    total = np.bincount(faces.owners[free], best[free], minlength=len(counts))
    seen = np.quantile(total[counts > 0] / counts[counts > 0], 0.25, method="lower")
    return float(seen) - table.score(-float(np.expm1(np.log(0.25) / (len(counts) - 1))))


def middle(vectors: Float32) -> Float64:
    """(k,) median cosine of each of k >= 2 unit vectors to the others: one wrong one moves none."""
    cosines = (vectors @ vectors.T).astype(np.float64)
    np.fill_diagonal(cosines, np.inf)  # sorted last, and left out
    return np.median(np.sort(cosines, axis=1)[:, :-1], axis=1)


def unit(vectors: Float32) -> Float32:
    """(k, d) of unit norm; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Float32 = (vectors / np.maximum(norms, 1e-9)).astype(np.float32)
    return scaled
