"""1:1: mated and non-mated comparison scores to FMR, FNMR, DET, EER and thresholds.

Wherever a function takes scores, bare (n,) arrays will do; `rates.Scores` adds failed
comparisons, which stay in the denominators, and the people, who make the intervals honest.
A threshold's comparisons are those `decision.accepts` accepts: score >= threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from facecli.common.decision import accepts
from facecli.common.errors import CalibrationError
from facecli.common.types import Float64, Interval
from facecli.metrics.by_subject import Ids, dyadic_design_effect, pair_interval, with_strangers
from facecli.metrics.intervals import complement, trials_for_rule_of_three
from facecli.metrics.rates import (
    Floats,
    Mask,
    Scores,
    ScoresLike,
    accepted_counts,
    allowed_errors,
    as_scores,
    check_rate,
    checked,
    distinct_finite,
    just_above,
    threshold_for_errors,
)


@dataclass(frozen=True, slots=True)
class VerificationRates:
    """The false match and false non-match rate at a threshold, generalised: with failures."""

    threshold: float
    fmr: Interval
    fnmr: Interval

    @property
    def tar(self) -> Interval:
        """1 - FNMR; its `errors` counts the mated comparisons accepted."""
        return complement(self.fnmr)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Two error rates against the threshold.

    thresholds: (k,) ascending, finite. false_positives: (k,) FMR or FPIR, falling.
    false_negatives: (k,) FNMR or FNIR, rising.
    """

    thresholds: Float64
    false_positives: Float64
    false_negatives: Float64


@dataclass(frozen=True, slots=True)
class EqualErrorRate:
    """rate: the mean of low and high, the FMR and FNMR (in either order) at `threshold`."""

    rate: float
    low: float
    high: float
    threshold: float


def error_rates(
    mated: ScoresLike, nonmated: ScoresLike, threshold: float, level: float = 0.95
) -> VerificationRates:
    """FMR and FNMR at a threshold, with intervals (`by_subject.pair_interval`).

    A kind of comparison that is missing has the rate NaN. Raises ValueError where non-mated
    comparisons have `subjects` but not `others`.
    """
    same, other = as_scores(mated), as_scores(nonmated)
    if other.subjects is not None and other.others is None:
        raise ValueError("non-mated comparisons with subjects need `others`, the second people")
    return VerificationRates(
        threshold=threshold,
        fmr=_interval(other, other.accepted(threshold), level),
        fnmr=_interval(same, ~same.accepted(threshold), level),
    )


def det(mated: ScoresLike, nonmated: ScoresLike) -> Curve:
    """FMR and FNMR at every threshold that matters: the detection error tradeoff curve.

    scikit-learn's `det_curve(drop_intermediate=False)`: one point per distinct score, from the
    highest threshold with the lowest FNMR to the lowest with the lowest FMR; a score equal to
    the threshold is accepted. Where only a threshold above all scores gives FMR 0, that is the
    next number after the highest score instead of infinity. With failures the FNMR does not
    begin at 0 nor the FMR at 1.
    Raises ValueError without mated or non-mated comparisons.
    """
    curve = _every_point(mated, nonmated)
    fmr, fnmr = curve.false_positives, curve.false_negatives
    first = int(np.searchsorted(fnmr, fnmr[0], side="right")) - 1
    kept = slice(first, int(np.argmax(fmr == 0)) + 1)
    return Curve(curve.thresholds[kept], fmr[kept], fnmr[kept])


def eer(mated: ScoresLike, nonmated: ScoresLike) -> EqualErrorRate:
    """The equal error rate, by FVC2000's rule for curves with steps.

    Of the two neighbouring thresholds between which FNMR overtakes FMR, the one with the lower
    sum of both; the rate is their mean (Maio et al., IEEE TPAMI 24, 2002, section 4.2).
    Raises ValueError without mated or non-mated comparisons.
    """
    curve = _every_point(mated, nonmated)
    gaps = curve.false_negatives - curve.false_positives
    before = max(int(np.count_nonzero(gaps <= 0)) - 1, 0)
    after = min(int(np.count_nonzero(gaps < 0)), len(gaps) - 1)
    sums = curve.false_positives + curve.false_negatives
    best = before if sums[before] <= sums[after] else after
    rates = float(curve.false_positives[best]), float(curve.false_negatives[best])
    threshold = float(curve.thresholds[best])
    return EqualErrorRate(sum(rates) / 2, min(rates), max(rates), threshold)


def threshold_for_fmr(nonmated: ScoresLike, fmr: float) -> float:
    """The smallest threshold whose empirical FMR is at most `fmr`; equal scores fall together.

    It lies just above a score, by one step of the scores' own precision, so that it means the
    same compared in float32 and in float64. An observation, not a promise: see `fnmr_at_fmr`
    for when the data support it.
    Raises CalibrationError without non-mated comparisons, ValueError unless 0 < fmr < 1.
    """
    check_rate(fmr, "the target FMR")
    scores = as_scores(nonmated).all
    if not len(scores):
        raise CalibrationError(
            "There are no non-mated comparisons to choose a threshold from. Add pairs of"
            " different people."
        )
    return threshold_for_errors(scores, allowed_errors(fmr, len(scores)))


