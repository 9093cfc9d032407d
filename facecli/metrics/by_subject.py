"""Intervals that count people, not photos.

Trials that share a person rise and fall together: 4,950 comparisons of 100 people tell far
less than 4,950 comparisons of 9,900. Counting them as independent makes intervals too narrow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from facecli.common.types import Float64, Interval
from facecli.metrics.intervals import clopper_pearson, wilson
from facecli.metrics.rates import Mask, check_rate

RESAMPLES = 2000
Ids = NDArray[np.intp]


def dyadic_design_effect(
    errors_mask: ArrayLike, first_ids: ArrayLike, second_ids: ArrayLike
) -> float:
    """How many times the variance of an error rate exceeds that of independent comparisons.

    errors_mask: (n,) True where the comparison erred. first_ids, second_ids: (n,) the two
    people of each comparison, the same one twice in mated comparisons.
    The dyadic cluster-robust variance, in which comparisons that share a person may correlate
    in any way (Aronow, Samii & Assenova, Political Analysis 23, 2015; Cameron & Miller, 2014,
    with their G / (G - 1) for G people), over the binomial one; at least 1.
    With no error, or nothing else, it cannot be estimated: the comparisons then count as no
    more than disjoint pairs of these people would. Raises ValueError for differing shapes.
    """
    mask, first, second = _pairs(errors_mask, first_ids, second_ids)
    trials = len(mask)
    independent = _independent_pairs(first, second)
    if not trials or mask.all() or not mask.any() or independent < 2:
        return max(1.0, trials / max(independent, 1))
    residuals = mask - mask.mean()
    people = int(max(first.max(), second.max())) + 1
    correction = people / (people - 1)
    ratio = _shared_products(residuals, first, second) / float(residuals @ residuals)
    return min(max(1.0, ratio * correction), float(trials))


def pair_interval(
    errors_mask: ArrayLike,
    first_ids: ArrayLike | None = None,
    second_ids: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """The interval of an error rate over (n,) comparisons.

    With ids: Wilson with n divided by the dyadic design effect, whose excess over 1 is widened
    by Student's t for the few people it was estimated from (their effective number: Carter,
    Schnepel & Steigerwald, Review of Economics and Statistics 99, 2017).
    Without: Clopper-Pearson, which takes the comparisons as independent.
    second_ids: None where both photos show the same person.
    """
    mask = np.asarray(errors_mask, dtype=bool)
    errors, trials = int(np.count_nonzero(mask)), len(mask)
    if first_ids is None:
        return clopper_pearson(errors, trials, level)
    check_rate(level, "the level")
    mask, first, second = _pairs(mask, first_ids, first_ids if second_ids is None else second_ids)
    effect = dyadic_design_effect(mask, first, second)
    if effect > 1 and 0 < errors < trials:
        upper = (1 + level) / 2
        freedom = max(_effective_people(mask, first, second), 1.0)
        effect = 1 + (effect - 1) * float(stdtrit(freedom, upper) / ndtri(upper)) ** 2
    return wilson(errors, trials, level, effect)


def bootstrap_by_subject(
    values: ArrayLike,
    subject_ids: ArrayLike,
    statistic: Callable[[NDArray[Any]], float],
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> tuple[float, float]:
    """(low, high): the percentile interval of a statistic when people are drawn again.

    values: (n, ...) one row a trial. subject_ids: (n,). statistic: of rows like `values`, in any
    order and of any number. All rows of a drawn person come along (Efron & Tibshirani, 1993).
    The same seed gives the same interval. NaN without rows.
    """
    check_rate(level, "the level")
    rows = np.asarray(values)
    subjects = _codes(subject_ids)
    if len(rows) != len(subjects):
        raise ValueError(f"{len(rows)} values have {len(subjects)} subject ids")
    if not len(rows):
        return float("nan"), float("nan")
    order = np.argsort(subjects, kind="stable")
    sizes = np.bincount(subjects)
    starts = np.cumsum(sizes) - sizes
    rng = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    for i in range(resamples):
        people = rng.integers(len(sizes), size=len(sizes))
        drawn[i] = statistic(rows[order[_spans(starts[people], sizes[people])]])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def search_interval(
    errors_mask: ArrayLike,
    subject_ids: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of an error rate over (n,) searches.

    Clopper-Pearson where nobody was searched for twice (or no ids are given), else the
    bootstrap by subject; where that has nothing to vary, because nobody or everybody erred,
    Clopper-Pearson's with people for trials.
    """
    mask = np.asarray(errors_mask, dtype=bool)
    errors, trials = int(np.count_nonzero(mask)), len(mask)
    exact = clopper_pearson(errors, trials, level)
    if subject_ids is None:
        return exact
    subjects = _codes(subject_ids)
    if len(subjects) != trials:
        raise ValueError(f"{trials} searches have {len(subjects)} subject ids")
    searches = np.bincount(subjects)
    people = len(searches)
    if people == trials:
        return exact
    if errors in (0, trials):
        bound = clopper_pearson(people if errors else 0, people, level)
        method = "Clopper-Pearson on people"
        return Interval(exact.rate, bound.low, bound.high, errors, trials, level, method)
    totals = np.column_stack([np.bincount(subjects, mask), searches])
    low, high = bootstrap_by_subject(totals, np.arange(people), _ratio, seed, level=level)
    return Interval(exact.rate, low, high, errors, trials, level, "bootstrap by subject")


