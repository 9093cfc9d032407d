"""The gallery as a library user has it: answers, refusals, and the operating point."""

from __future__ import annotations

import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from support.galleries import (
    EMBEDDER,
    blank,
    collins,
    hopper,
    new_store,
    reference,
    two_faces,
    unit_vector,
    variant,
)

from facecli import Gallery
from facecli.common.decision import accepts
from facecli.common.enums import Basis, Outcome, Target
from facecli.common.errors import (
    CalibrationError,
    EmbedderMismatchError,
    GalleryError,
    InputError,
    ModelError,
    UsageError,
)
from facecli.datasets.labels import LabelledPhoto
from facecli.gallery.verify import verify_without_gallery
from facecli.recognition.model_zoo import registry
from facecli.report.decisions import decision_row
from facecli.storage import export
from facecli.storage.sqlite.store import GalleryFile

VISITORS = ("홍길동", "Nguyễn Văn Đức", 'O\'Neil, "Tip"')


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "hopper.jpg").write_bytes(variant(hopper(), 1))
    (folder / "collins.jpg").write_bytes(variant(collins(), 4))
    (folder / "text.jpg").write_text("not a photo")
    blank(folder / "blank.png")
    two_faces(folder / "two.png")
    return folder


@pytest.fixture
def gallery(tmp_path: Path, extractor):
    """Grace Hopper, and three subjects of one made-up template each."""
    opened = Gallery.open(tmp_path / "g.facecli", create=True)
    opened.models.extractor = extractor  # loaded once for all tests
    opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
    opened.storage.add([reference(name, seed) for seed, name in enumerate(VISITORS)])
    yield opened
    opened.close()


def answers(gallery: Gallery, *photos: Path | bytes, **options):
    return list(gallery.identify(photos, **options))


def test_the_known_is_named_and_the_stranger_is_unknown(gallery: Gallery, photos: Path):
    known, stranger = answers(gallery, photos / "hopper.jpg", photos / "collins.jpg")
    assert (known.outcome, known.subject) == (Outcome.IDENTIFIED, "Grace Hopper")
    assert known.candidates[0].score > 0.8
    assert known.false_alarm == known.operating_point.least_fpir == pytest.approx(3 / 2307)
    assert (stranger.outcome, stranger.subject) == (Outcome.UNKNOWN, None)
    assert len(stranger.candidates) == 4
    assert stranger.candidates[0].score < stranger.operating_point.threshold
    assert stranger.false_alarm > 0.01


def test_candidates_are_ranked_one_per_subject_with_the_stored_scores(gallery, photos, extractor):
    gallery.storage.add([reference(VISITORS[0], 50)])
    (decision,) = answers(gallery, photos / "collins.jpg", top=3)
    assert [c.rank for c in decision.candidates] == [1, 2, 3]
    probe = extractor.photo(photos / "collins.jpg").faces[0].template.vector
    subjects = gallery.storage.reader.templates()
    scores = dict(zip(subjects.names, subjects.templates @ probe, strict=True))
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:3]
    assert [c.subject for c in decision.candidates] == best
    for candidate in decision.candidates:
        assert candidate.score == pytest.approx(scores[candidate.subject], abs=1e-6)
        subject = gallery.storage.reader.find(candidate.subject)
        rows = gallery.storage.reader.references(subject.id)
        own = {r.id: r.template.vector @ probe for r in rows}
        assert candidate.reference_id == max(own, key=own.__getitem__)


def test_each_face_has_its_own_threshold(gallery: Gallery, photos: Path, extractor):
    """By all its runners-up, however few candidates are asked for."""
    gallery.storage.add([reference(f"V{seed}", seed) for seed in range(300, 312)])
    point = gallery.operating_point()
    (decision,) = answers(gallery, photos / "collins.jpg", top=1)
    assert len(decision.candidates) == 1
    probe = extractor.photo(photos / "collins.jpg").faces[0].template.vector
    scores = sorted(map(float, gallery.storage.reader.templates().templates @ probe), reverse=True)
    assert point.crowd is not None
    table = gallery._threshold_inputs().fitted_table()
    assert table is not None and table.crowding is not None
    (kind,) = table.crowding.likeness(probe[None])
    crowd = kind * point.crowd.slope * (sum(scores[2:10]) / 8 - point.crowd.likeness)
    assert decision.threshold == pytest.approx(point.threshold + crowd, abs=1e-5)
    assert abs(crowd) > 0.005 and kind < 1
    assert decision.false_alarm == pytest.approx(table.fpir(scores[0] - crowd, point.n), rel=1e-3)
    row = decision_row(decision)
    assert row["threshold"] == pytest.approx(decision.threshold, abs=1e-5)
    assert row["margin"] == pytest.approx(scores[0] - decision.threshold, abs=1e-5)


