"""Strangers to a threshold: people count once, too few are refused, growth moves it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest
from support.galleries import Command, blank, collins, hopper, unit_vector, variant, write_variants
from support.observations import observed

from facecli import Gallery
from facecli.common.enums import Basis, Target
from facecli.common.errors import CalibrationError, InputError, UsageError
from facecli.datasets.labels import LabelledPhoto
from facecli.metrics.crowd import CrowdEffect
from facecli.metrics.face_kinds import Direction, FaceKind
from facecli.metrics.identification import conformal_threshold
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.pipeline import Extractor
from facecli.storage.records import CalibrationRow, Subjects
from facecli.threshold.from_strangers import (
    FEWEST_PEOPLE,
    Stranger,
    StrangerScores,
    StrangerSearch,
    _check_reachable,
    _table,
    likely_enrolled,
    read_people,
    search_strangers,
)
from facecli.threshold.operating_point import ThresholdInputs, in_force

N = 20  # subjects in the arithmetic below


@pytest.fixture
def gallery(tmp_path: Path, extractor: Extractor):
    opened = Gallery.open(tmp_path / "g.facecli", create=True)
    opened.models.extractor = extractor
    opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shots(tmp_path_factory) -> Path:
    """24 shots of Collins, each to be taken for a person of her own: photos that name nobody."""
    folder = tmp_path_factory.mktemp("shots")
    for number in range(24):
        (folder / f"IMG_{number:04}.jpg").write_bytes(variant(collins(), number, 160))
    return folder


@pytest.fixture
def table(gallery: Gallery) -> ReferenceTable:
    built_in = gallery.models.measured.table
    assert built_in is not None
    return built_in


def searched(table: ReferenceTable, people: int, shift: float = 0.0, failed: int = 0):
    """So many strangers as the table has them in a gallery of N, moved by `shift`."""
    levels = (np.arange(people) + 0.5) / people
    best = [table.threshold(1 - float(level), N) + shift for level in levels]
    searches = tuple(StrangerSearch(f"p{i}", f"{i}.jpg", "Ada", s) for i, s in enumerate(best))
    comparisons = np.tile(np.array(best, np.float32)[:, None], (1, N))
    return StrangerScores(searches, comparisons, people + failed, people + failed, ())


def test_a_folder_is_a_person_and_so_is_a_photo_that_names_nobody(tmp_path: Path) -> None:
    write_variants(tmp_path / "Ada Lovelace", collins(), 2)
    write_variants(tmp_path / "unknown", collins(), 1)  # no name for a subject; a stranger may be
    for name in ("Bob_1.jpg", "Bob_2.jpg", "IMG_1234.jpg", "IMG_1235.jpg"):
        (tmp_path / name).write_bytes(variant(collins(), 1))
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "unknown" / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = read_people(tmp_path)
    counted = sorted((person.name, len(person.photos)) for person in found.people)
    assert counted == [
        ("000.jpg", 1), ("Ada Lovelace", 2), ("Bob", 2), ("IMG_1234.jpg", 1), ("IMG_1235.jpg", 1),
    ]  # fmt: skip
    assert sorted(Path(p.path).name for p in found.problems) == ["gone.jpg", "lost.jpg"]
    with pytest.raises(InputError, match="no photos"):
        read_people(tmp_path / "nowhere")


def test_one_search_a_person_with_the_first_photo_that_shows_a_face(
    gallery: Gallery, shots: Path, tmp_path: Path
) -> None:
    faceless = blank(tmp_path / "blank.png")
    files = sorted(shots.glob("*.jpg"))
    people = [Stranger(f.stem, (f,)) for f in files]
    people[3] = Stranger("first fails", (faceless, files[3], files[4]))
    people.append(Stranger("never seen", (faceless,)))
    result = gallery.calibrate_strangers(people, rate=0.1, store=False)
    scores = result.scores
    assert (scores.people, len(scores.searches), scores.best.failed) == (25, 24, 1)
    assert scores.photos == 26
    assert [f.path for f in scores.failures] == [str(faceless)] * 2
    assert scores.searches[3] == StrangerSearch(
        "first fails", str(files[3]), "Grace Hopper", scores.searches[3].score
    )
    (decision,) = gallery.identify([files[3]], top=1)
    assert decision.candidates[0].score == pytest.approx(scores.searches[3].score, abs=1e-6)
    assert result.fpir.trials == 25  # who could not be searched for is not named


def test_enough_strangers_choose_it_themselves(gallery: Gallery, shots: Path) -> None:
    result = gallery.calibrate_strangers(read_people(shots).people, rate=0.1)
    values = result.scores.best.values
    assert result.point.basis is Basis.STRANGERS
    assert result.point.threshold == pytest.approx(conformal_threshold(values, 0.1), abs=1e-6)
    assert result.fpir.errors == 1  # floor(0.1 * 25) = 2: just above the second highest
    assert result.fpir.method == "Clopper-Pearson"
    assert (result.point.n, result.remarks) == (1, ())
    with Gallery.open(gallery.info().path) as again:
        point = again.operating_point()
    assert point.threshold == pytest.approx(result.point.threshold, abs=1e-9)
    assert (point.basis, point.notes) == (Basis.STRANGERS, ())


def test_the_choice_survives_growth_and_says_so(gallery: Gallery, shots: Path) -> None:
    first = gallery.calibrate_strangers(read_people(shots).people, rate=0.1).point
    gallery.enroll([LabelledPhoto(collins(), "Eileen Collins")])
    grown = gallery.operating_point()
    base = gallery.models.measured.table
    assert base is not None
    rise = base.threshold(0.1, 2) - base.threshold(0.1, 1)
    assert grown.threshold - first.threshold == pytest.approx(rise, abs=1e-6)
    assert rise > 0
    (note,) = grown.notes
    assert "measured at N = 1" in note
    assert "N = 2" in note
    assert "calibrate again" in note
    gallery.storage.remove("Eileen Collins")
    assert gallery.operating_point().notes == ()


@pytest.mark.parametrize("cosine", [0.3, 0.9])
def test_a_stranger_s_score_is_held_against_the_threshold_less_the_crowd_s_share(
    extractor: Extractor, table: ReferenceTable, cosine: float
) -> None:
    """As far as the face is of the kind that it is taken off."""
    vectors = np.stack([unit_vector(i) for i in range(12)])
    subjects = Subjects(tuple(range(12)), tuple(f"S{i}" for i in range(12)), vectors)
    people = [Stranger("Grace", (hopper(),))]
    bare = replace(table.off_all(), effects=())
    (plain,) = search_strangers(extractor, people, subjects, bare).searches
    probe = extractor.photo(hopper()).faces[0].template.vector
    aside = vectors[0] - (vectors[0] @ probe) * probe
    towards = cosine * probe + (1 - cosine**2) ** 0.5 * aside / np.linalg.norm(aside)
    kind = FaceKind((Direction.towards(towards, 0.1, 0.7),), "some")
    row = CrowdEffect(12, 0.5, 0.1, 0.0, 1.0, 1.0)
    base = replace(table, crowding=kind, crowding_effects=(row,))
    (less,) = search_strangers(extractor, people, subjects, base).searches
    ranked = sorted(map(float, vectors @ probe), reverse=True)
    assert plain.score == pytest.approx(ranked[0], abs=1e-6)
    assert (less.score, plain.compared) == (plain.score, plain.score)
    share = 0.5 * (sum(ranked[2:10]) / 8 - 0.1) * (1 if cosine == 0.9 else 1 / 3)
    assert less.compared == pytest.approx(ranked[0] - share, abs=1e-6)
    assert less.subject == plain.subject


def test_the_gallery_s_own_shift_is_not_added_to_what_the_strangers_showed(
    gallery: Gallery, table: ReferenceTable
) -> None:
    """Look-alikes among the enrolled raise the default; the strangers' threshold has it in it."""
    inputs = gallery._threshold_inputs()
    alike = ThresholdInputs(inputs.embedder_id, N, table, observed(table, N, 0.3))
    fitted = alike.fitted_table()
    assert fitted is not None
    moved, basis, _ = _table(searched(fitted, 200), fitted, N, 0.01, None)
    row = CalibrationRow(basis, Target.FPIR, 0.01, None, moved.to_json(), "", "", N)
    chosen = in_force(ThresholdInputs(inputs.embedder_id, N, table, alike.own_scores, row))
    values = searched(fitted, 200).best.values
    assert chosen.threshold == pytest.approx(conformal_threshold(values, 0.01), abs=1e-6)
    assert chosen.fit is None


