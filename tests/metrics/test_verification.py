"""FMR, FNMR, DET, EER and accuracy against scikit-learn and brute force, with heavy ties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import det_curve, roc_curve

from facecli.common.decision import accepts
from facecli.common.errors import CalibrationError
from facecli.metrics.rates import Scores
from facecli.metrics.verification import (
    best_accuracy,
    det,
    eer,
    error_rates,
    fnmr_at_fmr,
    tenfold_accuracy,
    threshold_for_fmr,
)

SPREAD = st.floats(-1, 1, width=32)
TIED = st.sampled_from([-0.5, 0.0, 0.25, 0.3, 0.75])
some_scores = st.one_of(
    st.lists(SPREAD, min_size=1, max_size=40), st.lists(TIED, min_size=1, max_size=40)
).map(np.array)
a_dtype = st.sampled_from([np.float32, np.float64])
a_few = st.integers(0, 5)
a_rate = st.one_of(st.floats(0.001, 0.999), st.sampled_from([i / 100 for i in range(1, 100)]))


def brute_rates(mated, nonmated, threshold, failed_mated=0, failed_nonmated=0):
    """FMR and FNMR one comparison at a time, failures in the denominators."""
    matches = sum(bool(accepts(float(s), threshold)) for s in nonmated)
    non_matches = sum(not accepts(float(s), threshold) for s in mated) + failed_mated
    return (
        matches / (len(nonmated) + failed_nonmated),
        non_matches / (len(mated) + failed_mated),
    )


@given(some_scores, some_scores)
def test_det_is_scikit_learns(mated, nonmated):
    curve = det(mated, nonmated)
    labels = np.repeat([1, 0], [len(mated), len(nonmated)])
    fpr, fnr, thresholds = det_curve(labels, np.append(mated, nonmated))
    np.testing.assert_array_equal(curve.false_positives, fpr)
    np.testing.assert_array_equal(curve.false_negatives, fnr)
    finite = np.isfinite(thresholds)
    np.testing.assert_array_equal(curve.thresholds[finite], thresholds[finite])
    assert np.isfinite(curve.thresholds).all()
    assert (curve.thresholds[~finite] > max(mated.max(), nonmated.max())).all()


@given(some_scores, some_scores, a_few, a_few, a_dtype)
def test_det_points_are_what_accepts_gives(mated, nonmated, failed_mated, failed_nonmated, dtype):
    same, other = mated.astype(dtype), nonmated.astype(dtype)
    curve = det(Scores(same, failed_mated), Scores(other, failed_nonmated))
    for threshold, fmr, fnmr in zip(
        curve.thresholds, curve.false_positives, curve.false_negatives, strict=True
    ):
        assert (fmr, fnmr) == brute_rates(same, other, threshold, failed_mated, failed_nonmated)
    assert curve.false_positives[-1] == 0
    assert curve.false_negatives[0] == failed_mated / (len(same) + failed_mated)


@given(some_scores, some_scores)
def test_rates_lie_on_scikit_learns_roc(mated, nonmated):
    labels = np.repeat([1, 0], [len(mated), len(nonmated)])
    fpr, tpr, thresholds = roc_curve(labels, np.append(mated, nonmated), drop_intermediate=False)
    for x, y, threshold in zip(fpr[1:], tpr[1:], thresholds[1:], strict=True):
        rates = error_rates(mated, nonmated, float(threshold))
        assert rates.fmr.rate == pytest.approx(x)
        assert rates.tar.rate == pytest.approx(y)


@given(some_scores, some_scores, a_few, a_few, SPREAD)
def test_error_rates_count_failures(mated, nonmated, failed_mated, failed_nonmated, threshold):
    rates = error_rates(Scores(mated, failed_mated), Scores(nonmated, failed_nonmated), threshold)
    fmr, fnmr = brute_rates(mated, nonmated, threshold, failed_mated, failed_nonmated)
    assert (rates.fmr.rate, rates.fnmr.rate) == (fmr, fnmr)
    assert rates.fmr.trials == len(nonmated) + failed_nonmated
    assert rates.fnmr.errors >= failed_mated
    assert rates.fmr.low <= fmr <= rates.fmr.high
    assert rates.tar.low <= 1 - fnmr <= rates.tar.high


def test_a_failure_counts_alike_as_a_number_and_as_minus_infinity():
    by_number = error_rates(Scores([0.9, 0.2], failed=2), Scores([0.1, 0.6], failed=1), 0.5)
    by_score = error_rates([0.9, -np.inf, 0.2, -np.inf], [0.1, 0.6, -np.inf], 0.5)
    assert by_number == by_score
    assert by_number.fnmr.rate == 3 / 4
    assert by_number.fmr.rate == 1 / 3


def test_float32_scores_are_compared_as_decisions_are():
    score = np.float32(0.7)  # a little below 0.7
    assert not accepts(float(score), 0.7)
    assert error_rates([score], np.array([score]), 0.7).fmr.rate == 0


def test_missing_comparisons_are_undefined_not_zero():
    rates = error_rates([0.5], [], 0.3)
    assert math.isnan(rates.fmr.rate)
    assert (rates.fmr.low, rates.fmr.high, rates.fmr.trials) == (0, 1, 0)
    assert rates.fnmr.rate == 0
    for only_one_kind in ([[0.5], []], [[], [0.5]]):
        with pytest.raises(ValueError, match="needs both kinds"):
            det(*only_one_kind)


@pytest.mark.parametrize("bad", [[0.1, float("nan")], [0.1, float("inf")], [[0.1]], 0.1])
def test_scores_that_are_none_are_refused(bad):
    for call in (
        lambda: det(bad, [0.5]),
        lambda: eer([0.5], bad),
        lambda: error_rates(bad, [0.5], 0.2),
        lambda: threshold_for_fmr(bad, 0.1),
        lambda: best_accuracy(bad, [0.5]),
        lambda: tenfold_accuracy(bad, [True, False], [0, 1]),
    ):
        with pytest.raises(ValueError, match=r"NaN or \+inf|shape"):
            call()


def test_scores_refuses_ids_of_another_length_and_negative_counts():
    with pytest.raises(ValueError, match="subjects has shape"):
        Scores([0.1, 0.2], subjects=["a"])
    with pytest.raises(ValueError, match="needs subjects"):
        Scores([0.1], others=["a"])
    with pytest.raises(ValueError, match="cannot be -1"):
        Scores([0.1], failed=-1)
    with pytest.raises(ValueError, match="others"):
        error_rates([0.5], Scores([0.1], subjects=["a"]), 0.3)


@given(some_scores, a_few, a_rate, a_dtype)
def test_threshold_for_fmr_is_the_smallest(nonmated, failed, target, dtype):
    scores = nonmated.astype(dtype)
    threshold = threshold_for_fmr(Scores(scores, failed), target)

    def fmr(t):
        return sum(bool(accepts(float(s), t)) for s in scores) / (len(scores) + failed)

    assert math.isfinite(threshold)
    assert fmr(threshold) <= target
    assert dtype(threshold) == threshold  # it survives a comparison in the scores' precision
    with np.errstate(over="ignore"):
        below = float(np.nextafter(dtype(threshold), dtype(-np.inf)))
    # The number below is a score that must not be accepted, unless nothing is below.
    assert below == -math.inf or fmr(below) > target


def test_threshold_for_fmr_counts_exactly_and_needs_comparisons():
    scores = np.arange(100) / 100
    for errors in range(1, 100):  # 0.29 * 100 is 28.999999999999996
        threshold = threshold_for_fmr(scores, errors / 100)
        assert np.count_nonzero(accepts(scores, threshold)) == errors
    with pytest.raises(CalibrationError, match="no non-mated"):
        threshold_for_fmr([], 0.01)
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_for_fmr(scores, 0)


@given(some_scores, some_scores, a_few)
def test_eer_is_fvc2000s(mated, nonmated, failed):
    found = eer(Scores(mated, failed), nonmated)
    every = [*np.unique(np.append(mated, nonmated)), 2.0]
    rates = [brute_rates(mated, nonmated, float(t), failed) for t in every]
    before = [fmr + fnmr for fmr, fnmr in rates if fnmr <= fmr]
    after = [fmr + fnmr for fmr, fnmr in rates if fnmr >= fmr]
    sums = before[-1:] + after[:1]
    assert found.rate == pytest.approx(min(sums) / 2)
    at = brute_rates(mated, nonmated, found.threshold, failed)
    assert sorted(at) == [found.low, found.high]


def test_eer_of_a_known_case():
    found = eer([0.2, 0.6, 0.7, 0.8], [0.1, 0.3, 0.4, 0.65])
    assert (found.rate, found.low, found.high) == (0.25, 0.25, 0.25)
    assert found.threshold == 0.6
    assert eer([0.8, 0.9], [0.1, 0.2]).rate == 0
    assert eer([0.1, 0.2], [0.8, 0.9]).rate == 1


def test_fnmr_at_fmr_where_the_data_support_it():
    rng = np.random.default_rng(4)
    mated, nonmated = rng.normal(0.6, 0.1, 500), rng.normal(0.1, 0.1, 3000)
    rates = fnmr_at_fmr(mated, nonmated, 1e-3)
    assert rates is not None
    assert rates.fmr.errors == 3
    fmr, fnmr = brute_rates(mated, nonmated, rates.threshold)
    assert (rates.fmr.rate, rates.fnmr.rate) == (fmr, fnmr)
    assert fnmr_at_fmr(mated, nonmated[:-1], 1e-3) is None
    assert fnmr_at_fmr([], nonmated, 1e-3) is None


def test_fnmr_at_fmr_counts_people():
    rng = np.random.default_rng(5)
    first, second = np.triu_indices(80, 1)
    wolves = rng.normal(0, 0.3, 80)
    scores = wolves[first] + wolves[second] + rng.normal(0, 0.1, len(first))
    people = Scores(scores, subjects=first, others=second)
    assert fnmr_at_fmr([0.9], scores, 1e-3) is not None  # 3,160 comparisons
    assert fnmr_at_fmr([0.9], people, 1e-3) is None  # of only 80 people
    loose = fnmr_at_fmr([0.9], people, 0.2)
    assert loose is not None
    assert loose.fmr.method.startswith("Wilson, design effect")
    plain = fnmr_at_fmr([0.9], scores, 0.2)
    assert loose.fmr.high - loose.fmr.low > 2 * (plain.fmr.high - plain.fmr.low)


def test_failed_comparisons_are_of_other_people():
    mated = Scores([0.9, 0.1], failed=2, subjects=["a", "b"])
    nonmated = Scores([0.6, 0.1], failed=2, subjects=["a", "b"], others=["b", "c"])
    rates = error_rates(mated, nonmated, 0.5)
    assert (rates.fnmr.errors, rates.fnmr.trials) == (3, 4)
    assert (rates.fmr.errors, rates.fmr.trials) == (1, 4)


@given(some_scores, some_scores, a_few, a_few)
def test_best_accuracy_is_brute_forces(mated, nonmated, failed_mated, failed_nonmated):
    accuracy, threshold = best_accuracy(
        Scores(mated, failed_mated), Scores(nonmated, failed_nonmated)
    )
    total = len(mated) + len(nonmated) + failed_mated + failed_nonmated

    def right(t):
        hits = sum(bool(accepts(float(s), t)) for s in mated)
        false = sum(bool(accepts(float(s), t)) for s in nonmated)
        return hits + len(nonmated) - false + failed_nonmated

    best = max(right(float(t)) for t in [*mated, *nonmated, 2.0])
    assert accuracy == best / total
    assert right(threshold) == best


def test_best_accuracy_leaves_room_on_both_sides():
    assert best_accuracy([0.6, 0.7], [0.1, 0.2]) == (1, pytest.approx(0.4))
    neighbours = np.array([0.3, np.nextafter(0.3, 1)])
    assert best_accuracy(neighbours[1:], neighbours[:1]) == (1, neighbours[1])
    with pytest.raises(ValueError, match="at least one"):
        best_accuracy([], [])


@pytest.mark.parametrize("seed", range(3))
def test_tenfold_accuracy_is_lfws_protocol(seed):
    rng = np.random.default_rng(seed)
    mated = rng.random(200) < 0.5
    scores = np.round(rng.normal(np.where(mated, 0.5, 0.2), 0.15), 2)
    scores[::50] = -np.inf
    folds = np.repeat(np.arange(10), 20)
    mean, error = tenfold_accuracy(scores, mated, folds)

    accuracies = []
    for fold in range(10):
        train = [i for i in range(200) if folds[i] != fold]
        test = [i for i in range(200) if folds[i] == fold]
        steps = np.unique(scores[train])[1:]  # without -inf
        hits = [sum((scores[i] >= t) == mated[i] for i in train) for t in steps]
        best = int(np.argmax(hits))
        threshold = (steps[best] + steps[best - 1]) / 2
        accuracies.append(sum((scores[i] >= threshold) == mated[i] for i in test) / 20)
    assert mean == pytest.approx(np.mean(accuracies))
    spread = sum((a - np.mean(accuracies)) ** 2 for a in accuracies) / 9
    assert error == pytest.approx(math.sqrt(spread) / math.sqrt(10))


def test_tenfold_accuracy_never_sees_the_fold_it_decides():
    # Two folds whose best thresholds are each other's worst.
    scores = np.array([0.1, 0.2, 0.8, 0.9])
    mated = np.array([False, True, False, True])
    mean, error = tenfold_accuracy(scores, mated, [0, 0, 1, 1])
    assert (mean, error) == (0.5, 0)
    with pytest.raises(ValueError, match="two folds"):
        tenfold_accuracy(scores, mated, [0, 0, 0, 0])
    with pytest.raises(ValueError, match="one shape"):
        tenfold_accuracy(scores, mated, [0, 1])