def fnmr_at_fmr(
    mated: ScoresLike, nonmated: ScoresLike, fmr: float, level: float = 0.95
) -> VerificationRates | None:
    """The rates at `threshold_for_fmr(nonmated, fmr)`; TAR at that FMR is `.tar`.

    None, not estimable: there are no mated comparisons, or fewer than 3 / fmr non-mated ones
    (rule of 3), divided by their design effect at that threshold where people are given.
    """
    same, other = as_scores(mated), as_scores(nonmated)
    if not same.trials or other.trials < trials_for_rule_of_three(fmr):
        return None
    threshold = threshold_for_fmr(other, fmr)
    people = _people(other)
    effect = dyadic_design_effect(other.accepted(threshold), *people) if people else 1.0
    if other.trials / effect < trials_for_rule_of_three(fmr):
        return None
    return error_rates(same, other, threshold, level)


def best_accuracy(mated: ScoresLike, nonmated: ScoresLike) -> tuple[float, float]:
    """(accuracy, threshold): the largest share of right decisions and where it is reached.

    The lowest of equally good thresholds, moved half-way down to the next lower score, where
    it decides the same and has room on both sides. Chosen in hindsight, hence optimistic: see
    `tenfold_accuracy`. A failed mated comparison is a wrong decision, a failed non-mated one a
    right one. Raises ValueError without comparisons.
    """
    same, other = as_scores(mated).all, as_scores(nonmated).all
    trials = len(same) + len(other)
    if not trials:
        raise ValueError("accuracy needs at least one comparison")
    thresholds = _thresholds(same, other)
    rejected = len(other) - accepted_counts(other, thresholds)
    right = accepted_counts(same, thresholds) + rejected
    best = int(np.argmax(right))
    threshold = float(thresholds[best])
    if best:
        middle = (float(thresholds[best - 1]) + threshold) / 2
        threshold = middle if middle > thresholds[best - 1] else threshold
    return int(right[best]) / trials, threshold


def tenfold_accuracy(scores: ArrayLike, mated: ArrayLike, folds: ArrayLike) -> tuple[float, float]:
    """(mean, standard error) of the accuracy over folds, by LFW's protocol.

    scores: (n,), -inf for a comparison that failed. mated: (n,) bool. folds: (n,) labels, ten
    different ones in LFW. Each fold is decided at the threshold that is best on the others; the
    standard error is the folds' standard deviation (n - 1) over the root of their number
    (Huang et al., "Labeled Faces in the Wild", UMass report 07-49, 2007).
    Raises ValueError for differing shapes or fewer than two folds.
    """
    values = checked(scores).astype(np.float64)
    same, fold_of = np.asarray(mated, dtype=bool), np.asarray(folds)
    if not values.shape == same.shape == fold_of.shape:
        raise ValueError(
            f"scores {values.shape}, mated {same.shape} and folds {fold_of.shape} must have one"
            " shape"
        )
    names = np.unique(fold_of)
    if len(names) < 2:
        raise ValueError("a threshold from the other folds needs at least two folds")
    accuracies = []
    for name in names:
        held_out = fold_of == name
        _, threshold = best_accuracy(values[~held_out & same], values[~held_out & ~same])
        accuracies.append(np.mean(accepts(values[held_out], threshold) == same[held_out]))
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1) / math.sqrt(len(names)))


def _interval(scores: Scores, errors: Mask, level: float) -> Interval:
    first, second = _people(scores) or (None, None)
    return pair_interval(errors, first, second, level)


def _people(scores: Scores) -> tuple[Ids, Ids] | None:
    """Both people of each comparison; failed ones are of people seen nowhere else."""
    if scores.subjects is None:
        return None
    if scores.others is None:
        people = with_strangers(scores.subjects, scores.failed)
        return people, people
    known = len(scores.subjects)
    both = with_strangers(np.append(scores.subjects, scores.others), 2 * scores.failed)
    new = both[2 * known :]
    first = np.append(both[:known], new[: scores.failed])
    return first, np.append(both[known : 2 * known], new[scores.failed :])


def _every_point(mated: ScoresLike, nonmated: ScoresLike) -> Curve:
    """The curve at every distinct score and above, flat ends included."""
    same, other = as_scores(mated).all, as_scores(nonmated).all
    if not len(same) or not len(other):
        raise ValueError(
            f"a curve needs both kinds: there are {len(same)} mated and {len(other)} non-mated"
            " trials"
        )
    thresholds = _thresholds(same, other)
    fmr = accepted_counts(other, thresholds) / len(other)
    fnmr = (len(same) - accepted_counts(same, thresholds)) / len(same)
    return Curve(thresholds.astype(np.float64), fmr, fnmr)


def _thresholds(same: Floats, other: Floats) -> Floats:
    """Every distinct finite score, ascending, and the number above them all."""
    scores = distinct_finite(np.append(same, other))
    top = scores[-1] if len(scores) else scores.dtype.type(-np.inf)
    return np.append(scores, scores.dtype.type(just_above(top)))
