"""1:N with people who are not enrolled: search results to FPIR, FNIR, DIR, CMC, thresholds.

Rates per search hold for one number N of enrolled subjects, so results carry it. Definitions:
ISO/IEC 19795-1:2021 and NIST FRTE 1:N. A search accepts its best candidate or nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecli.common.errors import CalibrationError
from facecli.common.types import Interval
from facecli.metrics.by_subject import search_interval, with_strangers
from facecli.metrics.intervals import assurable_rate, assured_errors, complement, trials_to_assure
from facecli.metrics.rates import (
    Mask,
    Scores,
    ScoresLike,
    allowed_errors,
    as_scores,
    check_rate,
    threshold_for_errors,
)
from facecli.metrics.verification import Curve, det


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """The results of searching a gallery of `enrolled` subjects.

    mated: the best score of each mated search, whoever had it. ranks: (m,) integers, the rank
    of the right subject from 1, or 0 where it was not among the candidates; one for each of
    `mated.values`. nonmated: the best score of each non-mated search. Scores of -inf are failed
    searches. `subjects` of either are the people searched for; `others` is not used.
    The right subject's own score is only needed at rank 1, where it is the best score.
    """

    mated: Scores
    ranks: NDArray[np.integer]
    nonmated: Scores
    enrolled: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "mated", as_scores(self.mated))
        object.__setattr__(self, "nonmated", as_scores(self.nonmated))
        ranks = np.asarray(self.ranks)
        if ranks.shape != self.mated.values.shape:
            raise ValueError(f"ranks has shape {ranks.shape}, not {self.mated.values.shape}")
        if ranks.size and not np.issubdtype(ranks.dtype, np.integer):
            raise ValueError(f"ranks are integers from 1, or 0 for none, not {ranks.dtype}")
        if ranks.size and not 0 <= ranks.min() <= ranks.max() <= self.enrolled:
            raise ValueError(
                f"ranks reach from {ranks.min()} to {ranks.max()}, but {self.enrolled} subjects"
                " are enrolled"
            )
        object.__setattr__(self, "ranks", ranks.astype(np.intp))

    @property
    def all_ranks(self) -> NDArray[np.intp]:
        """(mated trials,) the ranks, 0 for every failed search."""
        known = np.where(np.isneginf(self.mated.values), 0, self.ranks)
        return np.append(known, np.zeros(self.mated.failed, np.intp))


@dataclass(frozen=True, slots=True)
class IdentificationRates:
    """What an operating point does at `enrolled` subjects. Failed searches are in all of them.

    fpir: share of non-mated searches that accept somebody.
    fnir: share of mated searches that do not accept the right subject at rank 1.
    misidentification: share of mated searches that accept another subject; part of `fnir`.
    rank_one: share of mated searches with the right subject first, whatever its score.
    """

    threshold: float
    enrolled: int
    fpir: Interval
    fnir: Interval
    misidentification: Interval
    rank_one: Interval

    @property
    def dir(self) -> Interval:
        """Detection and identification rate at rank 1: 1 - FNIR; `errors` counts the hits."""
        return complement(self.fnir)


def identification_rates(
    searches: Searches, threshold: float, level: float = 0.95, seed: int = 0
) -> IdentificationRates:
    """All rates at a threshold, intervals by `by_subject.search_interval`; NaN without trials."""
    strangers = searches.nonmated.accepted(threshold)
    accepted = searches.mated.accepted(threshold)
    first = searches.all_ranks == 1
    mated = searches.mated
    return IdentificationRates(
        threshold=threshold,
        enrolled=searches.enrolled,
        fpir=_interval(searches.nonmated, strangers, level, seed),
        fnir=_interval(mated, ~(accepted & first), level, seed),
        misidentification=_interval(mated, accepted & ~first, level, seed),
        rank_one=_interval(mated, first, level, seed),
    )


def cmc(
    searches: Searches, max_rank: int = 20, level: float = 0.95, seed: int = 0
) -> tuple[Interval, ...]:
    """The cumulative match characteristic: item r - 1 is the share of mates at rank r or better.

    Closed-set, without a threshold; `errors` of each counts the hits. Ends at `max_rank` or at
    the number of enrolled subjects.
    """
    ranks = searches.all_ranks
    return tuple(
        _interval(searches.mated, (ranks >= 1) & (ranks <= rank), level, seed)
        for rank in range(1, min(max_rank, searches.enrolled) + 1)
    )


def fnir_fpir_curve(searches: Searches) -> Curve:
    """FNIR at rank 1 against FPIR at every threshold that matters.

    The DET of searches (`verification.det`, same contract): a mated search whose first
    candidate is another subject is a miss at every threshold, like a failed one.
    Raises ValueError without mated or non-mated searches.
    """
    mated = searches.mated.all
    return det(np.where(searches.all_ranks == 1, mated, -np.inf), searches.nonmated)


def threshold_for_fpir(nonmated: ScoresLike, fpir: float) -> float:
    """The smallest threshold whose FPIR on these very searches is at most `fpir`: hindsight.

    nonmated: the best score of each non-mated search. On people not seen, expect more than
    `fpir`: `conformal_threshold` accounts for that.
    Raises CalibrationError without searches, ValueError unless 0 < fpir < 1.
    """
    check_rate(fpir, "the target FPIR")
    scores = as_scores(nonmated).all
    if not len(scores):
        raise CalibrationError("There are no strangers to choose a threshold from. Add some.")
    return threshold_for_errors(scores, allowed_errors(fpir, len(scores)))


def conformal_threshold(nonmated: ScoresLike, fpir: float) -> float:
    """The threshold that the next stranger reaches with a chance of at most `fpir`.

    nonmated: (n,) best scores of non-mated searches, one for each stranger, exchangeable with
    those to come. Just above the k-th highest score, k = floor(fpir * (n + 1)): the split
    conformal quantile (Vovk, Gammerman & Shafer, 2005; Lei et al., JASA 113, 2018). The chance
    is over strangers and calibration sets alike, with ties too; half of all calibration sets
    realise somewhat more: see `assured_threshold`.
    Raises CalibrationError where n < 1 / fpir - 1, ValueError unless 0 < fpir < 1.
    """
    check_rate(fpir, "the target FPIR")
    scores = as_scores(nonmated).all
    n = len(scores)
    errors = allowed_errors(fpir, n + 1)
    if not errors:
        raise CalibrationError(
            f"FPIR {fpir:.3g} needs at least {_fewest_conformal(fpir)} strangers, one photo"
            f" each; there are {n}, which support {1 / (n + 1):.2g} at best. Add strangers or"
            " raise the target."
        )
    # Accepted are those who rank among the `errors` highest of n + 1, the next stranger included:
    # of the n who are known, one fewer.
    return threshold_for_errors(scores, errors - 1)


def assured_threshold(nonmated: ScoresLike, fpir: float, assurance: float = 0.95) -> float:
    """The threshold whose true FPIR is at most `fpir` with confidence `assurance`.

    nonmated: (n,) best scores of non-mated searches, one for each stranger, independent. The
    lowest order statistic whose one-sided Clopper-Pearson bound keeps to `fpir`
    (`intervals.assured_errors`).
    Raises CalibrationError where even 0 of n could not prove it, ValueError for rates outside
    (0, 1).
    """
    scores = as_scores(nonmated).all
    n = len(scores)
    errors = assured_errors(fpir, n, assurance)
    if errors is None:
        raise CalibrationError(
            f"Assuring FPIR {fpir:.3g} at {assurance:.3g} confidence needs at least"
            f" {trials_to_assure(fpir, assurance)} strangers, one photo each; there are {n},"
            f" which can assure {assurable_rate(n, assurance):.2g} at best. Add strangers or"
            " raise the target."
        )
    return threshold_for_errors(scores, errors)


def _fewest_conformal(fpir: float) -> int:
    """The smallest n with 1 / (n + 1) <= fpir."""
    n = int(1 / fpir)
    return n - 1 if 1 / n <= fpir else n


def _interval(scores: Scores, events: Mask, level: float, seed: int) -> Interval:
    if scores.subjects is None:
        return search_interval(events, level=level)
    people = with_strangers(scores.subjects, scores.failed)
    return search_interval(events, people, level, seed)