def test_possible_is_told_by_a_threshold_of_each_face_too(gallery: Gallery, photos: Path):
    """The laxer point is raised and lowered as the one in force is; nobody is named by it."""
    gallery.storage.add([reference(f"V{seed}", seed) for seed in range(300, 312)])
    (plain,) = answers(gallery, photos / "collins.jpg")
    assert plain.outcome is Outcome.UNKNOWN
    best = plain.candidates[0].score
    point = gallery.operating_point()
    rates = (0.02, 0.3, 0.9, 0.999)
    found = [answers(gallery, photos / "collins.jpg", possible=rate)[0] for rate in rates]
    for rate, decision in zip(rates, found, strict=True):
        lax = gallery.operating_point(fpir=rate)
        share = decision.threshold - point.threshold
        assert decision.possible_threshold == pytest.approx(lax.threshold + share, abs=1e-6)
        leads = [c for c in decision.candidates if c.score >= decision.possible_threshold]
        assert list(decision.possible) == leads
        assert (decision.subject, decision.threshold) == (None, plain.threshold)
        assert (decision.outcome is Outcome.POSSIBLE) == (best >= decision.possible_threshold)
    assert [d.outcome for d in found][0::3] == [Outcome.UNKNOWN, Outcome.POSSIBLE]


def test_the_audit_log_notes_who_was_found_in_which_photo(gallery: Gallery, photos: Path):
    """A line a name; one without a name for a photo of strangers; none for what is no photo."""
    log, hashed = gallery.storage.audit_log, gallery.storage.reader.hashed
    log.turn(True)
    shown = [photos / name for name in ("hopper.jpg", "collins.jpg", "two.png")]
    answers(gallery, *shown, photos / "text.jpg")
    grace = hashed("Grace Hopper")
    noted = [(entry.action, entry.subject, entry.photo) for entry in log.entries()[1:]]
    assert noted == [
        ("searched", who, hashed(sha256(photo.read_bytes()).hexdigest()))
        for who, photo in zip((grace, None, grace), shown, strict=True)
    ]


def test_every_face_has_its_row_and_every_failure_its_own(gallery: Gallery, photos: Path):
    sources = [photos / "two.png", photos / "blank.png", photos / "text.jpg",
               (photos / "hopper.jpg").read_bytes()]  # fmt: skip
    rows = answers(gallery, *sources)
    assert [(d.probe.path, d.probe.index) for d in rows] == [
        (str(photos / "two.png"), 0), (str(photos / "two.png"), 1),
        (str(photos / "blank.png"), None), (str(photos / "text.jpg"), None), ("-", 0),
    ]  # fmt: skip
    assert {d.subject for d in rows[:2]} == {"Grace Hopper", None}
    assert [d.outcome for d in rows[2:]] == [
        Outcome.NO_FACE, Outcome.FAILED, Outcome.IDENTIFIED,
    ]  # fmt: skip
    assert rows[3].failure is not None


def test_an_empty_gallery_knows_nobody(tmp_path: Path, photos: Path, extractor):
    with Gallery.open(tmp_path / "g", create=True) as empty:
        empty.models.extractor = extractor
        (decision,) = answers(empty, photos / "hopper.jpg", possible=0.1)
        assert (decision.outcome, decision.candidates) == (Outcome.UNKNOWN, ())
        assert math.isnan(decision.false_alarm)
        assert empty.info().subjects == 0
        assert empty.storage.reader.faults() == []
        assert math.isnan(empty.operating_point().expected_fpir)


def test_a_subject_removed_meanwhile_is_not_reported(gallery: Gallery, photos: Path):
    both = gallery.identify([photos / "hopper.jpg", photos / "hopper.jpg"])
    assert next(both).subject == "Grace Hopper"
    other = GalleryFile.open(gallery.info().path)
    other.remove("Grace Hopper")
    other.close()
    after = next(both)
    assert after.subject is None
    assert [c.rank for c in after.candidates] == [1, 2, 3]
    assert {c.subject for c in after.candidates} == set(VISITORS)


def test_verify_compares_the_main_faces_at_the_operating_point(gallery: Gallery, photos: Path):
    same = gallery.verify(hopper(), photos / "hopper.jpg")
    other = gallery.verify(hopper(), photos / "collins.jpg")
    assert same.accepted and same.score > 0.8
    assert not other.accepted and other.score < other.operating_point.threshold
    assert same.operating_point == gallery.operating_point()
    assert not gallery.verify(hopper(), photos / "hopper.jpg", threshold=0.9999).accepted
    without = verify_without_gallery(hopper(), photos / "hopper.jpg")
    assert without.accepted and without.score == pytest.approx(same.score, abs=1e-6)
    point = without.operating_point
    assert (point.target, point.target_rate, point.n) == (Target.FMR, 1e-4, 1)