def test_assurance_is_stricter_and_takes_more_people(table: ReferenceTable) -> None:
    plain, basis, _ = _table(searched(table, 400), table, N, 0.01, None)
    sure, assured, _ = _table(searched(table, 400), table, N, 0.01, 0.95)
    assert (basis, assured) == (Basis.STRANGERS, Basis.STRANGERS)
    assert sure.threshold(0.01, N) > plain.threshold(0.01, N)
    values = searched(table, 400).best.values
    assert np.sum(values >= sure.threshold(0.01, N)) == 0  # 0 of 400 prove it, 1 does not
    assert np.sum(values >= plain.threshold(0.01, N)) == 3  # floor(401 * 0.01) - 1


@pytest.mark.parametrize(
    ("people", "assurance", "says"),
    [(98, None, "at least 99 strangers.* there are 98"),
     (298, 0.95, "at least 299 strangers.* there are 298, which can assure 0.01")],
)  # fmt: skip
def test_too_few_shift_the_table_by_their_mean_excess(
    table: ReferenceTable, people: int, assurance: float | None, says: str
) -> None:
    moved, basis, (remark,) = _table(searched(table, people, shift=0.05), table, N, 0.01, assurance)
    assert basis is Basis.SHIFTED_BY_STRANGERS
    shift = moved.threshold(0.01, N) - table.threshold(0.01, N)
    assert shift == pytest.approx(0.05, abs=0.004)
    assert re.search(says, remark)
    assert f"an estimate: the reference table, shifted by {shift:+.4f}" in remark
    more = 99 if assurance is None else 299
    assert _table(searched(table, more), table, N, 0.01, assurance)[1] is Basis.STRANGERS


