"""Two systems that searched for the same faces: is one of them better?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facecli.common.types import Float64
from facecli.metrics.by_subject import RESAMPLES, with_strangers
from facecli.metrics.identification import Searches
from facecli.metrics.rates import allowed_errors, check_rate, threshold_for_errors


@dataclass(frozen=True, slots=True)
class DirDifference:
    """DIR at an FPIR, each system at its own threshold in hindsight, and after less before.

    before, after: rates in [0, 1]. low, high: the interval of the difference at `level`.
    """

    fpir: float
    before: float
    after: float
    low: float
    high: float
    level: float = 0.95

    @property
    def difference(self) -> float:
        """After less before, in [-1, 1]."""
        return self.after - self.before


def dir_difference(
    before: Searches,
    after: Searches,
    fpir: float = 0.01,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> DirDifference:
    """The paired bootstrap: people and strangers are drawn again, the same ones for both systems.

    before, after: searches by the same probes, in the same order, the strangers' as well. All
    probes of a drawn person come along, and each drawn set of strangers has its own two thresholds,
    so that the interval holds their uncertainty, too (Efron & Tibshirani, 1993, chapter 13; by
    subject as in `by_subject`). The same seed gives the same interval.
    Raises ValueError where the two did not search for the same, or without searches of both kinds.
    """
    check_rate(fpir, "the target FPIR")
    one, other = _Trials.of(before), _Trials.of(after)
    if not np.array_equal(one.people, other.people) or len(one.strangers) != len(other.strangers):
        raise ValueError("the two systems did not search for the same faces")
    if not len(one.people) or not len(one.strangers):
        raise ValueError("there is nothing to compare without mated and non-mated searches")
    count, m = int(one.people.max()) + 1, len(one.strangers)
    rng = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    for i in range(resamples):
        weights = np.bincount(rng.integers(count, size=count), minlength=count)[one.people]
        strangers = rng.integers(m, size=m)
        drawn[i] = other.dir(fpir, weights, strangers) - one.dir(fpir, weights, strangers)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    once, every = np.ones(len(one.people)), np.arange(m)
    was, now = (system.dir(fpir, once, every) for system in (one, other))
    return DirDifference(fpir, was, now, float(low), float(high), level)


@dataclass(frozen=True, slots=True, eq=False)
class _Trials:
    """hits: (n,) the score where the right subject came first, else -inf. people: (n,) codes from
    0. strangers: (m,) best scores.
    """

    hits: Float64
    people: np.ndarray
    strangers: Float64

    @classmethod
    def of(cls, searches: Searches) -> _Trials:
        scores = searches.mated.all.astype(np.float64)
        subjects = searches.mated.subjects
        named = np.arange(len(searches.mated.values)) if subjects is None else subjects
        return cls(
            np.where(searches.all_ranks == 1, scores, -np.inf),
            with_strangers(named, searches.mated.failed),
            searches.nonmated.all.astype(np.float64),
        )

    def dir(self, fpir: float, weights: np.ndarray, strangers: np.ndarray) -> float:
        """At the threshold that these strangers give. weights: how often each search counts."""
        scores = self.strangers[strangers]
        threshold = threshold_for_errors(scores, allowed_errors(fpir, len(scores)))
        return float(weights[self.hits >= threshold].sum() / weights.sum())
