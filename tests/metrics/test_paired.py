"""The paired interval: narrower than two apart, sure of what is so, and not of what is not."""

from __future__ import annotations

import numpy as np
import pytest

from facecli.metrics.identification import Searches
from facecli.metrics.paired import dir_difference
from facecli.metrics.rates import Scores


def searches(shift: float, seed: int = 0, people: int = 60, each: int = 3) -> Searches:
    """Mated scores around 0.5 + shift, the same noise for every shift; 400 strangers below 0.4."""
    rng = np.random.default_rng(seed)
    mated = 0.5 + np.repeat(rng.normal(0, 0.1, people), each) + rng.normal(0, 0.05, people * each)
    owners = np.repeat(np.arange(people), each)
    strangers = rng.normal(0.2, 0.1, 400)
    return Searches(Scores(mated + shift, 0, owners), np.ones(len(mated), int),
                    Scores(strangers), people)  # fmt: skip


def test_the_same_system_twice_differs_by_nothing() -> None:
    found = dir_difference(searches(0), searches(0))
    assert found.before == found.after and found.difference == found.low == found.high == 0


def test_a_better_system_is_told_and_the_worse_one_mirrors_it() -> None:
    better = dir_difference(searches(0), searches(0.08))
    worse = dir_difference(searches(0.08), searches(0))
    assert 0 < better.low < better.difference < better.high
    assert worse.low == pytest.approx(-better.high) and worse.high == pytest.approx(-better.low)


def test_noise_is_not_taken_for_a_difference() -> None:
    sure = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        one = searches(0, seed)
        noisy = one.mated.values + rng.normal(0, 0.03, len(one.mated.values))
        other = Searches(Scores(noisy, 0, one.mated.subjects), one.ranks, one.nonmated, 60)
        found = dir_difference(one, other, seed=seed, resamples=300)
        sure += not found.low <= 0 <= found.high
    assert sure <= 6  # 5 % of 40, and room for chance


def test_failed_searches_count_as_missed() -> None:
    whole = searches(0)
    lost = Scores(
        np.where(np.arange(180) % 2, -np.inf, whole.mated.values), 0, whole.mated.subjects
    )
    found = dir_difference(whole, Searches(lost, whole.ranks, whole.nonmated, 60))
    assert found.after < 0.6 * found.before and found.high < 0


def test_two_that_searched_for_others_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same faces"):
        dir_difference(searches(0), searches(0, people=61))