def test_far_too_few_are_refused_with_numbers(gallery: Gallery, table: ReferenceTable) -> None:
    with pytest.raises(CalibrationError, match=r"there are 19, .*takes 20 people"):
        _table(searched(table, FEWEST_PEOPLE - 1), table, N, 0.01, None)
    with pytest.raises(CalibrationError, match="ships no reference table"):
        _table(searched(table, 50), None, N, 0.01, None)
    own, basis, _ = _table(searched(table, 120), None, N, 0.01, None)
    assert basis is Basis.STRANGERS
    values = searched(table, 120).best.values
    assert own.threshold(0.01, N) == pytest.approx(conformal_threshold(values, 0.01), abs=1e-6)
    with pytest.raises(CalibrationError):
        gallery.calibrate_strangers([Stranger("a", (collins(),))])
    assert gallery.operating_point().basis is Basis.REFERENCE_TABLE


def test_who_may_be_enrolled_is_named_and_kept(
    gallery: Gallery, shots: Path, tmp_path: Path
) -> None:
    people = [*read_people(shots).people, Stranger("again", (tmp_path / "again.jpg",))]
    (tmp_path / "again.jpg").write_bytes(variant(hopper(), 3))
    result = gallery.calibrate_strangers(people, rate=0.1, store=False)
    (suspect,) = result.likely_enrolled
    assert (suspect.person, suspect.subject) == ("again", "Grace Hopper")
    assert suspect.score > 0.8
    assert len(result.scores.searches) == 25
    assert gallery.calibrate_strangers(people[:-1], rate=0.1, store=False).likely_enrolled == ()


def test_photos_unlike_the_reference_set_are_no_suspects(table: ReferenceTable) -> None:
    alike = searched(table, 150, shift=0.2)
    assert likely_enrolled(alike.searches, table, N) == ()
    high = (*alike.searches, StrangerSearch("x", "x.jpg", "Ada", 0.9))
    assert [s.person for s in likely_enrolled(high, table, N)] == ["x"]
    assert likely_enrolled(high, None, N) == ()


@pytest.mark.parametrize(("chance", "surprising"), [(0.04, True), (0.06, False)])
def test_a_stranger_surprises_where_none_of_all_would_score_so_high(
    table: ReferenceTable, chance: float, surprising: bool
) -> None:
    """chance: of such a score in any of the searches; 5 % is where it begins to surprise."""
    usual = searched(table, 150).searches
    score = table.threshold(chance / 151, N)
    found = likely_enrolled((*usual, StrangerSearch("x", "x.jpg", "Ada", score)), table, N)
    assert [s.person for s in found] == ["x"] * surprising
    # What resembling many people brings is taken off before, of hers and of everybody's.
    crowded = [StrangerSearch(s.person, s.path, "Ada", s.score + 0.2, 0.2) for s in usual]
    also = StrangerSearch("x", "x.jpg", "Ada", score + 0.3, 0.3)
    assert [s.person for s in likely_enrolled((*crowded, also), table, N)] == ["x"] * surprising


def test_suspects_are_told_by_their_scores_less_the_crowd_s_share_highest_first(
    table: ReferenceTable,
) -> None:
    high = [
        StrangerSearch("second", "", "Ada", 0.95, 0.1), StrangerSearch("first", "", "Ada", 0.9),
        StrangerSearch("third", "", "Ada", 0.8), StrangerSearch("like many", "", "Ada", 0.9, 0.6),
    ]  # fmt: skip
    found = likely_enrolled((*high, *searched(table, 40).searches), table, N)
    assert [s.person for s in found] == ["first", "second", "third"]


