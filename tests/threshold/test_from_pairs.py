"""Pairs of photos to a threshold: counted honestly, refused with numbers, stored."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.galleries import blank, collins, hopper, unit_vector, write_variants

from facecli import Gallery, read_pairs
from facecli.common.enums import Basis, Target
from facecli.common.errors import CalibrationError, UsageError
from facecli.common.types import GalleryFit
from facecli.datasets.labels import LabelledPhoto
from facecli.datasets.pairs import Pair, Pairs
from facecli.metrics.by_subject import dyadic_design_effect
from facecli.metrics.intervals import clopper_pearson, trials_for_rule_of_30
from facecli.metrics.rates import Scores
from facecli.metrics.reference_table import ReferenceTable
from facecli.metrics.verification import VerificationRates
from facecli.report.threshold import calibration_row, calibration_text
from facecli.storage.opening import file_of
from facecli.threshold import from_pairs
from facecli.threshold.from_pairs import (
    Calibration,
    TrialScores,
    _doubtful,
    _few,
    _independent,
    _table,
    calibrate,
    enrolled_among,
    wrong_way_round,
)
from facecli.threshold.operating_point import ThresholdInputs

N = 8  # variants a person: 2 * 28 mated pairs and 64 non-mated ones


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """A folder per person: two people, eight shots of each."""
    folder = tmp_path_factory.mktemp("people")
    write_variants(folder / "Grace Hopper", hopper(), N, width=200)
    write_variants(folder / "Eileen Collins", collins(), N, width=300)
    return folder


@pytest.fixture
def gallery(tmp_path: Path, extractor):
    opened = Gallery.open(tmp_path / "g.facecli", create=True)
    opened.models.extractor = extractor
    opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
    yield opened
    opened.close()


@pytest.fixture
def table(gallery: Gallery) -> ReferenceTable:
    built_in = gallery.models.measured.table
    assert built_in is not None
    return built_in


def test_few_pairs_shift_the_table_and_say_what_they_show(gallery: Gallery, people: Path):
    result = gallery.calibrate(read_pairs(people))
    assert (result.scores.mated.trials, result.scores.nonmated.trials) == (56, 64)
    assert result.scores.failures == ()
    assert result.point.basis is Basis.SHIFTED_TABLE
    assert (result.point.target, result.point.target_rate, result.point.n) == (
        Target.FPIR, 0.01, 1,
    )  # fmt: skip
    built_in = gallery.models.measured.table
    assert built_in is not None
    shift = float(np.mean(result.scores.nonmated.values)) - built_in.mean()
    expected = built_in.threshold(0.01, 1) + shift
    assert result.point.threshold == pytest.approx(expected, abs=1e-6)
    (remark,) = result.remarks
    assert "64 non-mated pairs can show an FMR of 0.047 at best" in remark  # 3 / 64
    assert "share people" not in remark, "which would not be enough if they did not"
    assert "2,9" in remark or "3,0" in remark  # 30 / 0.01 pairs would be needed
    assert gallery.operating_point().threshold == pytest.approx(expected, abs=1e-4)
    assert gallery.operating_point().made_at == result.point.made_at


def test_the_scores_are_those_that_verify_gives(gallery: Gallery, people: Path):
    pairs = read_pairs(people)
    scores = gallery.calibrate(pairs, store=False).scores
    mated = next(p for p in pairs.pairs if p.mated)
    nonmated = next(p for p in pairs.pairs if not p.mated)
    assert scores.mated.values[0] == pytest.approx(
        gallery.verify(mated.first, mated.second).score, abs=1e-6
    )
    assert scores.nonmated.values[0] == pytest.approx(
        gallery.verify(nonmated.first, nonmated.second).score, abs=1e-6
    )
    assert gallery.operating_point().basis is Basis.REFERENCE_TABLE  # store=False


def test_many_pairs_for_the_target_stand_alone(gallery: Gallery, people: Path, tmp_path: Path):
    flat = [tmp_path / f"{p.parent.name[0]}{p.name}" for p in sorted(people.rglob("*.jpg"))]
    for photo, copy in zip(sorted(people.rglob("*.jpg")), flat, strict=True):
        copy.write_bytes(photo.read_bytes())
    with (tmp_path / "pairs.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["file1", "file2", "same"])
        rows.writerows(
            [a.name, b.name, int(a.name[0] == b.name[0])] for a in flat for b in flat if a < b
        )
    # Nothing says whose photos these are, so 64 pairs count as 64; 30 / 0.5 are needed.
    result = gallery.calibrate(read_pairs(tmp_path / "pairs.csv"), target=Target.FMR, rate=0.5)
    assert result.point.basis is Basis.PAIRS
    values = result.scores.nonmated.values
    assert np.mean(values >= result.point.threshold) == pytest.approx(0.5, abs=0.05)
    assert result.rates.fmr.errors == np.sum(values >= result.point.threshold)
    with Gallery.open(gallery.info().path) as again:
        assert again.operating_point().basis is Basis.PAIRS
        assert again.operating_point().threshold == pytest.approx(result.point.threshold, abs=1e-5)


def test_many_pairs_of_two_people_do_not_stand_alone(gallery: Gallery, people: Path):
    result = gallery.calibrate(read_pairs(people), target=Target.FMR, rate=0.5)
    assert len(result.scores.nonmated.values) == 64
    assert result.point.basis is Basis.SHIFTED_TABLE
    assert "of 2 people count as" in result.remarks[0]


def test_a_stored_calibration_follows_the_number_of_subjects(gallery: Gallery, people: Path):
    first = gallery.calibrate(read_pairs(people)).point.threshold
    gallery.enroll([LabelledPhoto(collins(), "Eileen Collins")])
    point = gallery.operating_point()
    assert point.n == 2
    assert point.threshold > first


def test_photos_without_a_face_stay_in_the_denominators(gallery: Gallery, people: Path):
    names = sorted(people.rglob("*.jpg"))
    table = people.parent / "with-failures.csv"
    (people.parent / "broken.jpg").write_text("not a photo")
    bad = [blank(people.parent / "blank.png"), people.parent / "broken.jpg"]
    with table.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["file1", "file2", "same"])
        rows.writerows([a, b, int(a.parent == b.parent)] for a in names for b in names if a < b)
        rows.writerows([[bad[0], names[0], 1], [bad[1], names[0], 1], [bad[0], names[-1], 0]])
    result = gallery.calibrate(read_pairs(table), store=False)
    assert {Path(f.path) for f in result.scores.failures} == set(bad)
    assert (result.scores.mated.trials, result.scores.nonmated.trials) == (58, 65)
    assert (len(result.scores.mated.values), len(result.scores.nonmated.values)) == (56, 64)
    assert result.rates.fnmr.trials == 58
    below = int(np.sum(result.scores.mated.values < result.point.threshold))
    assert result.rates.fnmr.errors == below + 2  # a mated failure is a miss
    assert result.rates.fmr.trials == 65
    above = int(np.sum(result.scores.nonmated.values >= result.point.threshold))
    assert result.rates.fmr.errors == above  # a non-mated failure is a rejection


def test_too_few_pairs_are_refused_with_numbers(gallery: Gallery, tmp_path: Path):
    write_variants(tmp_path / "p" / "Grace Hopper", hopper(), 2)
    write_variants(tmp_path / "p" / "Eileen Collins", collins(), 2)
    with pytest.raises(
        CalibrationError, match=r"^4 pairs of different people are too few: give at least 30$"
    ):
        gallery.calibrate(read_pairs(tmp_path / "p"))
    with pytest.raises(
        CalibrationError, match=r"^0 pairs of different people are too few: give at least 30$"
    ):
        (tmp_path / "one").mkdir()
        (tmp_path / "p" / "Grace Hopper").rename(tmp_path / "one" / "Grace Hopper")
        gallery.calibrate(read_pairs(tmp_path / "one"))
    assert gallery.operating_point().basis is Basis.REFERENCE_TABLE


def test_pairs_are_counted_before_the_photos_are_read(gallery: Gallery, tmp_path: Path):
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no photo")
    gallery.models.extractor = None  # whoever reads a photo fails
    with pytest.raises(CalibrationError, match="2 pairs of different people are too few"):
        gallery.calibrate(read_pairs(tmp_path))


def test_an_embedder_without_a_table_says_how_many_pairs_it_takes(
    gallery: Gallery, extractor, people: Path
):
    inputs = replace(gallery._threshold_inputs(), built_in=None)
    with pytest.raises(CalibrationError) as raised:
        calibrate(extractor, read_pairs(people), inputs, Target.FMR, 1e-3)
    assert str(raised.value) == (
        "64 pairs of different people are too few: this embedder ships no reference table that "
        "fewer could shift, so give at least 30,000"
    )


def swapped(pairs: Pairs) -> Pairs:
    return Pairs(tuple(replace(p, mated=not p.mated) for p in pairs.pairs), ())


def test_labels_the_wrong_way_round_are_refused_by_name(gallery: Gallery, people: Path):
    with pytest.raises(CalibrationError, match=r"labels are the wrong way round: .* one person"):
        gallery.calibrate(swapped(read_pairs(people)))
    assert gallery.operating_point().basis is Basis.REFERENCE_TABLE


def test_what_was_in_force_stands_beside_what_is(gallery: Gallery, people: Path):
    was = gallery.operating_point()
    result = gallery.calibrate(read_pairs(people))
    assert result.before is not None
    assert result.before.threshold == was.threshold
    assert result.shift == pytest.approx(result.point.threshold - was.threshold, abs=1e-6)
    told = calibration_text(result)
    assert f"threshold {was.threshold:.4f} -> {result.point.threshold:.4f}: your pairs " in told
    assert calibration_row(result)["threshold"] == {
        "before": round(was.threshold, 6), "after": round(result.point.threshold, 6),
    }  # fmt: skip
    again = gallery.calibrate(read_pairs(people))
    assert again.before is not None
    assert again.before.threshold == pytest.approx(again.point.threshold, abs=1e-6)
    assert "until now by reference table shifted by your pairs" in calibration_text(again)


def rates(fmr: tuple[int, int], fnmr: tuple[int, int]) -> VerificationRates:
    return VerificationRates(0.5, clopper_pearson(*fmr), clopper_pearson(*fnmr))


def test_rates_that_contradict_the_target_are_said(gallery: Gallery):
    point = gallery.operating_point()
    assert _doubtful(rates((10, 1000), (20, 100)), 0.01, point) == ()
    (often,) = _doubtful(rates((30, 1000), (20, 100)), 0.01, point)
    assert often.startswith("the FMR measured at this threshold is 3 % (95 % interval 2 to 4.3 %)")
    assert "strangers are accepted too often" in often
    (seldom,) = _doubtful(rates((0, 1000), (0, 100)), 0.01, point)
    assert "stricter than your pairs ask for" in seldom
    assert _doubtful(rates((0, 100), (0, 100)), 0.01, point) == ()  # it may well be 1 %
    (missed,) = _doubtful(rates((10, 1000), (21, 100)), 0.01, point)
    assert missed.startswith("21 % of the pairs of one person are missed")


def test_reset_returns_to_the_default_and_can_be_taken_back(gallery: Gallery):
    default = gallery.operating_point()
    by_hand = gallery.set_threshold(0.7)
    assert gallery.reset_threshold() == default
    file_of(gallery.storage, "undo").journal.undo()
    assert gallery.operating_point() == by_hand


def test_an_fpir_needs_subjects_and_an_fmr_does_not(tmp_path: Path, extractor, people: Path):
    with Gallery.open(tmp_path / "empty", create=True) as empty:
        empty.models.extractor = extractor
        with pytest.raises(CalibrationError, match="gallery is empty"):
            empty.calibrate(read_pairs(people))
        result = empty.calibrate(read_pairs(people), target=Target.FMR, rate=1e-3)
        assert result.point.target is Target.FMR


@pytest.mark.parametrize("rate", [0.0, 1.0, 2.0, -0.5, math.nan])
def test_what_is_no_rate_is_refused(gallery: Gallery, people: Path, rate: float):
    for target in (Target.FPIR, Target.FMR):
        with pytest.raises(UsageError, match=r"between 0 and 1"):
            gallery.calibrate(read_pairs(people), target=target, rate=rate)


def test_a_damaged_calibration_is_one_clear_error(gallery: Gallery, people: Path):
    gallery.calibrate(read_pairs(people))
    gallery.storage._db.execute("UPDATE calibration SET scores = '{}'")
    with pytest.raises(CalibrationError, match="calibrate again"):
        gallery.operating_point()
    assert gallery.info().operating_point is None
    assert gallery.calibrate(read_pairs(people)).point.basis is Basis.SHIFTED_TABLE


def one_like_everybody(people: int, value: float) -> Scores:
    """Every pair of so many people once; person 0 scores `value` with each, all others less."""
    first, second = np.triu_indices(people, 1)
    usual = np.random.default_rng(0).uniform(0, 0.3, len(first))
    return Scores(np.where(first == 0, value, usual), 0, first, second)


def test_pairs_that_share_people_count_for_less_where_the_threshold_lies() -> None:
    """At a rate of 2 % only somebody who is like everybody is accepted: these are one person's."""
    scores = one_like_everybody(60, 0.5)
    hers = dyadic_design_effect(scores.values >= 0.5, scores.subjects, scores.others)
    assert _independent(scores, 0.02) == 1770 / hers < 31
    assert _independent(scores, 0.3) > 200
    mates = replace(scores, others=None)
    assert (_independent(mates, 0.02), _independent(scores, 0.001)) == (1770, 1770), "not known"