@pytest.mark.parametrize("photo", ["text.jpg", "blank.png", "gone.jpg"])
def test_verify_needs_a_face_in_both(gallery: Gallery, photos: Path, photo: str):
    for pair in ((hopper(), photos / photo), (photos / photo, hopper())):
        with pytest.raises(InputError, match=photo):
            gallery.verify(*pair)


# the operating point -------------------------------------------------------------------------


def test_the_default_is_the_reference_table_at_fpir_1_percent_for_the_n_of_now(gallery: Gallery):
    point = gallery.operating_point()
    assert (point.n, point.target, point.target_rate) == (4, Target.FPIR, 0.01)
    assert point.basis is Basis.REFERENCE_TABLE
    table = gallery.models.measured.table
    assert table is not None
    # Random templates are near orthogonal: the gallery's own fit lowers it, by a little.
    assert 0 < table.threshold(0.01, 4) - point.threshold < 0.025
    gallery.storage.add([reference(f"V{seed}", seed) for seed in range(100, 200)])
    larger = gallery.operating_point()
    assert larger.n == 104
    assert 0 < table.threshold(0.01, 104) - larger.threshold < 0.05
    assert larger.threshold > point.threshold + 0.05


def test_a_gallery_of_look_alikes_raises_its_own_threshold(gallery: Gallery):
    before = gallery.operating_point().threshold
    base = unit_vector(0)
    for seed in range(20):
        mixed = 0.8 * base + 0.6 * unit_vector(1000 + seed)
        alike = reference(f"L{seed}", 1000 + seed)
        template = replace(
            alike.found.template, vector=(mixed / np.linalg.norm(mixed)).astype(np.float32)
        )
        gallery.storage.add([replace(alike, found=replace(alike.found, template=template))])
    point = gallery.operating_point()
    table = gallery.models.measured.table
    assert table is not None and point.fit is not None
    assert point.fit.shift > 0.07
    assert any("look more alike than the reference set's" in note for note in point.notes)
    assert point.threshold > table.threshold(0.01, 24) + 0.05 > before
    for seed in range(20):
        gallery.storage.remove(f"L{seed}")
    assert gallery.operating_point().threshold == pytest.approx(before)


def test_one_person_under_two_names_is_told_and_spoils_nothing(gallery: Gallery, photos: Path):
    for name in VISITORS:
        gallery.storage.remove(name)
    gallery.enroll([LabelledPhoto(photos / "hopper.jpg", "The admiral")])
    (decision,) = answers(gallery, photos / "hopper.jpg")
    assert decision.subject in {"Grace Hopper", "The admiral"}
    (stranger,) = answers(gallery, photos / "collins.jpg")
    assert stranger.outcome is Outcome.UNKNOWN
    (note,) = gallery.operating_point().notes
    assert note.startswith("2 of the people enrolled look like somebody else enrolled")
    gallery.storage.merge("The admiral", "Grace Hopper")
    assert gallery.operating_point().notes == ()


def test_a_threshold_for_one_search_is_not_kept(gallery: Gallery, photos: Path):
    (decision,) = answers(gallery, photos / "hopper.jpg", threshold=0.9999)
    assert decision.outcome is Outcome.UNKNOWN
    assert (decision.operating_point.basis, decision.operating_point.n) == (Basis.BY_HAND, 4)
    assert gallery.operating_point().basis is Basis.REFERENCE_TABLE


def test_a_threshold_by_hand_stays_in_force_and_says_what_it_costs(gallery: Gallery, photos: Path):
    point = gallery.set_threshold(0.25)
    assert (point.threshold, point.basis, point.target) == (0.25, Basis.BY_HAND, Target.NONE)
    assert math.isnan(point.target_rate)
    assert point.expected_fpir > 0.05
    with Gallery.open(gallery.info().path) as again:
        assert again.operating_point() == pytest.approx(point) or (
            again.operating_point().threshold == 0.25
        )
    (decision,) = answers(gallery, photos / "collins.jpg")
    best = decision.candidates[0]
    assert (decision.outcome is Outcome.IDENTIFIED) == accepts(best.score, 0.25)