def test_strangers_less_alike_than_the_reference_set_make_nobody_suspect(
    table: ReferenceTable,
) -> None:
    """The table is moved up to them, never down: one with a usual score surprises nobody."""
    unlike = searched(table, 40, shift=-0.3).searches
    usual = StrangerSearch("x", "x.jpg", "Ada", table.threshold(0.05, N))
    assert likely_enrolled((*unlike, usual), table, N) == ()


def test_the_estimate_says_how_sure_it_is(table: ReferenceTable) -> None:
    """Of twenty, the fewest there may be; a median of normal values errs sqrt(pi / 2) as much."""
    few = searched(table, FEWEST_PEOPLE, shift=0.02)
    moved, basis, (remark,) = _table(few, table, N, 0.01, None)
    error = math.sqrt(math.pi / 2) * stdev(map(float, few.best.values)) / math.sqrt(20)
    assert basis is Basis.SHIFTED_BY_STRANGERS and f"(standard error {error:.3f})" in remark
    assert f"{error:.3f}" != f"{error * math.sqrt(19 / 20):.3f}", "so that the test can tell"
    assert moved.median(N) == pytest.approx(float(np.median(few.best.values)), abs=1e-6)


def test_a_threshold_beyond_1_names_who_to_take_out() -> None:
    same = StrangerSearch("x", "x.jpg", "Ada", 1.0)
    other = StrangerSearch("y", "y.jpg", "Bo", 0.4)
    scores = StrangerScores((other, same), np.zeros((2, 1), "f4"), 2, 2, ())
    with pytest.raises(CalibrationError) as raised:
        _check_reachable(1.0, 0.01, [same], scores)
    assert str(raised.value) == (
        "no threshold gives FPIR 0.01: 1 of these strangers are probably enrolled: x.jpg as Ada "
        "(1.000). Take out who is, then calibrate again, or give a larger rate"
    )
    with pytest.raises(CalibrationError, match=r"x\.jpg as Ada \(1\.000\); y\.jpg as Bo"):
        _check_reachable(1.0, 0.01, [], scores)
    _check_reachable(0.99, 0.01, [same], scores)


def test_strangers_of_whom_half_are_enrolled_are_named(table: ReferenceTable) -> None:
    strangers = searched(table, 40).searches
    enrolled = tuple(StrangerSearch(f"e{i}", f"e{i}.jpg", "Ada", 0.8) for i in range(40))
    suspects = likely_enrolled((*strangers, *enrolled), table, N)
    assert {s.person for s in suspects} == {s.person for s in enrolled}


@pytest.mark.parametrize(("rate", "assurance"), [(0.0, None), (1.0, None), (0.1, 1.0), (0.1, 0.0)])
def test_what_is_no_rate_is_refused(gallery: Gallery, rate: float, assurance: float | None) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        gallery.calibrate_strangers([], rate=rate, assurance=assurance)


def test_an_empty_gallery_has_no_fpir(tmp_path: Path, extractor: Extractor, shots: Path) -> None:
    empty = Gallery.open(tmp_path / "empty", create=True)
    empty.models.extractor = extractor
    with empty, pytest.raises(CalibrationError, match="gallery is empty"):
        empty.calibrate_strangers(read_people(shots).people)


@pytest.mark.slow
def test_the_command_calibrates_with_strangers_and_folders(tmp_path: Path, shots: Path) -> None:
    command = Command(tmp_path / "home")
    assert command("enroll", hopper(), "-s", "Grace Hopper").returncode == 0
    done = command("threshold", "--strangers", shots, "--target-fpir", "0.1", "--json")
    row = json.loads(done.stdout)
    assert (row["people"], row["searched"], row["fpir"]["errors"]) == (24, 24, 1)
    assert row["operating_point"]["basis"] == "your strangers"
    assert "basis        your strangers" in command("threshold").stdout
    text = command("threshold", "--strangers", shots, "--dry-run").stdout
    assert "24 strangers searched for among 1 subject" in text
    assert "an estimate" in text
    few = tmp_path / "few"
    write_variants(few / "Eve", collins(), 2)
    assert command("threshold", "--strangers", few).returncode == 6
    write_variants(few / "Grace Hopper", hopper(), 2)
    folder = command("threshold", "--folder", few)
    assert folder.returncode == 6
    assert "1 of these people are enrolled (Grace Hopper)" in folder.stderr
    wrong = (
        ["--assure", "95"],
        ["--strangers", shots, "--target-fmr", "0.1"],
        ["--strangers", shots, "--folder", few],
        ["--strangers", shots, "--assure", "101"],
    )
    assert [command("threshold", *words).returncode for words in wrong] == [2] * 4
