"""Open-set search rates against brute force, and the promises of the stranger thresholds."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from facecli.common.decision import accepts
from facecli.common.errors import CalibrationError
from facecli.metrics.identification import (
    Searches,
    assured_threshold,
    cmc,
    conformal_threshold,
    fnir_fpir_curve,
    identification_rates,
    threshold_for_fpir,
)
from facecli.metrics.rates import Scores

N = 12
SPREAD = st.floats(-1, 1, width=32)
TIED = st.sampled_from([-0.5, 0.0, 0.25, 0.75])


@st.composite
def searches(draw):
    values = draw(st.sampled_from([SPREAD, TIED]))
    mated = draw(st.lists(values, min_size=1, max_size=30))
    ranks = draw(st.lists(st.integers(0, N), min_size=len(mated), max_size=len(mated)))
    nonmated = draw(st.lists(values, min_size=1, max_size=30))
    few = st.integers(0, 4)
    return Searches(Scores(mated, draw(few)), ranks, Scores(nonmated, draw(few)), N)


def brute(found, threshold):
    """FPIR, FNIR, misidentification and rank-1 rate, one search at a time."""
    mated = list(zip(found.mated.values, found.ranks, strict=True))
    strangers, people = found.nonmated.trials, found.mated.trials
    named = sum(bool(accepts(float(s), threshold)) for s in found.nonmated.values)
    hits = sum(accepts(float(s), threshold) and r == 1 for s, r in mated)
    wrong = sum(accepts(float(s), threshold) and r != 1 for s, r in mated)
    first = sum(r == 1 for _, r in mated)
    return named / strangers, (people - hits) / people, wrong / people, first / people


@given(searches(), SPREAD)
def test_rates_are_brute_forces(found, threshold):
    rates = identification_rates(found, threshold)
    fpir, fnir, wrong, first = brute(found, threshold)
    assert rates.enrolled == N
    assert rates.fpir.rate == fpir
    assert rates.fnir.rate == fnir
    assert rates.dir.rate == pytest.approx(1 - fnir)
    assert rates.dir.errors == rates.dir.trials - rates.fnir.errors
    assert rates.misidentification.rate == wrong
    assert rates.rank_one.rate == first
    for interval in (rates.fpir, rates.fnir, rates.dir, rates.misidentification, rates.rank_one):
        assert 0 <= interval.low <= interval.rate + 1e-12
        assert interval.rate - 1e-12 <= interval.high <= 1
    assert rates.fpir.trials == len(found.nonmated.values) + found.nonmated.failed


@given(searches())
def test_cmc_is_brute_forces(found):
    curve = cmc(found)
    assert len(curve) == N
    for rank, point in enumerate(curve, start=1):
        hits = sum(1 <= r <= rank for r in found.ranks)
        assert (point.errors, point.trials) == (hits, found.mated.trials)
    assert curve[0].rate == identification_rates(found, 0.0).rank_one.rate
    assert len(cmc(found, max_rank=3)) == 3


@given(searches())
def test_curve_points_are_the_rates(found):
    curve = fnir_fpir_curve(found)
    assert (np.diff(curve.thresholds) > 0).all()
    for threshold, fpir, fnir in zip(
        curve.thresholds, curve.false_positives, curve.false_negatives, strict=True
    ):
        assert (fpir, fnir) == brute(found, float(threshold))[:2]
    assert curve.false_positives[-1] == 0
    assert curve.false_negatives[0] == brute(found, -2.0)[1]
    assert json.loads(json.dumps(curve.thresholds.tolist())) == curve.thresholds.tolist()


def test_a_failed_mated_search_has_no_rank():
    found = Searches([0.9, -np.inf], [1, 1], [0.1], 2)
    rates = identification_rates(found, 0.5)
    assert rates.rank_one.errors == 1
    assert cmc(found)[-1].errors == 1
    assert (rates.fnir.errors, rates.misidentification.errors) == (1, 0)


def test_intervals_count_people():
    people = np.repeat(np.arange(30), 4)
    bad = np.where(people % 5 == 0, 0.2, 0.8)
    alone = Searches(bad, np.ones(120, int), Scores(bad), N)
    known = Searches(
        Scores(bad, failed=1, subjects=people), np.ones(120, int), Scores(bad, subjects=people), N
    )
    assert identification_rates(alone, 0.5).fpir.method == "Clopper-Pearson"
    rates = identification_rates(known, 0.5)
    assert rates.fnir.method == rates.fpir.method == "bootstrap by subject"
    assert (rates.fnir.errors, rates.fnir.trials) == (25, 121)
    free = identification_rates(alone, 0.5).fnir
    assert rates.fnir.high - rates.fnir.low > 1.5 * (free.high - free.low)
    assert identification_rates(known, 0.5) == rates  # the same seed, the same interval
    assert identification_rates(known, 0.5, seed=1).fnir != rates.fnir


def test_searches_without_one_kind_are_undefined_there():
    none = identification_rates(Searches([], [], [0.3], 5), 0.2)
    assert none.fpir.rate == 1
    assert math.isnan(none.fnir.rate)
    assert math.isnan(none.dir.rate)
    assert math.isnan(identification_rates(Searches([0.3], [1], [], 5), 0.2).fpir.rate)
    with pytest.raises(ValueError, match="both kinds"):
        fnir_fpir_curve(Searches([0.3], [1], [], 5))


@pytest.mark.parametrize(
    ("ranks", "message"),
    [([1], "shape"), ([1, 6], "5 subjects"), ([-1, 1], "5 subjects"), ([1.0, 2.0], "integers")],
)
def test_impossible_ranks_are_refused(ranks, message):
    with pytest.raises(ValueError, match=message):
        Searches([0.3, 0.4], ranks, [0.1], 5)


def test_nan_scores_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        Searches([0.3, np.nan], [1, 1], [0.1], 5)
    for rule in (threshold_for_fpir, conformal_threshold, assured_threshold):
        with pytest.raises(ValueError, match="NaN"):
            rule([0.1, np.nan], 0.5)


@given(st.lists(TIED | SPREAD, min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_threshold_for_fpir_is_the_smallest_in_hindsight(best, target):
    scores = np.array(best)
    threshold = threshold_for_fpir(scores, target)
    assert np.mean(accepts(scores, threshold)) <= target
    lower = np.nextafter(threshold, -np.inf)
    assert np.isinf(lower) or np.mean(accepts(scores, lower)) > target


@given(st.lists(TIED | SPREAD, min_size=2, max_size=60), st.floats(0.02, 0.98))
def test_conformal_holds_for_each_stranger_left_out(best, target):
    """Exchangeable people: hold out each in turn, and at most the target's share is named."""
    scores = np.array(best)
    if 1 / len(scores) > target:
        with pytest.raises(CalibrationError, match="at least"):
            conformal_threshold(scores[1:], target)
        return
    named = [
        accepts(scores[i], conformal_threshold(np.delete(scores, i), target))
        for i in range(len(scores))
    ]
    assert np.mean(named) <= target + 1e-12


