"""Intervals against scipy.stats, and their coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from facecli.metrics.by_subject import (
    bootstrap_by_subject,
    dyadic_design_effect,
    pair_interval,
    search_interval,
)
from facecli.metrics.intervals import (
    assurable_rate,
    assured_errors,
    clopper_pearson,
    complement,
    rule_of_three,
    trials_for_rule_of_30,
    trials_for_rule_of_three,
    trials_to_assure,
    wilson,
)

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
assurances = st.sampled_from([0.8, 0.9, 0.95, 0.99])
levels = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@given(counts, levels)
def test_intervals_are_scipys(pair, level):
    errors, trials = pair
    known = stats.binomtest(errors, trials)
    for mine, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        interval = mine(errors, trials, level)
        theirs = known.proportion_ci(level, method)
        assert interval.low == pytest.approx(theirs.low, abs=1e-9)
        assert interval.high == pytest.approx(theirs.high, abs=1e-9)
        assert (interval.errors, interval.trials, interval.level) == (errors, trials, level)
        assert 0 <= interval.low <= interval.rate <= interval.high <= 1


@given(counts, st.integers(1, 20))
def test_design_effect_divides_the_trials(pair, effect):
    errors, trials = pair
    interval = wilson(errors * effect, trials * effect, design_effect=effect)
    plain = wilson(errors, trials)
    assert interval.low == pytest.approx(plain.low)
    assert interval.high == pytest.approx(plain.high)
    assert interval.trials == trials * effect


def test_a_design_effect_is_named_where_there_is_one():
    assert wilson(3, 20).method == wilson(3, 20, design_effect=1.004).method == "Wilson"
    assert wilson(3, 20, design_effect=1.005).method == "Wilson, design effect 1"
    assert wilson(3, 20, design_effect=2.5).method == "Wilson, design effect 2.5"


def test_which_person_of_a_pair_comes_first_is_all_one_to_the_design_effect():
    """Whoever has the last number, and on whichever side."""
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 6, 80), rng.integers(6, 12, 80)
    mask = rng.random(80) < 0.3
    effect = dyadic_design_effect(mask, low, high)
    assert effect == dyadic_design_effect(mask, high, low) > 1
    assert effect == pytest.approx(brute_design_effect(mask, high, low))


def test_no_trials_is_undefined_not_zero():
    for interval in (clopper_pearson(0, 0), wilson(0, 0), pair_interval([]), search_interval([])):
        assert math.isnan(interval.rate)
        assert (interval.low, interval.high, interval.trials) == (0, 1, 0)
    assert math.isnan(pair_interval([], [], []).rate)
    assert math.isnan(search_interval([], []).rate)
    assert math.isnan(rule_of_three(0))
    assert np.isnan(bootstrap_by_subject([], [], np.mean)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clopper_pearson(3, 2), "3 errors in 2 trials"),
        (lambda: wilson(-1, 2), "-1 errors"),
        (lambda: wilson(1, 2, level=1.0), "level"),
        (lambda: wilson(1, 2, design_effect=0.5), "design effect"),
        (lambda: wilson(1, 2, design_effect=math.nan), "design effect"),
        (lambda: trials_for_rule_of_30(0), "rate"),
        (lambda: rule_of_three(-1), "-1 trials"),
        (lambda: assured_errors(0.0, 100, 0.95), "target"),
        (lambda: assured_errors(0.01, 100, 1.0), "assurance"),
        (lambda: dyadic_design_effect([True], [1, 2], [2, 3]), "one shape"),
        (lambda: search_interval([True], [1, 2]), "1 searches have 2"),
        (lambda: bootstrap_by_subject([1.0], [1, 2], np.mean), "1 values have 2"),
    ],
)
def test_impossible_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_complement_turns_misses_into_hits():
    hits = complement(clopper_pearson(3, 20))
    other = clopper_pearson(17, 20)
    assert hits.errors == 17
    for name in ("rate", "low", "high"):
        assert getattr(hits, name) == pytest.approx(getattr(other, name))


def test_rules_of_3_and_30():
    assert rule_of_three(300) == 0.01
    assert rule_of_three(2) == 1
    assert stats.binom.cdf(0, 300, rule_of_three(300)) == pytest.approx(0.05, abs=0.002)
    assert trials_for_rule_of_three(1e-5) == 300_000
    rates = (0.01, 3e-4, 1e-6)  # 30 / 3e-4 is 100000.00000000001
    assert [trials_for_rule_of_30(rate) for rate in rates] == [3000, 100_000, 30_000_000]
    # What the rule of 30 says: the true rate within 30 % of the observed one at 90 %.
    interval = clopper_pearson(30, trials_for_rule_of_30(0.001), level=0.9)
    assert pytest.approx(interval.low, abs=3e-5) == 0.0007
    assert pytest.approx(interval.high, abs=6e-5) == 0.0013


@given(st.integers(0, 3000), st.sampled_from([0.001, 0.01, 0.1, 0.5]), assurances)
def test_assured_errors_is_the_one_sided_clopper_pearson_bound(trials, rate, assurance):
    def proved(errors):
        bound = stats.beta.ppf(assurance, errors + 1, trials - errors)
        return bound <= rate

    errors = assured_errors(rate, trials, assurance)
    if errors is None:
        assert trials == 0 or not proved(0)
        assert trials < trials_to_assure(rate, assurance)
        assert assurable_rate(trials, assurance) > rate
    else:
        assert proved(errors)
        assert errors == trials - 1 or not proved(errors + 1)
        assert trials >= trials_to_assure(rate, assurance)


def test_299_strangers_assure_one_percent():
    assert trials_to_assure(0.01, 0.95) == 299
    assert assured_errors(0.01, 298, 0.95) is None
    assert assured_errors(0.01, 299, 0.95) == 0
    assert assurable_rate(299) == pytest.approx(0.01, abs=1e-4)
    assert assurable_rate(0) == 1


@pytest.mark.parametrize(("rate", "trials"), [(0.01, 50), (0.01, 500), (0.1, 80), (0.5, 30)])
def test_clopper_pearson_covers_at_least_its_level(rate, trials):
    chances = stats.binom.pmf(np.arange(trials + 1), trials, rate)
    intervals = [clopper_pearson(errors, trials) for errors in range(trials + 1)]
    covered = [i.low <= rate <= i.high for i in intervals]
    assert chances @ covered >= 0.95  # exact: summed over all outcomes, not sampled


def brute_design_effect(mask, first, second):
    """The double sum of the definition."""
    e = np.array(mask, float) - np.mean(mask)
    people = len({*first, *second})
    total = sum(
        e[i] * e[j]
        for i in range(len(e))
        for j in range(len(e))
        if {first[i], second[i]} & {first[j], second[j]}
    )
    return max(1, total / (e @ e) * people / (people - 1))


@pytest.mark.parametrize("seed", range(8))
def test_dyadic_design_effect_is_its_definition(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(12, size=(2, 80))  # repeats, swapped and mated pairs included
    traits = rng.normal(size=12)
    mask = traits[first] + traits[second] + rng.normal(size=80) > 1
    effect = dyadic_design_effect(mask, first, second)
    assert effect == pytest.approx(brute_design_effect(mask, first.tolist(), second.tolist()))
    assert effect > 1
    names = np.array([f"subject {i}" for i in range(12)])
    assert dyadic_design_effect(mask, names[first], names[second]) == pytest.approx(effect)
    assert dyadic_design_effect(mask, second, first) == pytest.approx(effect)


def test_dyadic_design_effect_at_its_ends():
    alone = np.arange(40).reshape(20, 2)
    mask = np.arange(20) % 4 == 0
    # Nobody shared: independent, up to the correction for the number of people.
    assert dyadic_design_effect(mask, alone[:, 0], alone[:, 1]) == pytest.approx(40 / 39)
    # Each mated comparison five times: a fifth as many independent ones.
    people = np.repeat(np.arange(20), 5)
    repeated = np.repeat(mask, 5)
    assert dyadic_design_effect(repeated, people, people) == pytest.approx(5 * 20 / 19)
    # Nothing to estimate from: 100 people make 50 disjoint pairs, whatever the 4,950 say.
    first, second = np.triu_indices(100, 1)
    assert dyadic_design_effect(np.zeros(4950, bool), first, second) == 4950 / 50
    assert dyadic_design_effect(np.ones(20, bool), alone[:, 0], alone[:, 1]) == 1
    # One person only: one trial.
    assert dyadic_design_effect([True, False, True], [7, 7, 7], [7, 7, 7]) == 3


@pytest.mark.parametrize(
    ("people", "share", "rate"),
    [
        (40, 0.2, 0.05),
        *(
            pytest.param(100, *at, marks=pytest.mark.slow)
            for at in ((0.2, 0.01), (0.4, 0.01), (0.1, 0.003))
        ),
    ],
)
def test_pair_intervals_cover_where_plain_wilson_does_not(people, share, rate):
    """Scores = a trait of each person + noise: everybody's comparisons hang together."""
    rng = np.random.default_rng(people)
    first, second = np.triu_indices(people, 1)
    threshold = stats.norm.isf(rate)
    covered = {"people": 0, "plain": 0}
    runs = 800
    for _ in range(runs):
        traits = rng.standard_normal(people) * math.sqrt(share)
        noise = rng.standard_normal(len(first)) * math.sqrt(1 - 2 * share)
        mask = traits[first] + traits[second] + noise >= threshold
        for name, interval in (
            ("people", pair_interval(mask, first, second)),
            ("plain", wilson(int(mask.sum()), len(mask))),
        ):
            covered[name] += interval.low <= rate <= interval.high
    assert 0.92 <= covered["people"] / runs <= 0.98
    assert covered["plain"] / runs < 0.88