def with_scores(
    monkeypatch: pytest.MonkeyPatch, inputs: ThresholdInputs, count: int, rate: float = 0.01
) -> Calibration:
    """The threshold for an FPIR of `rate` by so many pairs of unnamed people."""
    values = np.random.default_rng(0).normal(0.1, 0.1, count)
    scores = TrialScores(Scores(values[:5] + 0.9), Scores(values), (), 2)
    monkeypatch.setattr(from_pairs, "measure", lambda *_: scores)
    pairs = Pairs((Pair(Path("a"), Path("b"), False, None),) * count, ())
    return calibrate(None, pairs, inputs, Target.FPIR, rate)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "needed"), [(1, 0.01), (2, 0.0050126), (10, 0.0010045)])
def test_an_fpir_among_more_subjects_needs_a_lower_fmr_and_more_pairs(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, n: int, needed: float
) -> None:
    """1 - (1 - 0.01)^(1/n): what each of n comparisons may err by."""
    inputs = replace(gallery._threshold_inputs(), n=n)
    enough = trials_for_rule_of_30(1 - 0.99 ** (1 / n))
    assert enough == pytest.approx(30 / needed, rel=0.001)
    alone = with_scores(monkeypatch, inputs, enough)
    assert (alone.point.basis, alone.point.n, alone.remarks) == (Basis.PAIRS, n, ())
    assert alone.rates.fmr.errors == pytest.approx(30, abs=1)
    fewer = with_scores(monkeypatch, inputs, enough - 1)
    assert fewer.point.basis is Basis.SHIFTED_TABLE
    assert f"this target needs {needed:.2g} and {enough:,} pairs" in fewer.remarks[0]


