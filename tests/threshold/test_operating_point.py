"""Every way to a threshold, and what is said about it."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from support.observations import observed

from facecli.common.enums import Basis, Target
from facecli.common.errors import CalibrationError, UsageError
from facecli.common.types import GalleryFit, OperatingPoint
from facecli.metrics import gallery_fit, reference_table
from facecli.metrics.crowd import own_threshold
from facecli.metrics.gallery_fit import Observed, quantiles
from facecli.recognition.model_zoo import registry
from facecli.storage.records import CalibrationRow
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs

SPEC = registry.find_embedder(registry.DEFAULT_EMBEDDER)
assert SPEC.table is not None
TABLE = reference_table.from_file(SPEC.table, SPEC.embedder_id)
ID = SPEC.embedder_id


def gallery(n: int, **facts: object) -> ThresholdInputs:
    return dataclasses.replace(ThresholdInputs(ID, n, TABLE), **facts)


def fitted(n: int, table: reference_table.ReferenceTable = TABLE) -> reference_table.ReferenceTable:
    """What strangers score among n subjects, where the gallery is too small to tell."""
    return gallery_fit.fitted(table, None, n)


def row(**facts: object) -> CalibrationRow:
    """A calibration as the gallery stores it: the shipped table moved by 0.03, FPIR 2 %."""
    scores = TABLE.shifted(0.03, "40 pairs").to_json()
    stored = CalibrationRow(
        Basis.SHIFTED_TABLE, Target.FPIR, 0.02, None, scores, "40 pairs", "2025-01-01T00:00:00Z"
    )
    return dataclasses.replace(stored, **facts)


def at(n: int, target: Target, rate: float, **facts: object) -> OperatingPoint:
    return operating_point.at(gallery(n, **facts), target, rate, Basis.REFERENCE_TABLE, "now")


@pytest.mark.parametrize("n", [1, 10, 300, 3000])
def test_an_fpir_at_n(n: int) -> None:
    point = at(n, Target.FPIR, 0.01)
    assert point.threshold == fitted(n).threshold(0.01, n)
    assert point.expected_fpir == pytest.approx(0.01)
    assert point.expected_fpir_10n == pytest.approx(1 - 0.99**10)
    assert point.fmr == pytest.approx(1 - 0.99 ** (1 / n))
    assert (point.n, point.embedder_id, point.target_rate) == (n, ID, 0.01)
    assert (point.basis, point.target) == (Basis.REFERENCE_TABLE, Target.FPIR)
    assert (point.made_from, point.made_at) == (TABLE.made_from, "now")
    assert (point.fit, point.notes) == (None, ())


def test_no_estimate_claims_more_than_the_people_behind_it_can_show() -> None:
    least = 3 / TABLE.subjects
    assert TABLE.least_fpir == pytest.approx(least) and 0.001 < least < 0.0014
    rare, usual = at(10, Target.FPIR, 1e-4), at(10, Target.FPIR, 0.01)
    assert rare.threshold > usual.threshold, "a lower target still raises the threshold"
    assert rare.expected_fpir == rare.least_fpir == pytest.approx(least)
    assert any("FPIR of 0.0013 at best (rule of 3)" in note for note in rare.notes)
    assert not any("rule of 3" in note for note in usual.notes)
    high = operating_point.by_hand(gallery(10), 0.9)
    assert high.expected_fpir == pytest.approx(least)
    by_pairs = gallery(10, choice=row(basis=Basis.PAIRS))
    rarest = 1 - (1 - TABLE.tails[-1]) ** 10
    assert by_pairs.least_fpir() == pytest.approx(rarest), "comparisons count there, not people"
    assert ThresholdInputs(ID, 1, None).least_fpir() == 0


def test_an_fmr_is_the_same_at_every_n_and_its_fpir_is_not() -> None:
    few, many = (at(n, Target.FMR, 1e-3) for n in (10, 1000))
    assert few.threshold == many.threshold == TABLE.score(1e-3)
    assert few.fmr == pytest.approx(1e-3)
    assert few.expected_fpir == pytest.approx(1 - 0.999**10, rel=0.1)
    assert many.expected_fpir == pytest.approx(1 - 0.999**1000, rel=0.1)


def test_an_empty_gallery_has_a_threshold_but_no_fpir() -> None:
    point = at(0, Target.FPIR, 0.01)
    assert point.threshold == TABLE.score(0.01)
    assert math.isnan(point.expected_fpir)
    assert math.isnan(point.expected_fpir_10n)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, math.nan])
@pytest.mark.parametrize("target", [Target.FPIR, Target.FMR])
def test_a_rate_that_is_none(target: Target, rate: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        at(10, target, rate)


def test_a_threshold_of_1_or_more_is_none() -> None:
    """No cosine is above 1, so at 1 nobody but a copy is accepted."""
    tail, score = TABLE.tails[30], TABLE.scores[30]
    for to, ends in ((1.0, "a cosine of 1.00"), (1.1, "a cosine of 1.10")):
        with pytest.raises(CalibrationError, match=f"{ends}.*give a larger rate"):
            at(10, Target.FMR, tail, built_in=TABLE.mapped(score, to, 1.0))
    below = math.nextafter(1.0, 0.0)
    assert at(10, Target.FMR, tail, built_in=TABLE.mapped(score, below, 1.0)).threshold == below


def test_people_who_are_a_little_more_alike_are_not_spoken_of() -> None:
    def notes(shift: float) -> tuple[str, ...]:
        return operating_point._differs(GalleryFit(100, 0.3, 0.3, 1.0, shift, 1.0, 100))

    assert (notes(0.04), len(notes(0.0401))) == ((), 1)
    assert operating_point._differs(None) == ()


def test_a_target_at_what_the_people_behind_it_can_show_needs_no_warning() -> None:
    least = TABLE.least_fpir
    assert not any("rule of 3" in note for note in at(10, Target.FPIR, least).notes)
    assert any("rule of 3" in note for note in at(10, Target.FPIR, least * 0.999).notes)


@pytest.mark.parametrize(
    ("n", "rate", "noted"), [(10, 0.02, False), (11, 0.02, True), (10, 0.01, True)]
)
def test_what_was_measured_by_searches_is_told_for_another_size_or_rate(
    n: int, rate: float, noted: bool
) -> None:
    inputs = gallery(n, choice=row(basis=Basis.STRANGERS, n=10))
    notes = operating_point.at_fpir(inputs, rate).notes
    assert any("measured at N = 10 for FPIR 0.02" in note for note in notes) is noted


def test_what_lies_beyond_the_table_is_said() -> None:
    point = at(100_000, Target.FPIR, 0.01)
    (note,) = point.notes
    assert "extrapolated" in note
    assert f"1 in {1 / TABLE.tails[-1]:,.0f} comparisons" in note
    assert "1 in 9,949,9" in note  # 1 / (1 - 0.99^(1/100000))
    assert point.expected_fpir == pytest.approx(0.01)
    assert point.threshold > TABLE.scores[-1]


def test_people_who_look_alike_raise_the_threshold() -> None:
    plain = at(100, Target.FPIR, 0.01)
    alike = at(100, Target.FPIR, 0.01, own_scores=observed(TABLE, 100, 0.05))
    assert alike.threshold == pytest.approx(plain.threshold + 0.05, abs=0.002)
    assert alike.expected_fpir == pytest.approx(0.01)
    assert alike.fmr == pytest.approx(1 - 0.99 ** (1 / 100)), "among people so alike"
    by_hand = operating_point.by_hand(
        gallery(100, own_scores=observed(TABLE, 100, 0.05)), alike.threshold
    )
    assert (by_hand.fmr, by_hand.expected_fpir) == (alike.fmr, alike.expected_fpir)
    assert any("look more alike than the reference set's, by 0.05" in n for n in alike.notes)
    wide = at(100, Target.FPIR, 0.01, own_scores=observed(TABLE, 100, 0.0, 1.5))
    middle = TABLE.median(100) + TABLE.deciding_effect(100).centre
    scale = 1 + 0.5 * 100 / 250
    assert wide.threshold == pytest.approx(middle + scale * (plain.threshold - middle), abs=0.005)


@pytest.mark.parametrize(
    ("less", "spread", "shift", "scale"),
    [(0.013, 1.0, -0.01, 1.0), (0.1, 1.0, -0.02, 1.0), (0.0, 0.8, 0.0, 0.92), (0.0, 0.5, 0.0, 0.9)],
)
def test_people_who_look_less_alike_lower_it_a_little(
    less: float, spread: float, shift: float, scale: float
) -> None:
    """By 100 / 130 of the shift and 100 / 250 of the spread, and never by much."""
    plain = at(100, Target.FPIR, 0.01)
    other = at(100, Target.FPIR, 0.01, own_scores=observed(TABLE, 100, -less, spread))
    middle = TABLE.median(100) + TABLE.deciding_effect(100).centre
    expected = middle + shift + (plain.threshold - middle) * scale
    assert other.threshold == pytest.approx(expected, abs=0.005)
    assert other.notes == ()


def test_a_face_that_resembles_many_must_resemble_one_more() -> None:
    point = at(100, Target.FPIR, 0.01)
    effect = TABLE.deciding_effect(100)
    assert point.crowd is not None and 0.5 < effect.slope == point.crowd.slope
    usual = [0.9, 0.8, *[effect.likeness] * 8]
    assert own_threshold(point, usual) == pytest.approx(point.threshold)
    crowded = [0.9, 0.8, *[effect.likeness + 0.1] * 8]
    assert own_threshold(point, crowded) == pytest.approx(point.threshold + 0.1 * effect.slope)
    alone = [0.9, 0.8, *[effect.likeness - 0.1] * 8, 0.9, 0.9]
    assert own_threshold(point, alone) == pytest.approx(point.threshold - 0.1 * effect.slope)
    for without in (at(2, Target.FPIR, 0.01), at(100, Target.FMR, 1e-3)):
        assert own_threshold(without, crowded) == without.threshold
    assert own_threshold(point, [0.9, 0.8]) == point.threshold


def test_doubles_are_said_and_raise_nothing() -> None:
    seen = observed(TABLE, 50)
    best, alike, _, share = seen.columns()
    twice = Observed.of(50, np.where(np.arange(len(best)) < 80, 0.97, best), alike, share)
    plain, doubled = (at(50, Target.FPIR, 0.01, own_scores=own) for own in (seen, twice))
    assert doubled.threshold == pytest.approx(plain.threshold, abs=0.02)
    assert not any("gallery audit" in note for note in plain.notes)
    (note,) = (note for note in doubled.notes if "gallery audit" in note)
    assert note.startswith(("2 of", "3 of"))


@pytest.mark.parametrize("crowded", [0.0, 0.2])
@pytest.mark.parametrize(("chance", "said"), [(0.04, True), (0.06, False)])
def test_who_looks_like_somebody_else_is_told_where_none_of_all_would(
    chance: float, said: bool, crowded: float
) -> None:
    """chance: that any of 60 finds such a score, less what resembling many people brings."""
    effect = TABLE.deciding_effect(60)
    usual = np.quantile(observed(TABLE, 60).columns()[0], (np.arange(60) + 0.5) / 60)
    alike = np.full(60, TABLE.deciding_effect(59).likeness)
    inputs = gallery(60, own_scores=Observed.of(60, usual, alike, np.ones(60)))
    table = inputs.fitted_table()
    assert table is not None and effect.crowd is not None
    alike[-1] = effect.likeness + crowded
    usual[-1] = table.threshold(chance / 60, 60) + effect.crowd.share(alike[-1])
    point = at(60, Target.FPIR, 0.01, own_scores=Observed.of(60, usual, alike, np.ones(60)))
    assert any(note.startswith("1 of the people") for note in point.notes) is said


@pytest.mark.parametrize(
    ("count", "changed", "holds"),
    [(100_000, 3000, True), (100_000, 3001, False), (99_999, 0, False), (103_001, 0, False)],
)
def test_what_was_observed_of_very_many_holds_until_some_hundredths_changed(
    count: int, changed: int, holds: bool
) -> None:
    kept = Observed(100_000, b"")
    reader = SimpleNamespace(
        last_observed=lambda: (3, kept), subject_count=lambda: count,
        changed=lambda revision: changed if revision == 3 else 10**6,
    )  # fmt: skip
    last = operating_point._last_if_still_true(reader)  # type: ignore[arg-type]
    assert last is (kept if holds else None)


def test_by_hand_is_kept_and_judged_by_the_table() -> None:
    point = operating_point.by_hand(gallery(100), 0.4, "now")
    assert (point.threshold, point.basis, point.target) == (0.4, Basis.BY_HAND, Target.NONE)
    assert math.isnan(point.target_rate)
    assert point.crowd is None
    assert point.fmr == fitted(100).tail(0.4)
    assert point.expected_fpir == pytest.approx(1 - (1 - fitted(100).tail(0.4)) ** 100)
    assert "no error rate was measured" in point.made_from
    assert point.made_at == "now"


@pytest.mark.parametrize("threshold", [-0.999, 0.0, 0.999])
def test_by_hand_near_the_ends(threshold: float) -> None:
    point = operating_point.by_hand(gallery(7), threshold)
    assert 0 <= point.fmr <= point.expected_fpir <= point.expected_fpir_10n <= 1


@pytest.mark.parametrize("threshold", [-1, 1, 1.5, math.nan, math.inf])
def test_by_hand_what_is_no_cosine(threshold: float) -> None:
    with pytest.raises(UsageError, match="cosine between -1 and 1"):
        operating_point.by_hand(gallery(7), threshold)


def test_by_hand_without_a_table_promises_nothing() -> None:
    point = operating_point.by_hand(gallery(100, built_in=None), 0.4)
    assert math.isnan(point.fmr)
    assert math.isnan(point.expected_fpir)
    assert math.isnan(operating_point.by_hand(gallery(0), 0.4).expected_fpir)


def test_without_a_choice_the_embedders_table_at_one_percent() -> None:
    point = operating_point.in_force(gallery(50))
    assert (point.threshold, point.target_rate) == (fitted(50).threshold(0.01, 50), 0.01)
    assert (point.basis, point.made_at) == (Basis.REFERENCE_TABLE, "")


def test_without_a_choice_a_table_and_people_there_is_no_default() -> None:
    other = ThresholdInputs("someone's-net:abc:p1-0", 1, None, shape=TABLE)
    with pytest.raises(CalibrationError, match=r"someone's-net .*--calibrate pairs.csv.*--set T"):
        operating_point.in_force(other)


@pytest.mark.parametrize(
    ("n", "factor"),
    [(5, "ten"), (29, "ten"), (30, "three"), (99, "three"), (100, "two"), (148, "two"),
     (150, "two"), (300, "two")],
)  # fmt: skip
def test_without_a_table_the_people_enrolled_give_one(n: int, factor: str) -> None:
    """As they have it, at the place of their own scores, and said to be an estimate."""
    seen = observed(TABLE, n, shift=-0.2, ratio=0.7)
    point = operating_point.in_force(
        ThresholdInputs("net:abc:p1-0", n, None, own_scores=seen, shape=TABLE)
    )
    assert point.basis is Basis.OWN_PEOPLE
    assert point.made_from == f"{n} people of this gallery"
    assert any(f"within a factor of {factor}" in note for note in point.notes)
    own = gallery_fit.estimate(TABLE, seen)
    if n < 149:  # the quantile would lie above the middle of the highest score's weight
        assert point.threshold == pytest.approx(own.threshold(0.01, n))
    else:  # the conformal quantile of what they reached themselves
        (level,) = quantiles(seen, own.effect(n - 1).crowd, (0.99 * (n + 1) / n,))
        assert point.threshold == level
    assert point.fit is None


def test_a_calibration_follows_the_gallery() -> None:
    """Its scores are stored, not its threshold: more subjects, a higher threshold, one rate."""
    few, many = (operating_point.in_force(gallery(n, choice=row())) for n in (10, 1000))
    moved = TABLE.shifted(0.03, "")
    assert few.threshold == pytest.approx(fitted(10, moved).threshold(0.02, 10))
    assert many.threshold == pytest.approx(fitted(1000, moved).threshold(0.02, 1000))
    assert few.expected_fpir == pytest.approx(many.expected_fpir) == pytest.approx(0.02)
    assert (few.basis, few.made_from) == (Basis.SHIFTED_TABLE, "40 pairs")
    assert few.made_at == "2025-01-01T00:00:00Z"
    alone = operating_point.in_force(gallery(10, choice=row(), built_in=None))
    assert alone.threshold == few.threshold


@pytest.mark.parametrize("basis", [Basis.PAIRS, Basis.SHIFTED_TABLE, Basis.REFERENCE_TABLE])
def test_the_basis_that_was_stored_is_said(basis: Basis) -> None:
    point = operating_point.in_force(gallery(10, choice=row(basis=str(basis))))
    assert point.basis is basis


def test_a_stored_fmr_does_not_move_with_the_gallery() -> None:
    choice = row(target="FMR", target_rate=1e-4)
    point = operating_point.in_force(
        gallery(10, choice=choice, own_scores=observed(TABLE, 10, 0.4))
    )
    assert point.threshold == pytest.approx(TABLE.score(1e-4) + 0.03)
    assert (point.target, point.fit, point.crowd) == (Target.FMR, None, None)


def test_another_target_for_the_same_scores() -> None:
    point = operating_point.at_fpir(gallery(10, choice=row()), 0.001)
    assert point.threshold == pytest.approx(fitted(10).threshold(0.001, 10) + 0.03)
    assert (point.basis, point.made_at) == (Basis.SHIFTED_TABLE, row().made_at)
    plain = operating_point.at_fpir(gallery(10), 0.001)
    assert plain.threshold == fitted(10).threshold(0.001, 10)
    assert plain.basis is Basis.REFERENCE_TABLE


def test_a_threshold_set_by_hand_stays() -> None:
    by_hand = row(threshold=0.55, scores=None, target="none", target_rate=None, basis=Basis.BY_HAND)
    for n in (1, 10_000):
        point = operating_point.in_force(gallery(n, choice=by_hand))
        assert (point.threshold, point.basis) == (0.55, Basis.BY_HAND)
    assert point.expected_fpir == pytest.approx(fitted(10_000).fpir(0.55, 10_000))
    assert operating_point.in_force(gallery(10, choice=by_hand, built_in=None)).threshold == 0.55


@pytest.mark.parametrize(
    "damage",
    [
        {"scores": "{"},
        {"scores": "[]"},
        {"scores": None},
        {"target": "luck"},
        {"target": "none"},
        {"basis": "a feeling"},
        {"target_rate": None},
        {"target_rate": 7.0},
        {"target_rate": 1.0},
        {"target_rate": 0.0},
    ],
)
def test_a_damaged_calibration_is_said_to_be_one(damage: dict[str, object]) -> None:
    with pytest.raises(CalibrationError, match="damaged: calibrate again") as caught:
        operating_point.in_force(gallery(10, choice=row(**damage)))
    assert caught.value.exit_code == 6


def test_the_scores_behind_a_threshold() -> None:
    assert gallery(9).table() is TABLE
    assert gallery(9, choice=row(scores=None, threshold=0.5)).table() is TABLE
    own = gallery(9, choice=row()).table()
    assert own is not None
    assert own.mean() == pytest.approx(TABLE.mean() + 0.03)
    with pytest.raises(CalibrationError, match="damaged: calibrate again"):
        gallery(9, choice=row(scores="{}")).table()


def test_a_laxer_point_is_for_leads_and_is_below_the_one_in_force() -> None:
    inputs = gallery(300)
    point = operating_point.in_force(inputs)
    lax = operating_point.laxer(inputs, point, 0.1)
    assert lax.threshold == at(300, Target.FPIR, 0.1).threshold < point.threshold
    assert (lax.target_rate, lax.crowd) == (0.1, point.crowd)
    for rate in (0.01, 0.001):
        with pytest.raises(UsageError, match="give a larger rate"):
            operating_point.laxer(inputs, point, rate)
    with pytest.raises(UsageError, match="between 0 and 1"):
        operating_point.laxer(inputs, point, 10)
    with pytest.raises(UsageError, match=r"not below the one in force, 0\.200"):
        operating_point.laxer(inputs, operating_point.by_hand(inputs, 0.2), 0.1)