def test_pair_interval_without_people_is_exact():
    mask = np.arange(50) < 3
    assert pair_interval(mask) == clopper_pearson(3, 50)


def test_mated_pair_intervals_cover():
    rng = np.random.default_rng(2)
    people = np.repeat(np.arange(150), 6)
    covered = plain = 0
    runs = 800
    for _ in range(runs):
        chance = rng.beta(0.5, 4.5, size=150)  # mean 0.1: most people are easy, a few hard
        mask = rng.random(900) < chance[people]
        interval = pair_interval(mask, people)
        covered += interval.low <= 0.1 <= interval.high
        naive = wilson(int(mask.sum()), 900)
        plain += naive.low <= 0.1 <= naive.high
    assert 0.92 <= covered / runs <= 0.98
    assert plain / runs < 0.9


@pytest.mark.slow
def test_bootstrap_by_subject_covers_where_searches_share_people():
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(120), rng.integers(1, 10, size=120))
    covered = plain = 0
    runs = 300
    for run in range(runs):
        chance = rng.beta(0.7, 3.3, size=120)  # mean 0.175
        mask = rng.random(len(people)) < chance[people]
        low, high = bootstrap_by_subject(mask, people, np.mean, seed=run, resamples=300)
        covered += low <= 0.175 <= high
        naive = wilson(int(mask.sum()), len(mask))
        plain += naive.low <= 0.175 <= naive.high
    assert 0.92 <= covered / runs <= 0.98
    assert plain / runs < 0.88