def with_strangers(subject_ids: ArrayLike, failed: int) -> Ids:
    """(n + failed,) integer ids: those given, and a new person for each failed trial."""
    codes = _codes(subject_ids)
    people = int(codes.max()) + 1 if len(codes) else 0
    return np.append(codes, np.arange(people, people + failed))


def _ratio(totals: NDArray[Any]) -> float:
    errors, trials = totals.sum(axis=0)
    return float(errors / trials)


def _spans(starts: Ids, sizes: Ids) -> Ids:
    """The runs starts[i], starts[i] + 1, ... of sizes[i] each, one after the other."""
    before = np.cumsum(sizes) - sizes
    spans: Ids = np.arange(int(sizes.sum())) + np.repeat(starts - before, sizes)
    return spans


def _codes(ids: ArrayLike) -> Ids:
    """Ids as integers from 0."""
    codes: Ids = np.unique(np.asarray(ids), return_inverse=True)[1]
    return codes


def _pairs(mask: ArrayLike, first_ids: ArrayLike, second_ids: ArrayLike) -> tuple[Mask, Ids, Ids]:
    """The mask and both people of each comparison as integers from 0."""
    errors = np.asarray(mask, dtype=bool)
    first, second = np.asarray(first_ids), np.asarray(second_ids)
    if not errors.shape == first.shape == second.shape or errors.ndim != 1:
        raise ValueError(
            f"errors and ids must have one shape (n,): {errors.shape}, {first.shape},"
            f" {second.shape}"
        )
    codes = _codes(np.concatenate([first, second]))
    return errors, codes[: len(first)], codes[len(first) :]


def _independent_pairs(first: Ids, second: Ids) -> int:
    """At most how many of the comparisons can share nobody."""
    same = first == second
    alone = len(np.unique(first[same]))
    others = len(np.unique(np.append(first[~same], second[~same])))
    return min(len(first), alone + others // 2)


def _per_person(residuals: Float64, first: Ids, second: Ids) -> Float64:
    """(people,) the sum of the residuals of each person's comparisons, each counted once."""
    two = first != second
    people, parts = np.append(first, second[two]), np.append(residuals, residuals[two])
    return np.bincount(people, parts).astype(np.float64)


def _shared_products(residuals: Float64, first: Ids, second: Ids) -> float:
    """The sum of e_i * e_j over all comparisons i, j that share at least one person."""
    per_person = _per_person(residuals, first, second)
    two = first != second
    # Two comparisons of the same two people were counted through both: take one away.
    low, high = np.minimum(first, second)[two], np.maximum(first, second)[two]
    couples = np.unique(low * len(per_person) + high, return_inverse=True)[1]
    per_couple = np.bincount(couples, residuals[two])
    return float(per_person @ per_person - per_couple @ per_couple)


def _effective_people(mask: Mask, first: Ids, second: Ids) -> float:
    """How many people, contributing equally to the variance, would give as sure an estimate."""
    squares = _per_person(mask - mask.mean(), first, second) ** 2
    fourth = float(squares @ squares)
    return float(squares.sum()) ** 2 / fourth if fourth else 1.0
