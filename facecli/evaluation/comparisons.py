"""1:1: photos against photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecli.common.names import name_key
from facecli.common.types import Float32
from facecli.datasets.labels import LabelledPhoto
from facecli.datasets.pairs import Pair
from facecli.evaluation.acquire import Acquired
from facecli.metrics.rates import Scores
from facecli.metrics.reference_table import ReferenceTable
from facecli.metrics.verification import (
    Curve,
    EqualErrorRate,
    VerificationRates,
    det,
    eer,
    error_rates,
    fnmr_at_fmr,
    tenfold_accuracy,
)

MOST_COMPARISONS = 1_000_000  # of each kind; where there are more, a sample with the seed
SHOWN_FMR = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
SHOWN_COSINES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # where the embedder has no reference table
BLOCK = 65_536  # scores computed at once

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Photos compared with photos, by their rows in `Acquired`.

    first, second: (n, ) rows. mated: (n,) bool. scores: (n,) float32 cosines, -inf where a photo
    gave no template. folds: (n,) LFW's parts; None where there are none. people: one id a row of
    `Acquired`; None where nobody is named. drawn_from: how many there were to draw n from.
    """

    first: Rows
    second: Rows
    mated: NDArray[np.bool_]
    scores: Float32
    folds: NDArray[np.intp] | None
    people: NDArray[Any] | None
    drawn_from: int

    def of(self, mated: bool) -> Scores:
        """One kind's scores with their people, for the metrics."""
        chosen = self.mated == mated
        if self.people is None:
            return Scores(self.scores[chosen])
        one, two = self.people[self.first[chosen]], self.people[self.second[chosen]]
        return Scores(self.scores[chosen], 0, one, None if mated else two)


@dataclass(frozen=True, slots=True)
class TarAtFmr:
    """rates: at the threshold that gives `fmr` on these very comparisons; None: not estimable."""

    fmr: float
    rates: VerificationRates | None


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonResults:
    """What the comparisons come to.

    table: FMR and FNMR at rising thresholds. tar: at falling FMR. curve, equal: None without
    mated or non-mated comparisons. accuracy: (mean, standard error) over LFW's folds, None
    without.
    """

    comparisons: Comparisons
    mated: Scores
    nonmated: Scores
    table: tuple[VerificationRates, ...]
    tar: tuple[TarAtFmr, ...]
    curve: Curve | None
    equal: EqualErrorRate | None
    accuracy: tuple[float, float] | None


def of_photos(acquired: Acquired, photos: Sequence[LabelledPhoto], seed: int) -> Comparisons:
    """Every photo of a named person with every other, or MOST_COMPARISONS of each kind."""
    named = [photo for photo in photos if photo.subject]
    rows = np.array([acquired.rows[photo.path] for photo in named], np.intp)
    codes = np.unique([name_key(photo.subject) for photo in named], return_inverse=True)[1]
    people = np.full(len(acquired.paths), -1, np.intp)
    people[rows] = codes
    order = np.argsort(codes, kind="stable")
    rows, codes = rows[order], codes[order]
    # Sorted by person, photo i's mates are the photos i + 1 ... ends[i] - 1, then others follow.
    ends = np.searchsorted(codes, codes, side="right")
    places = np.arange(len(rows))
    draw = np.random.default_rng(seed)
    parts = [_drawn(ends - places - 1, places + 1, draw), _drawn(len(rows) - ends, ends, draw)]
    first = np.concatenate([part[0] for part in parts])
    second = np.concatenate([part[1] for part in parts])
    mated = np.repeat([True, False], [len(part[0]) for part in parts])
    total = len(rows) * (len(rows) - 1) // 2
    scores = _scores(acquired, rows[first], rows[second])
    return Comparisons(rows[first], rows[second], mated, scores, None, people, total)


def of_pairs(acquired: Acquired, pairs: Sequence[Pair]) -> Comparisons:
    """The pairs as given."""
    first = np.array([acquired.rows[pair.first] for pair in pairs], np.intp)
    second = np.array([acquired.rows[pair.second] for pair in pairs], np.intp)
    mated = np.array([pair.mated for pair in pairs], bool)
    folds = None
    if all(pair.fold is not None for pair in pairs) and len({pair.fold for pair in pairs}) > 1:
        folds = np.array([pair.fold for pair in pairs], np.intp)
    scores = _scores(acquired, first, second)
    people = _people(acquired, pairs)
    return Comparisons(first, second, mated, scores, folds, people, len(pairs))


def comparison_results(comparisons: Comparisons, table: ReferenceTable | None) -> ComparisonResults:
    """All rates of the comparisons, at the thresholds that `table` gives for round FMRs."""
    mated, nonmated = comparisons.of(True), comparisons.of(False)
    both = bool(mated.trials and nonmated.trials)
    cosines = tuple(table.score(fmr) for fmr in SHOWN_FMR) if table else SHOWN_COSINES
    folds = comparisons.folds
    return ComparisonResults(
        comparisons,
        mated,
        nonmated,
        tuple(error_rates(mated, nonmated, t) for t in cosines if t < 1),
        tuple(TarAtFmr(fmr, fnmr_at_fmr(mated, nonmated, fmr)) for fmr in SHOWN_FMR),
        det(mated, nonmated) if both else None,
        eer(mated, nonmated) if both else None,
        None if folds is None else tenfold_accuracy(comparisons.scores, comparisons.mated, folds),
    )


def _drawn(sizes: Rows, starts: Rows, draw: np.random.Generator) -> tuple[Rows, Rows]:
    """(i, starts[i] + j) for j < sizes[i]: all, or MOST_COMPARISONS of them, in order."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    ranks = np.arange(total)
    if total > MOST_COMPARISONS:
        ranks = np.sort(draw.choice(total, MOST_COMPARISONS, replace=False))
    first = np.searchsorted(ends, ranks, side="right")
    return first, starts[first] + ranks - (ends - sizes)[first]


def _scores(acquired: Acquired, first: Rows, second: Rows) -> Float32:
    scores = np.empty(len(first), np.float32)
    for start in range(0, len(first), BLOCK):
        block = slice(start, start + BLOCK)
        one, two = acquired.vectors[first[block]], acquired.vectors[second[block]]
        scores[block] = np.einsum("nd,nd->n", one, two)
    # No template is an answer, too: it accepts nobody, and counts among the trials.
    scores[~(acquired.usable[first] & acquired.usable[second])] = -np.inf
    return scores


def _people(acquired: Acquired, pairs: Sequence[Pair]) -> NDArray[Any] | None:
    """One id a photo; None where any pair does not say who is on it."""
    names = [""] * len(acquired.paths)
    for pair in pairs:
        if pair.subjects is None:
            return None
        for path, name in zip((pair.first, pair.second), pair.subjects, strict=True):
            names[acquired.rows[path]] = name_key(name)
    codes: NDArray[Any] = np.unique(names, return_inverse=True)[1]
    return codes