def test_so_many_pairs_shift_a_table_or_stand_alone_where_there_is_none(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = gallery._threshold_inputs()
    assert with_scores(monkeypatch, inputs, 30).point.basis is Basis.SHIFTED_TABLE
    with pytest.raises(CalibrationError, match=r"29 pairs .* too few: give at least 30$"):
        with_scores(monkeypatch, inputs, 29)
    with pytest.raises(CalibrationError, match=r"give at least 60$"):  # fewer than 30 never do
        with_scores(monkeypatch, replace(inputs, built_in=None), 59, 0.5)
    bare = replace(inputs, built_in=None)
    assert with_scores(monkeypatch, bare, 60, 0.5).point.basis is Basis.PAIRS


def test_few_people_are_said_to_be_few() -> None:
    assert (_few(0), _few(30)) == ((), ()), "not known, and enough"
    for people in (1, 29):
        (remark,) = _few(people)
        assert remark.startswith(f"only {people} people are on these pairs")


@pytest.mark.parametrize(
    ("mated", "nonmated", "refused"),
    [(5, 5, True), (4, 5, False), (5, 4, False), (4, 4, False)],
)
def test_labels_are_judged_from_five_pairs_of_each_kind(
    mated: int, nonmated: int, refused: bool
) -> None:
    def said(low: float, high: float) -> str:
        # a failed trial says nothing of the order
        failed = np.full(9, -np.inf)
        return wrong_way_round(
            Scores(np.r_[np.full(mated, low), failed]), Scores(np.full(nonmated, high))
        )

    told = re.search(r"0\.100 in the median, .* two people 0\.200", said(0.1, 0.2))
    assert (told is not None) is refused and (said(0.1, 0.2) == "") is not refused
    assert said(0.2, 0.2) == "", "alike is not wrong"


def test_a_threshold_above_the_pairs_own_is_explained(gallery: Gallery) -> None:
    """It is the gallery's people who raise it, where they do."""
    point, seldom = gallery.operating_point(), rates((0, 1000), (0, 100))
    for shift, says in ((0.001, "more alike than those of your pairs"), (0.0, "stricter than")):
        fit = GalleryFit(20, 0.3, 0.3, 1.0, shift, 1.0, 20)
        (warning,) = _doubtful(seldom, 0.01, replace(point, fit=fit))
        assert says in warning
    met = rates((10, 1000), (0, 100)).fmr
    for edge in (met.low, met.high):  # an interval that ends at the target holds it
        assert _doubtful(rates((10, 1000), (0, 100)), edge, point) == ()


class TestPairsCountPeople:
    """The rule of 30 in `calibrate`: pairs that share people count for less."""

    def decided(self, table: ReferenceTable, people: int, photos: int, named: bool) -> Basis:
        # Photos of a person share most of what makes the person look like others.
        rng = np.random.default_rng(0)
        faces = np.stack([unit_vector(i) for i in range(people)])[:, None]
        vectors = faces + 0.01 * rng.normal(size=(people, photos, faces.shape[-1]))
        vectors = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).reshape(
            people * photos, -1
        )
        who = np.repeat(np.arange(people), photos)
        i, j = np.triu_indices(len(who), 1)
        other = who[i] != who[j]
        values = (vectors @ vectors.T)[i, j][other].astype(np.float32)
        ids = (who[i][other], who[j][other]) if named else (None, None)
        scores = TrialScores(Scores(np.empty(0, "f4")), Scores(values, 0, *ids), (), len(who))
        return _table(scores, table, 0.01)[1]

    def test_many_pairs_of_few_people_do_not_stand_alone(self, table: ReferenceTable) -> None:
        assert self.decided(table, 20, 6, named=True) is Basis.SHIFTED_TABLE  # 6,840 pairs
        assert self.decided(table, 20, 6, named=False) is Basis.PAIRS
        assert self.decided(table, 120, 1, named=True) is Basis.PAIRS  # 7,140 pairs

    def test_they_say_how_much_they_count(self, gallery: Gallery, tmp_path: Path) -> None:
        write_variants(tmp_path / "Ada", hopper(), 8, width=200)
        write_variants(tmp_path / "Eve", collins(), 8, width=200)
        inputs = gallery._threshold_inputs()
        result = calibrate(
            gallery.models.extractor, read_pairs(tmp_path), inputs, Target.FMR, rate=0.5
        )
        assert result.point.basis is Basis.SHIFTED_TABLE
        assert "those of 2 people count as 1" in result.remarks[0]


