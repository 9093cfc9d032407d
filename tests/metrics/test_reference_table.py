"""The table's arithmetic: inverses, what it promises, and files that are no table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from facecli.common.errors import CalibrationError, ModelError
from facecli.metrics import reference_table
from facecli.metrics.reference_table import FEWEST_SCORES, ReferenceTable, from_json, from_scores
from facecli.recognition.model_zoo import registry

SPEC = registry.find_embedder(registry.DEFAULT_EMBEDDER)
SHIPPED = SPEC.table
assert SHIPPED is not None
TABLE = reference_table.from_file(SHIPPED, SPEC.embedder_id)
NORMAL = stats.norm(0.05, 0.1)


def normal_table(count: int = 200_000) -> ReferenceTable:
    """Made from the exact quantiles of a normal law, as a perfect sample would be."""
    return from_scores(NORMAL.ppf((np.arange(count) + 0.5) / count), 700, "a normal law")


rates = st.floats(1e-4, 0.5)
sizes = st.integers(1, 2_000_000)


@given(st.floats(-8, math.log10(0.998)))
def test_tail_undoes_score(exponent: float) -> None:
    """Within the table and beyond its end."""
    tail = 10**exponent
    assert TABLE.tail(TABLE.score(tail)) == pytest.approx(tail, rel=1e-6)


@given(st.floats(TABLE.scores[0], 0.95))
def test_score_undoes_tail(score: float) -> None:
    tail = TABLE.tail(score)
    assume(tail > 0)
    assert TABLE.score(tail) == pytest.approx(score, abs=1e-9)


@given(st.floats(-1, 1.2), st.floats(-1, 1.2))
def test_a_higher_score_is_rarer(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert 0 <= TABLE.tail(high) <= TABLE.tail(low) < 1


@given(rates, sizes, sizes)
def test_the_threshold_rises_with_the_gallery(rate: float, a: int, b: int) -> None:
    few, many = sorted((a, b))
    assert TABLE.threshold(rate, few) <= TABLE.threshold(rate, many)
    assume(few < many / 2)
    assert TABLE.threshold(rate, few) < TABLE.threshold(rate, many)


@given(rates, rates, sizes)
def test_a_stricter_target_asks_for_more(a: float, b: float, n: int) -> None:
    strict, loose = sorted((a, b))
    assert TABLE.threshold(strict, n) >= TABLE.threshold(loose, n)


@given(rates, sizes)
def test_the_threshold_keeps_its_rate(rate: float, n: int) -> None:
    assert TABLE.fpir(TABLE.threshold(rate, n), n) == pytest.approx(rate, rel=1e-5)


def test_one_subject_is_one_comparison() -> None:
    assert TABLE.threshold(0.01, 1) == pytest.approx(TABLE.score(0.01))
    assert TABLE.threshold(0.01, 0) == TABLE.threshold(0.01, 1)
    assert TABLE.fpir(0.3, 1) == pytest.approx(TABLE.tail(0.3))


def test_many_comparisons_are_what_chance_makes_of_them() -> None:
    """The best of 50 draws reaches the threshold as often as promised."""
    table, rng = normal_table(), np.random.default_rng(0)
    best = NORMAL.rvs((40_000, 50), random_state=rng).max(axis=1)
    for rate in (0.01, 0.1, 0.5):
        shown = (best >= table.threshold(rate, 50)).mean()
        assert shown == pytest.approx(rate, abs=4 * math.sqrt(rate / 40_000) + 0.02 * rate)


def test_no_rate_is_minus_nil() -> None:
    rate = TABLE.fpir(40.0, 5)
    assert rate == 0
    assert math.copysign(1, rate) == 1


@pytest.mark.parametrize("tail", [0, 1, -0.1, 1.5, math.nan, math.inf])
def test_a_probability_that_is_none(tail: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        TABLE.score(tail)


@pytest.mark.parametrize("tail", [0.9, 0.5, 0.1, 0.01, 1e-3, 1e-4])
def test_scores_of_a_normal_law_are_its_quantiles(tail: float) -> None:
    assert normal_table().score(tail) == pytest.approx(NORMAL.isf(tail), abs=2e-3)


@pytest.mark.parametrize("score", [-0.05, 0.05, 0.2, 0.3, 0.4])
def test_tails_of_a_normal_law_are_its_survival(score: float) -> None:
    assert normal_table().tail(score) == pytest.approx(NORMAL.sf(score), rel=0.03)


def test_the_mean_of_a_normal_law() -> None:
    assert normal_table().mean() == pytest.approx(0.05, abs=2e-3)
    assert normal_table().shifted(0.07, "shifted").mean() == pytest.approx(0.12, abs=2e-3)


def test_a_shift_moves_every_score() -> None:
    moved = TABLE.shifted(0.04, "by four hundredths")
    assert moved.score(1e-3) == pytest.approx(TABLE.score(1e-3) + 0.04)
    assert moved.tail(0.34) == pytest.approx(TABLE.tail(0.30))
    assert (moved.made_from, moved.tails) == ("by four hundredths", TABLE.tails)


def test_no_tail_thinner_than_ten_comparisons() -> None:
    table = normal_table(1000)
    assert 10 <= table.tails[-1] * 1000 < 13
    assert table.comparisons == 1000
    assert table.extrapolates(1e-3)
    assert not table.extrapolates(0.01001)


@pytest.mark.parametrize("tail", [1e-4, 1e-5, 1e-7, 1e-9])
def test_beyond_the_end_a_normal_law_goes_on(tail: float) -> None:
    table = normal_table(10_000)
    assert table.extrapolates(tail)
    assert table.score(tail) == pytest.approx(NORMAL.isf(tail), abs=0.01)
    assert table.tail(NORMAL.isf(tail)) == pytest.approx(tail, rel=0.8)


def test_one_freak_comparison_does_not_steer_the_tail() -> None:
    scores = np.sort(NORMAL.isf((np.arange(100_000) + 0.5) / 100_000))
    odd = scores.copy()
    odd[-2:] = 0.95
    steady, steered = (from_scores(s, 10, "normal").score(1e-7) for s in (scores, odd))
    assert steered == pytest.approx(steady, abs=0.005)


def test_weights_make_the_tail_thinner_than_the_count() -> None:
    scores = np.linspace(0, 0.5, 10_000)
    heavy = np.where(np.arange(10_000) % 100 == 0, 1000.0, 1.0)  # about 120 comparisons' worth
    assert from_scores(scores, 10, "uneven", heavy).tails[-1] > 0.05


def test_never_more_exceed_a_score_than_stated() -> None:
    scores = np.random.default_rng(1).normal(size=5000).round(1)  # heavy ties
    table = from_scores(scores, 10, "rounded")
    for tail, score in zip(table.tails, table.scores, strict=True):
        assert (scores > score).mean() <= tail + 1e-12


def test_tied_scores_state_the_larger_probability() -> None:
    """Of a score that one comparison in ten has, one in ten reaches it, not one in a million."""
    scores = np.concatenate([np.linspace(0, 0.4, 9000), np.full(1000, 0.5)])
    table = from_scores(scores, 10, "a crowd of twins")
    assert table.tail(0.5) == pytest.approx(0.1, rel=0.3)
    assert table.fpir(table.threshold(0.01, 5), 5) > 0.3
    assert table.tail(0.51) < table.tail(0.5)


def test_scores_all_alike() -> None:
    table = from_scores(np.full(100, 0.25), 2, "one photo, again and again")
    assert table.score(0.5) == 0.25
    assert table.tail(0.25) > 0.9
    assert table.score(1e-9) == pytest.approx(0.25, abs=1e-4)
    assert table.tail(0.9) == 0


def test_weights_count_a_person_not_the_photos() -> None:
    rng = np.random.default_rng(2)
    few, many = rng.normal(0.0, 0.05, 1000), rng.normal(0.5, 0.05, 9000)
    scores = np.concatenate([few, many])
    weighted = np.concatenate([np.full(1000, 9.0), np.full(9000, 1.0)])
    assert from_scores(scores, 2, "plain").score(0.3) > 0.4
    assert from_scores(scores, 2, "fair", weighted).score(0.6) < 0.1
    doubled = from_scores(scores, 2, "plain", np.full(10_000, 2.0))
    assert doubled.scores == from_scores(scores, 2, "plain").scores


@pytest.mark.parametrize("scores", [[], [0.1] * (FEWEST_SCORES - 1), [0.1] * 50 + [math.nan]])
def test_too_little_for_a_table(scores: list[float]) -> None:
    with pytest.raises(CalibrationError, match="at least 40 scores, all of them finite"):
        from_scores(np.array(scores), 1, "little")


@given(st.lists(st.floats(-1, 1), min_size=FEWEST_SCORES, max_size=90))
def test_what_from_scores_makes_can_be_read_again(scores: list[float]) -> None:
    table = from_scores(np.array(scores), 3, "Ünïcode “quoted”\n")
    assert from_json(table.to_json()) == table


def test_the_shipped_table() -> None:
    assert from_json(TABLE.to_json()) == TABLE
    assert TABLE.tails[-1] <= 1e-5
    assert TABLE.comparisons > 1_000_000
    assert 0.3 < TABLE.threshold(0.01, 300) < TABLE.threshold(0.01, 10_000) < 0.75


def spoilt(**facts: object) -> str:
    return json.dumps({**json.loads(TABLE.to_json()), **facts})


def lacking(key: str) -> str:
    return json.dumps({k: v for k, v in json.loads(TABLE.to_json()).items() if k != key})


TAILS, SCORES = list(TABLE.tails), list(TABLE.scores)
HOSTILE = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[1, 2]",
    "a number": "7",
    "null": "null",
    "deep": "[" * 100_000,
    "another format": spoilt(format=2),
    "no tails": lacking("tails"),
    "no format": lacking("format"),
    "empty": spoilt(tails=[], scores=[]),
    "short": spoilt(tails=TAILS[:9], scores=SCORES[:9]),
    "fewer scores": spoilt(scores=SCORES[:-1]),
    "rising tails": spoilt(tails=TAILS[::-1]),
    "falling scores": spoilt(scores=SCORES[::-1]),
    "a tail of nil": spoilt(tails=[*TAILS[:-1], 0]),
    "a negative tail": spoilt(tails=[*TAILS[:-1], -1e-7]),
    "a tail of one": spoilt(tails=[1, *TAILS[1:]]),
    "NaN": spoilt(scores=[*SCORES[:-1], math.nan]),
    "infinite score": spoilt(scores=[*SCORES[:-1], math.inf]),
    "huge number": spoilt(subjects=10).replace('"subjects": 10', '"subjects": 1e999'),
    "huge integer": spoilt(scores=[*SCORES[:-1], 10**400]),
    "words": spoilt(scores=["high"] * len(SCORES)),
    "objects": spoilt(tails=[{}] * len(TAILS)),
    "null subjects": spoilt(subjects=None),
    "tails that rise once": spoilt(tails=[*TAILS[:5], TAILS[6], TAILS[5], *TAILS[7:]]),
    "a tail twice": spoilt(tails=[*TAILS[:5], TAILS[6], *TAILS[6:]]),
    "scores that fall once": spoilt(scores=[*SCORES[:5], SCORES[6], SCORES[5], *SCORES[7:]]),
    "nothing in the last decade": spoilt(tails=[*TAILS[:-1], 1e-9]),
}


def test_what_just_is_a_table_is_taken() -> None:
    """Ten entries, scores that tie, and two decades between the last two tails."""
    few = {"tails": [*TAILS[:9], TAILS[8] / 100], "scores": [*SCORES[:8], SCORES[7], SCORES[7]]}
    assert from_json(spoilt(**few)).scores == tuple(few["scores"])


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_table_is_refused(case: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a reference table"):
        from_json(HOSTILE[case])
    path = tmp_path / "table.json"
    path.write_text(HOSTILE[case], encoding="utf-8")
    with pytest.raises(ModelError):
        reference_table.from_file(path, "")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        reference_table.from_file(tmp_path / "missing.json", "")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot be read"):
        reference_table.from_file(tmp_path / "binary.json", "")