@pytest.mark.parametrize("value", [math.nan, 1.0, -1.0, 1.24, math.inf])
def test_what_is_no_cosine_is_refused_everywhere(gallery: Gallery, photos: Path, value: float):
    for use in (
        gallery.set_threshold,
        gallery.operating_point,
        lambda t: answers(gallery, photos / "hopper.jpg", threshold=t),
        lambda t: gallery.verify(hopper(), hopper(), threshold=t),
        lambda t: verify_without_gallery(hopper(), hopper(), threshold=t),
    ):
        with pytest.raises(UsageError, match="cosine between -1 and 1"):
            use(value)
    assert gallery.operating_point().basis is Basis.REFERENCE_TABLE


@pytest.mark.parametrize("rate", [0.0, 1.0, 2.0, -0.1, math.nan])
def test_what_is_no_rate_is_refused(gallery: Gallery, photos: Path, rate: float):
    with pytest.raises(UsageError, match="between 0 and 1"):
        answers(gallery, photos / "hopper.jpg", fpir=rate)


@pytest.mark.parametrize("rate", [1e-40, 1e-300, 5e-324])
def test_a_rate_that_no_cosine_can_keep_is_refused(gallery: Gallery, rate: float):
    with pytest.raises(CalibrationError, match="larger rate"):
        gallery.operating_point(fpir=rate)


# the file and its embedder -------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A gallery of an embedder that is not on this machine."""
    store = new_store(tmp_path / "foreign.facecli")
    store.add([reference("Ada", 1), reference("Bob", 2)])
    store.close()
    return tmp_path / "foreign.facecli"


def test_another_embedder_s_gallery_is_refused_where_scores_are_wanted(foreign: Path, photos: Path):
    with pytest.raises(EmbedderMismatchError, match="made-up:0123456789abcdef"):
        Gallery.open(foreign, model=registry.DEFAULT_EMBEDDER)
    with Gallery.open(foreign) as opened:
        for use in (
            lambda: answers(opened, photos / "hopper.jpg"),
            lambda: opened.verify(hopper(), hopper()),
            lambda: opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")]),
        ):
            with pytest.raises(ModelError, match="made-up"):
                use()
        assert opened.storage.reader.counts() == (2, 2)


def test_people_can_be_kept_in_order_without_the_embedder(foreign: Path, tmp_path: Path):
    with Gallery.open(foreign) as opened:
        info = opened.info()
        assert (info.subjects, info.embedder, info.operating_point) == (2, EMBEDDER, None)
        opened.storage.rename("Ada", "Ada Lovelace")
        assert export.export(opened.storage.reader, tmp_path / "out.jsonl") == 2
        assert opened.storage.remove("Ada Lovelace") == 1
        assert [s.name for s in opened.storage.reader.subjects()] == ["Bob"]
        assert opened.storage.reader.faults() == []


def test_weights_of_the_same_name_that_are_others_are_refused(tmp_path: Path, photos: Path):
    name = registry.DEFAULT_EMBEDDER
    GalleryFile.create(tmp_path / "g", f"{name}:ffffffffffffffff:p1-00000000", 192).close()
    with Gallery.open(tmp_path / "g") as opened, pytest.raises(EmbedderMismatchError):
        answers(opened, photos / "hopper.jpg")


@pytest.mark.parametrize("name", ["", "  ", "unknown", "Ada\x1b[31m", "Ada\nBob", "Ada\udcff"])
def test_what_cannot_be_a_name_is_refused(gallery: Gallery, name: str):
    with pytest.raises(UsageError):
        gallery.storage.rename("Grace Hopper", name)
    with pytest.raises(UsageError):
        gallery.enroll([LabelledPhoto(hopper(), "Good"), LabelledPhoto(hopper(), name)])
    assert "Grace Hopper" in {s.name for s in gallery.storage.reader.subjects()}
    assert "Good" not in {s.name for s in gallery.storage.reader.subjects()}


def test_opening_makes_a_gallery_only_when_asked(tmp_path: Path):
    with pytest.raises(GalleryError, match="facecli enroll"):
        Gallery.open(tmp_path / "g")
    assert not (tmp_path / "g").exists()
    Gallery.open(tmp_path / "g", create=True).close()
    Gallery.open(tmp_path / "g").close()


def test_check_is_sound_and_finds_a_damaged_template(gallery: Gallery):
    assert gallery.storage.reader.faults() == []
    gallery.storage._db.execute("UPDATE subject SET template = zeroblob(768) WHERE id = 2")
    assert any("not the mean" in fault for fault in gallery.storage.reader.faults())


def test_info_counts_the_write_ahead_log_too(gallery: Gallery):
    info = gallery.info()
    assert (info.subjects, info.references) == (4, 4)
    path = info.path
    on_disk = path.stat().st_size + path.with_name(path.name + "-wal").stat().st_size
    assert info.bytes == on_disk > path.stat().st_size