def test_people_of_the_pairs_who_are_enrolled_are_found(tmp_path: Path) -> None:
    write_variants(tmp_path / "Ada", hopper(), 2)
    write_variants(tmp_path / "Eve", collins(), 2)
    assert enrolled_among(read_pairs(tmp_path), ["Eve", "Bob", " Ada"]) == (" Ada", "Eve")


@pytest.mark.lfw
def test_lfw_pairs_give_the_table_s_own_threshold_back(gallery: Gallery, lfw: Path, tmp_path: Path):
    """The reference table was made from these photos, so they hardly shift it."""
    with (lfw / "pairs.csv").open(newline="") as source:
        rows = list(csv.DictReader(source))[:80]
    table = tmp_path / "pairs.csv"
    with table.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file1", "file2", "same"])
        writer.writerows([lfw / r["file1"], lfw / r["file2"], r["same"]] for r in rows)
    result = gallery.calibrate(read_pairs(table), target=Target.FMR, rate=1e-3)
    assert result.scores.failures == ()
    built_in = gallery.models.measured.table
    assert built_in is not None
    assert result.point.basis is Basis.SHIFTED_TABLE
    assert result.point.threshold == pytest.approx(built_in.score(1e-3), abs=0.04)
    assert result.rates.fnmr.rate < 0.1
    assert result.rates.fmr.errors <= 1
