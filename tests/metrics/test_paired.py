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


def test_only_the_right_subject_first_counts_and_both_kinds_of_search_are_needed() -> None:
    whole = searches(0)
    wrong = Searches(whole.mated, np.full(180, 2), whole.nonmated, 60)
    assert dir_difference(whole, wrong, resamples=2).after == 0
    nobody, no_stranger = Scores(np.empty(0)), Scores(np.empty(0))
    for one in (Searches(nobody, np.empty(0, int), whole.nonmated, 60),
                Searches(whole.mated, whole.ranks, no_stranger, 60)):  # fmt: skip
        with pytest.raises(ValueError, match="without mated and non-mated"):
            dir_difference(one, one)


def test_without_names_every_search_is_somebody_else_s() -> None:
    """Drawn by search the interval is narrower than drawn by person, whose searches are alike."""
    named, other = searches(0), searches(0.08)
    alone, also = (
        Searches(Scores(s.mated.values), s.ranks, s.nonmated, 60) for s in (named, other)
    )
    by_search, by_person = dir_difference(alone, also), dir_difference(named, other)
    assert by_search.difference == by_person.difference
    assert 0 < by_search.high - by_search.low < by_person.high - by_person.low


def test_the_target_is_one_percent_unless_said_and_each_has_its_own_threshold() -> None:
    """Of 400 strangers four may be accepted: what the fifth scores is the last to be rejected."""
    one = searches(0)
    fifth = np.sort(one.nonmated.values)[-5]
    share = np.mean(one.mated.values > fifth)
    louder = Searches(one.mated, one.ranks, Scores(one.nonmated.values + 0.1), 60)
    found = dir_difference(one, louder, resamples=2)
    assert (found.fpir, found.before) == (0.01, share)
    assert found.after == np.mean(one.mated.values > fifth + 0.1) < share
