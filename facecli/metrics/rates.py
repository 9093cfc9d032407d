"""Scores with their failures, and thresholds that keep a count of errors.

A comparison or search that failed (no face was found in a photo) still counts: its score is
-inf, which no threshold accepts. So a failed mated trial is an error and a failed non-mated
one is not: the generalised rates of ISO/IEC 19795-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facecli.common.decision import accepts

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The scores of one kind of trial: mated or non-mated, comparisons or searches.

    values: (n,) finite cosines, or -inf for a trial that failed; floats keep their dtype.
    failed: further failed trials, of which nothing but the number is known.
    subjects: (n,) ids of the people in the trials, strings or integers; None takes the trials
        as independent.
    others: (n,) ids of the second person of each comparison; None where it is the same person
        (mated comparisons) or where trials are searches.
    Raises ValueError for NaN, +inf, another shape, or a negative `failed`.
    """

    values: Floats
    failed: int = 0
    subjects: NDArray[Any] | None = None
    others: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", checked(self.values))
        if self.failed < 0:
            raise ValueError(f"failed is a count and cannot be {self.failed}")
        if self.others is not None and self.subjects is None:
            raise ValueError("others needs subjects: a comparison has two people")
        for name in ("subjects", "others"):
            ids = getattr(self, name)
            if ids is not None:
                object.__setattr__(self, name, np.asarray(ids))
                if np.shape(ids) != self.values.shape:
                    raise ValueError(f"{name} has shape {np.shape(ids)}, not {self.values.shape}")

    @property
    def all(self) -> Floats:
        """(trials,) the scores with every failed trial as -inf."""
        return np.append(self.values, np.full(self.failed, -np.inf, self.values.dtype))

    def accepted(self, threshold: float) -> Mask:
        """(trials,) True where `decision.accepts` does, compared in float64 as decisions are."""
        return accepts(self.all.astype(np.float64), threshold)

    @property
    def trials(self) -> int:
        """How many trials there were, failed ones included."""
        return len(self.values) + self.failed


ScoresLike = Scores | ArrayLike


def as_scores(scores: ScoresLike) -> Scores:
    """Bare scores as `Scores` without failures or ids."""
    return scores if isinstance(scores, Scores) else Scores(checked(scores))


def checked(scores: ArrayLike) -> Floats:
    """(n,) floats. Raises ValueError for another shape, NaN or +inf."""
    array = np.asarray(scores)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"scores must have shape (n,), not {array.shape}")
    wrong = int(np.count_nonzero(np.isnan(array) | np.isposinf(array)))
    if wrong:
        raise ValueError(
            f"{wrong} of {len(array)} scores are NaN or +inf; a failed comparison is counted in"
            " `failed` or scored -inf"
        )
    return array


def accepted_counts(scores: Floats, thresholds: Floats) -> NDArray[np.intp]:
    """(k,) how many of the (n,) scores are accepted at each of (k,) thresholds.

    `decision.accepts` for many thresholds at once: one sort instead of k passes.
    """
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")


def distinct_finite(scores: Floats) -> Floats:
    """The distinct finite scores, ascending: every threshold worth trying but 'accept nobody'."""
    distinct = np.unique(scores)
    return distinct[np.isfinite(distinct)]


def just_above(score: np.floating) -> float:
    """The smallest number of the score's own precision that no longer accepts it, finite."""
    kind = score.dtype.type
    return float(np.nextafter(score, kind(np.inf)))


def allowed_errors(rate: float, trials: int) -> int:
    """The largest k with k / trials <= rate, exactly, whatever rate * trials rounds to."""
    errors = min(trials, int(rate * trials) + 1)
    while errors > 0 and errors / trials > rate:
        errors -= 1
    return errors


def threshold_for_errors(scores: Floats, errors: int) -> float:
    """The smallest threshold that accepts at most `errors` of the (n,) scores, n > errors.

    Ties: scores equal to the first one that must be rejected are all rejected. Where every
    score may be accepted, the threshold is the lowest finite number.
    """
    if errors >= len(scores):
        return just_above(scores.dtype.type(-np.inf))
    place = len(scores) - 1 - errors
    return just_above(np.partition(scores, place)[place])


def check_rate(rate: float, name: str) -> None:
    """Raises ValueError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise ValueError(f"{name} is a rate between 0 and 1, not {rate}")