def test_bootstrap_draws_whole_people():
    # One person's ten rows are all 1, nine people's single rows are 0: rows come and go together.
    values = np.array([1.0] * 10 + [0.0] * 9)
    people = np.array([0] * 10 + list(range(1, 10)))
    seen = []

    def share(rows):
        seen.append((int(rows.sum()) % 10, np.count_nonzero(rows == 0) + int(rows.sum()) // 10))
        return float(rows.mean())

    low, high = bootstrap_by_subject(values, people, share, seed=1, resamples=300)
    assert set(seen) == {(0, 10)}  # always ten people, with all of their rows
    assert low == 0
    assert 0.7 < high < 0.95
    assert bootstrap_by_subject(values, people, share, seed=1, resamples=300) == (low, high)
    assert bootstrap_by_subject(values, people, share, seed=1, resamples=300, level=0.5)[1] < high


def test_bootstrap_equals_resampling_by_hand():
    rng = np.random.default_rng(6)
    people = rng.permutation(np.repeat(np.arange(15), 4))
    values = rng.random(60)
    low, high = bootstrap_by_subject(values, people, np.median, seed=9, resamples=50, level=0.8)
    again = np.random.default_rng(9)
    medians = [
        np.median(np.concatenate([values[people == p] for p in again.integers(15, size=15)]))
        for _ in range(50)
    ]
    assert (low, high) == pytest.approx(tuple(np.quantile(medians, [0.1, 0.9])))


def test_search_interval_is_the_bootstrap_where_people_come_back():
    people = np.arange(60) % 15
    mask = (people % 4 == 0) & (np.arange(60) < 50)
    interval = search_interval(mask, people, seed=5, level=0.9)
    low, high = bootstrap_by_subject(mask, people, np.mean, seed=5, level=0.9)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.method == "bootstrap by subject"
    assert (interval.errors, interval.trials) == (mask.sum(), 60)


def test_search_interval_picks_its_method():
    mask = np.arange(40) < 4
    assert search_interval(mask, np.arange(40)) == clopper_pearson(4, 40)
    assert search_interval(mask) == clopper_pearson(4, 40)
    # 40 searches for 10 people without an error show what 10 people show, not 40.
    none = search_interval(np.zeros(40, bool), np.arange(40) % 10)
    assert (none.rate, none.errors, none.trials) == (0, 0, 40)
    assert none.high == clopper_pearson(0, 10).high
    every = search_interval(np.ones(40, bool), np.arange(40) % 10)
    assert every.low == clopper_pearson(10, 10).low