def test_conformal_holds_on_average_and_hindsight_does_not():
    rng = np.random.default_rng(0)
    realised = {"conformal": [], "hindsight": []}
    for _ in range(4000):
        scores = rng.normal(size=120)
        for name, rule in (("conformal", conformal_threshold), ("hindsight", threshold_for_fpir)):
            realised[name].append(stats.norm.sf(rule(scores, 0.02)))
    assert np.mean(realised["conformal"]) == pytest.approx(2 / 121, abs=5e-4)
    assert np.mean(realised["hindsight"]) > 0.024


@pytest.mark.parametrize(("strangers", "target"), [(299, 0.01), (600, 0.01), (100, 0.05)])
def test_assured_holds_in_95_of_100_galleries(strangers, target):
    rng = np.random.default_rng(strangers)
    runs = 4000
    kept = sum(
        stats.norm.sf(assured_threshold(rng.normal(size=strangers), target)) <= target
        for _ in range(runs)
    )
    assert kept / runs >= 0.943  # 95 % less two standard errors
    assert kept / runs <= 0.985


def test_failed_strangers_count_as_rejected():
    scores = np.linspace(0, 1, 299)
    assert assured_threshold(scores, 0.01) > 1
    assert assured_threshold(Scores(scores, failed=300), 0.01) < 1
    assert conformal_threshold(Scores([0.5], failed=98), 0.01) > 0.5
    everybody = conformal_threshold(Scores([0.5], failed=3), 0.4)
    assert everybody < 0.5
    assert math.isfinite(everybody)


def test_too_few_strangers_are_told_in_numbers():
    scores = np.linspace(0, 1, 60)
    with pytest.raises(CalibrationError, match=r"at least 99 strangers.*are 60.*0\.016"):
        conformal_threshold(scores, 0.01)
    with pytest.raises(CalibrationError, match=r"at least 299 strangers.*are 60.*0\.049"):
        assured_threshold(scores, 0.01)
    assert conformal_threshold(np.linspace(0, 1, 99), 0.01) > 1
    with pytest.raises(CalibrationError, match="at least 14 strangers"):
        conformal_threshold(scores[:13], 0.07)
    assert conformal_threshold(scores[:14], 0.07) > scores[13]
    with pytest.raises(CalibrationError, match="no strangers"):
        threshold_for_fpir([], 0.01)
    with pytest.raises(CalibrationError, match="there are 0"):
        assured_threshold([], 0.01)
    with pytest.raises(ValueError, match="between 0 and 1"):
        assured_threshold(scores, 1.0)
