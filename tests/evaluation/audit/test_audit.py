"""The gallery audit: planted faults on unit vectors, then real portraits and the real command."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.galleries import Command, blank, collins, hopper, new_store, reference, write_variants

from facecli.common.errors import CalibrationError, GalleryError
from facecli.common.types import Face, Template
from facecli.evaluation.audit import photos
from facecli.evaluation.audit.audit import audit
from facecli.evaluation.audit.findings import Audit, AuditFinding, FindingKind
from facecli.gallery.gallery import Gallery
from facecli.metrics import reference_table
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo import registry
from facecli.report.audit import audit_row, audit_text, proposals
from facecli.report.audit_page import audit_page
from facecli.report.thumbnails import thumbnail
from facecli.storage.records import ReferenceRow
from facecli.storage.sqlite.store import GalleryFile
from facecli.threshold.operating_point import Measured

DIMENSION = 192
MATED = 0.75  # cosine of two photos of one made-up person, about LFW's


@pytest.fixture(scope="module")
def table() -> ReferenceTable:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    assert spec.table is not None
    return reference_table.from_file(spec.table, spec.embedder_id)


class People:
    """Made-up references: everyone has a direction, every photo of theirs lies near it."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self.rows: list[ReferenceRow] = []

    def somebody(self) -> np.ndarray:
        """(192,) unit: the direction of a new person."""
        vector = self._rng.normal(size=DIMENSION)
        return vector / np.linalg.norm(vector)

    def photo(self, person: np.ndarray, cosine: float = MATED) -> np.ndarray:
        """(192,) unit: another photo; two of them score about `cosine`."""
        aside = self.somebody()
        aside -= (aside @ person) * person
        aside /= np.linalg.norm(aside)
        return np.sqrt(cosine) * person + np.sqrt(1 - cosine) * aside

    def enroll(
        self,
        subject: str,
        vector: np.ndarray,
        sha256: str = "",
        face: int = 0,
        quality: float = 0.9,
    ) -> int:
        """Returns the reference's id."""
        number = len(self.rows) + 1
        found = Face((0, 0, 9, 9), np.zeros((5, 2), np.float32), 0.9, quality)
        template = Template(vector.astype(np.float32), "made-up")
        sha256 = sha256 or f"{number:064x}"
        self.rows.append(
            ReferenceRow(number, subject, found, template, sha256, face, f"{number}.jpg", "")
        )
        return number

    def crowd(self, subjects: int, photos: int) -> None:
        """People with nothing wrong about them."""
        for i in range(subjects):
            person = self.somebody()
            for _ in range(photos):
                self.enroll(f"Person {i}", self.photo(person))


@pytest.fixture
def people() -> People:
    made = People()
    made.crowd(60, 4)
    return made


def ids(finding: AuditFinding) -> set[int]:
    return {row.id for row in finding.suspects}


def only(found: Audit) -> AuditFinding:
    """The one fault that is told."""
    assert [f.rank for f in found.findings] == [1], [(f.kind, f.subjects) for f in found.findings]
    return found.findings[0]


def test_a_sound_gallery_has_no_findings(people: People, table: ReferenceTable):
    found = audit(people.rows, table)
    assert (found.subjects, found.references, found.mated) == (60, 240, 240)
    assert found.findings == ()
    assert audit([], table).findings == ()
    assert audit(people.rows[:1], table).findings == ()


def test_the_same_bytes_under_two_names(people: People, table: ReferenceTable):
    ada, photo = people.somebody(), "a" * 64
    vector = people.photo(ada)
    right = people.enroll("Ada", vector, photo)
    people.enroll("Ada", people.photo(ada))
    people.enroll("Ada", people.photo(ada))
    wrong = people.enroll("Bob", vector, photo)
    finding = only(audit(people.rows, table))
    assert finding.kind is FindingKind.SAME_PHOTO
    assert finding.expected == 0
    assert finding.subjects == ("Ada", "Bob"), "Ada's other photos say whose it is"
    assert [row.id for row in finding.suspects] == [wrong, right]


def test_two_faces_of_one_photo_are_not_the_same_photograph(people: People, table: ReferenceTable):
    people.enroll("Ada", people.somebody(), "a" * 64, face=0)
    people.enroll("Bob", people.somebody(), "a" * 64, face=1)
    assert audit(people.rows, table).findings == ()


def test_a_copy_saved_anew_under_another_name(people: People, table: ReferenceTable):
    vector = people.somebody()
    first = people.enroll("Ada", vector)
    second = people.enroll("Bob", people.photo(vector, 0.98))
    finding = only(audit(people.rows, table))
    assert finding.kind is FindingKind.SAME_PHOTO
    assert ids(finding) == {first, second}
    assert 0 < finding.expected < 0.01


def test_two_names_of_one_person(people: People, table: ReferenceTable):
    ada = people.somebody()
    for subject in ("Ada", "Ada", "Ada", "Countess", "Countess"):
        people.enroll(subject, people.photo(ada))
    finding = only(audit(people.rows, table))
    assert finding.kind is FindingKind.ONE_PERSON
    assert finding.subjects == ("Ada", "Countess"), "the one with more references stays"
    expected = table.fpir(finding.score, 61)
    assert finding.false_alarm == max(table.least_fpir, finding.expected / 31)
    assert finding.expected == pytest.approx(expected * 31, rel=0.5)


def test_names_that_share_a_photo_and_a_face_are_told_once(people: People, table: ReferenceTable):
    ada, photo = people.somebody(), "a" * 64
    vector = people.photo(ada)
    for subject in ("Ada", "Countess"):
        people.enroll(subject, vector, photo)
        people.enroll(subject, people.photo(ada))
        people.enroll(subject, people.photo(ada))
    assert only(audit(people.rows, table)).kind is FindingKind.ONE_PERSON


def test_three_names_of_one_person_take_two_rows(people: People, table: ReferenceTable):
    ada = people.somebody()
    for subject in ("Ada", "Countess", "Lovelace"):
        people.enroll(subject, people.photo(ada))
    found = audit(people.rows, table).findings
    assert [f.kind for f in found] == [FindingKind.ONE_PERSON] * 2
    assert {s for f in found for s in f.subjects} == {"Ada", "Countess", "Lovelace"}


@pytest.mark.parametrize("photos", [2, 4])
def test_a_reference_that_is_somebody_elses(people: People, table: ReferenceTable, photos: int):
    ada, bob = people.somebody(), people.somebody()
    for _ in range(4):
        people.enroll("Bob", people.photo(bob))
    for _ in range(photos - 1):
        people.enroll("Ada", people.photo(ada))
    wrong = people.enroll("Ada", people.photo(bob))
    finding = only(audit(people.rows, table))
    assert finding.kind is FindingKind.SOMEBODY_ELSE
    assert finding.subjects == ("Ada", "Bob")
    assert ids(finding) == {wrong}
    assert [row.subject for row in finding.beside] == ["Bob"]
    assert finding.own_score < 0.3 < 0.7 < finding.score


def test_an_outlier(people: People, table: ReferenceTable):
    ada = people.somebody()
    for _ in range(3):
        people.enroll("Ada", people.photo(ada))
    wrong = people.enroll("Ada", people.somebody())
    finding = only(audit(people.rows, table))
    assert finding.kind is FindingKind.OUTLIER
    assert ids(finding) == {wrong}
    assert finding.score == finding.own_score < 0.3


def test_a_reference_like_another_but_liker_its_own_is_left_alone(
    people: People, table: ReferenceTable
):
    ada, bob = people.somebody(), people.somebody()
    between = np.sqrt(0.6) * ada + np.sqrt(0.4) * bob  # 0.73 to Ada's others, 0.6 to Bob's
    for person, subject in ((ada, "Ada"), (bob, "Bob")):
        for _ in range(3):
            people.enroll(subject, people.photo(person, 0.9))
    people.enroll("Ada", between / np.linalg.norm(between))
    assert audit(people.rows, table).findings == ()


@pytest.mark.parametrize(("score", "shown"), [(0.3, True), (0.5, False)])
def test_the_list_ends_where_chance_explains_it(
    people: People, table: ReferenceTable, score: float, shown: bool
):
    """A photo in a hundred is as unlike its own as 0.5, so among 240 a few such rows are due."""
    ada = people.somebody()
    for _ in range(3):
        people.enroll("Ada", people.photo(ada))
    people.enroll("Ada", people.photo(ada, score**2 / MATED))
    found = audit(people.rows, table)
    assert len(found.findings) == shown
    script = proposals(found, 60)
    assert ("gallery remove" in script) == shown
    assert all(line.startswith("#") for line in script.splitlines()), "not certain enough to run"


def test_of_two_references_both_are_in_doubt(people: People, table: ReferenceTable):
    pair = {people.enroll("Ada", people.somebody()), people.enroll("Ada", people.somebody())}
    finding = only(audit(people.rows, table))
    assert finding.kind is FindingKind.OUTLIER
    assert ids(finding) == pair


def test_an_album_alone_is_told_though_it_has_nobody_to_be_unlike(table: ReferenceTable):
    """Where all of a gallery's few scores are of strangers, none of them looks low."""
    made = People(4)
    for _ in range(4):
        somebody = made.somebody()
        made.enroll("Rome", made.photo(somebody))
        made.enroll("Rome", made.photo(somebody))
    made.enroll("Rome", made.somebody(), quality=0.2)  # too poor to show anything of it
    found = audit(made.rows, table)
    mixed, poor = found.findings
    assert (mixed.kind, mixed.subjects) == (FindingKind.SEVERAL_PEOPLE, ("Rome",))
    assert ids(mixed) == {1, 3, 5, 7} and poor.kind is FindingKind.LOW_QUALITY
    assert "at least 4 people, by their faces: is it an album?" in audit_text(found, 60)
    assert proposals(found, 1).splitlines()[1:] == [
        "# look first, then perhaps:",
        "# facecli gallery remove --yes Rome",
    ]
    assert "One of each person" in audit_page(found, 60)
    made.enroll("Ada", made.photo(made.somebody()))
    assert [f.kind for f in audit(made.rows, table).findings] == [f.kind for f in found.findings]


def test_an_outlier_is_not_told_again_as_several_people(people: People, table: ReferenceTable):
    ada = people.somebody()
    for _ in range(3):
        people.enroll("Ada", people.photo(ada))
    people.enroll("Ada", people.somebody())
    people.enroll("Ada", people.somebody())
    found = audit(people.rows, table).findings
    assert {f.kind for f in found} == {FindingKind.OUTLIER} and len(found) == 2


def test_low_quality_comes_last_and_the_worst_of_it_first(people: People, table: ReferenceTable):
    ada = people.somebody()
    worse = {q: people.enroll("Ada", people.photo(ada), quality=q) for q in (0.54, 0.1, 0.56)}
    twin = people.somebody()
    people.enroll("Bob", people.photo(twin))
    people.enroll("Robert", people.photo(twin))
    found = audit(people.rows, table).findings
    kinds = [FindingKind.ONE_PERSON, FindingKind.LOW_QUALITY, FindingKind.LOW_QUALITY]
    assert [f.kind for f in found] == kinds
    assert [f.suspects[0].id for f in found[1:]] == [worse[0.1], worse[0.54]]


def test_who_was_said_to_be_two_people_is_not_taken_for_one(people: People, table: ReferenceTable):
    twin = people.somebody()
    for name in ("Bob", "Robert", "Rob"):
        people.enroll(name, people.photo(twin))
    first, second = audit(people.rows, table).findings
    assert first.kind is second.kind is FindingKind.ONE_PERSON
    script = proposals(audit(people.rows, table), 9).splitlines()
    merge = next(line for line in script if line.startswith("facecli gallery merge"))
    assert f"# or, if they are two people: {merge.replace('merge', 'distinct')}" in script
    apart = {frozenset(("Rob", "Bob")), frozenset(("Bob", "Robert"))}
    assert set(only(audit(people.rows, table, distinct=apart)).subjects) == {"Rob", "Robert"}
    apart.add(frozenset(("Rob", "Robert")))
    assert audit(people.rows, table, distinct=apart).findings == ()


def test_the_order_is_by_what_chance_makes(people: People, table: ReferenceTable):
    for number, cosine in enumerate((0.7, 0.9, 0.8)):
        twin = people.somebody()
        people.enroll(f"A{number}", people.photo(twin, cosine))
        people.enroll(f"B{number}", people.photo(twin, cosine))
    people.enroll("Cem", people.somebody(), "c" * 64)
    people.enroll("Dan", people.rows[-1].template.vector, "c" * 64)
    found = audit(people.rows, table).findings
    assert [f.subjects[0] for f in found] == ["Dan", "A1", "A2", "A0"] or [
        f.subjects[0] for f in found
    ] == ["Cem", "A1", "A2", "A0"]
    assert [f.expected for f in found] == sorted(f.expected for f in found)


def test_people_who_are_all_alike_are_not_all_one_person(table: ReferenceTable):
    made = People(1)
    family = made.somebody()
    for i in range(80):  # strangers score 0.6 here: three times what the reference set's do
        person = made.photo(family, 0.6)
        for _ in range(3):
            made.enroll(f"Person {i}", made.photo(person, 0.9))
    alike = audit(made.rows, table).findings
    assert not [f for f in alike if f.kind in (FindingKind.ONE_PERSON, FindingKind.SAME_PHOTO)]
    twin = made.photo(family, 0.6)
    made.enroll("Ada", made.photo(twin, 0.9))
    made.enroll("Countess", made.photo(twin, 0.9))
    assert only(audit(made.rows, table)).subjects == ("Ada", "Countess")


@pytest.mark.parametrize("subjects", [2, 3, 5])
def test_a_fault_shows_among_a_handful(table: ReferenceTable, subjects: int):
    made = People(subjects)
    made.crowd(subjects - 1, 5)
    person = made.somebody()
    for _ in range(5):
        made.enroll("Ada", made.photo(person))
    assert audit(made.rows, table).findings == ()
    wrong = made.enroll("Ada", made.somebody())
    finding = only(audit(made.rows, table))
    assert finding.kind is FindingKind.OUTLIER
    assert ids(finding) == {wrong}


def test_two_strangers_somewhat_alike_are_not_one_person(table: ReferenceTable):
    made = People()
    ada = made.somebody()
    bob = made.photo(ada, 0.1)  # 0.3 to her: one stranger in fifty reaches it, no mate does
    for _ in range(4):
        made.enroll("Ada", made.photo(ada, 0.95))
        made.enroll("Bob", made.photo(bob, 0.95))
    assert audit(made.rows, table).findings == ()


@pytest.mark.parametrize("others", [0, 1, 2])
def test_two_names_show_among_a_handful(table: ReferenceTable, others: int):
    made = People(others)
    made.crowd(others, 3)
    ada = made.somebody()
    for subject in ("Ada", "Ada", "Countess", "Countess"):
        made.enroll(subject, made.photo(ada))
    finding = only(audit(made.rows, table))
    assert finding.kind is FindingKind.ONE_PERSON
    assert finding.expected < 0.01


@pytest.mark.slow
def test_ten_thousand_subjects_take_seconds(table: ReferenceTable):
    made = People(2)
    vectors = np.random.default_rng(0).normal(size=(20_000, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for i, vector in enumerate(vectors[:10_000]):
        made.enroll(f"Person {i}", made.photo(vector, 0.9))
        made.enroll(f"Person {i}", made.photo(vector, 0.9))
    made.enroll("Ada", made.photo(vectors[17], 0.9))
    started = time.process_time()
    found = audit(made.rows, table)
    assert time.process_time() - started < 20, "about 4 s of one core"
    assert only(found).subjects == ("Person 17", "Ada")


# removing one reference ----------------------------------------------------------------------


def test_a_reference_is_removed_and_the_template_follows(tmp_path: Path):
    path = tmp_path / "g.facecli"
    store = new_store(path)
    store.add([reference("Ada", 1), reference("Ada", 2), reference("Bob", 3)])
    gone = next(row for row in store.reader.references() if row.photo_sha256 == f"{1:064x}")
    revision = store.reader.observed()[0]
    assert store.remove_reference("Ada", gone.id) == 1
    assert store.reader.observed()[0] > revision, "the threshold must be fitted anew"
    assert [row.photo_sha256 for row in store.reader.references()] == [f"{2:064x}", f"{3:064x}"]
    assert store.reader.check() == [], "the template follows"
    with pytest.raises(GalleryError, match="no reference"):
        store.remove_reference("Ada", 3)  # Bob's
    assert store.reader.counts() == (2, 2)
    store.close()


def test_a_subject_goes_with_its_last_reference(tmp_path: Path):
    store = new_store(tmp_path / "g.facecli")
    store.add([reference("Ada", 1), reference("Bob", 2)])
    assert store.remove_reference("Ada", min(row.id for row in store.reader.references())) == 0
    assert [s.name for s in store.reader.subjects()] == ["Bob"]
    assert store.reader.check() == []
    store.close()


# the report and the command ------------------------------------------------------------------


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Command, Path]:
    """Grace Hopper's portrait under two names, and once among Eileen Collins's."""
    folder = tmp_path_factory.mktemp("audited")
    photos = folder / "photos"
    write_variants(photos / "Grace Hopper", hopper(), 4)
    write_variants(photos / "Amazing Grace", hopper(), 2, first=10)
    write_variants(photos / "Eileen Collins", collins(), 4)
    (photos / "Eileen Collins" / "wrong.jpg").write_bytes(
        (photos / "Grace Hopper" / "002.jpg").read_bytes() + b"again"
    )
    command = Command(folder / "home")
    done = command("enroll", photos, "-g", folder / "g.facecli")
    assert done.returncode == 0, done.stderr
    return command, folder


def test_the_command_finds_what_is_wrong_with_real_photos(audited: tuple[Command, Path]):
    command, folder = audited
    done = command("gallery", "audit", "-g", folder / "g.facecli", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["subjects"], result["references"]) == (3, 11)
    finding = result["findings"][0]
    assert finding["kind"] == "same photograph", "all of Grace's are shots of one portrait"
    assert set(finding["subjects"]) == {"Grace Hopper", "Amazing Grace", "Eileen Collins"}
    assert Path(finding["suspects"][0]["path"]).name == "wrong.jpg"
    names = {Path(s["path"]).parent.name for s in finding["suspects"][1:]}
    assert names == {"Grace Hopper", "Amazing Grace"}
    with Gallery.open(folder / "g.facecli") as gallery:
        assert audit_row(gallery.audit(), 60) == result


def test_fix_proposes_and_does_not_act(audited: tuple[Command, Path], tmp_path: Path):
    command, folder = audited
    path = tmp_path / "it's mine.facecli"
    with sqlite3.connect(folder / "g.facecli") as source, sqlite3.connect(path) as copy:
        source.backup(copy)
    before = command("gallery", "export", tmp_path / "before.jsonl", "-g", path)
    proposed = command("gallery", "audit", "-g", path, "--fix")
    after = command("gallery", "export", tmp_path / "after.jsonl", "-g", path)
    assert before.stdout and after.stdout
    assert (tmp_path / "before.jsonl").read_bytes() == (tmp_path / "after.jsonl").read_bytes()
    lines = [line for line in proposed.stdout.splitlines() if line.startswith("facecli ")]
    assert lines
    for line in lines:
        done = command(*shlex.split(line)[1:])
        assert done.returncode == 0, (line, done.stderr)
    with Gallery.open(path) as gallery:
        assert len(gallery.storage.reader.subjects()) == 2
        told = {f.kind for f in gallery.audit().findings}
        assert told <= {FindingKind.LOW_QUALITY, FindingKind.DOUBLE}, "all are of one portrait"


def test_the_text_names_the_rows(people: People, table: ReferenceTable):
    ada = people.somebody()
    people.enroll("Ada", people.photo(ada))
    people.enroll("Ada\x1b[31m", people.photo(ada))
    found = audit(people.rows, table)
    text = audit_text(found, 60)
    assert "1 finding\n" in text
    assert "Ada, Ada\\x1b[31m" in text
    assert "\x1b" not in text
    assert "nothing found" in audit_text(audit(people.rows[:240], table), 60)


def test_proposals_follow_earlier_merges_and_quote_names(people: People, table: ReferenceTable):
    ada = people.somebody()
    for subject in ("-Ada", "Countess O'Lovelace", "$(reboot)"):
        people.enroll(subject, people.photo(ada, 0.85))
    script = proposals(audit(people.rows, table), 60, Path("my gallery"))
    commands = [shlex.split(x) for x in script.splitlines() if not x.startswith("#")]
    assert len(commands) == 2
    gone = set()
    for words in commands:
        assert words[:5] == ["facecli", "gallery", "merge", "--gallery", "my gallery"]
        name, into = words[-2:]
        assert not {name, into} & gone, "merged away by the command before"
        assert ("--" in words) == any(word.startswith("-A") for word in (name, into))
        gone.add(name)


def test_what_chance_may_explain_is_only_a_comment(people: People, table: ReferenceTable):
    people.enroll("Ada", people.somebody())
    people.enroll("Ada", people.somebody())
    script = proposals(audit(people.rows, table), 60)
    assert "remove --yes --reference 241 Ada" in script
    assert "remove --yes --reference 242 Ada" in script
    assert all(line.startswith("#") for line in script.splitlines()), "which one is for you to say"


def test_the_page_shows_the_faces(audited: tuple[Command, Path], tmp_path: Path):
    pytest.importorskip("jinja2")
    command, folder = audited
    page = tmp_path / "audit.html"
    done = command("gallery", "audit", "-g", folder / "g.facecli", "--report", page)
    assert done.returncode == 0, done.stderr
    assert page.stat().st_mode & 0o777 == 0o600  # it shows faces
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/jpeg;base64,") >= 4
    assert "Amazing Grace" in html
    assert "<script" not in html


def test_the_page_escapes_names_and_says_where_a_photo_is_gone(
    people: People, table: ReferenceTable
):
    pytest.importorskip("jinja2")
    ada = people.somebody()
    people.enroll("<b>Ada", people.photo(ada))
    people.enroll("Countess", people.photo(ada))
    html = audit_page(audit(people.rows, table), 60)
    assert "&lt;b&gt;Ada" in html
    assert "<b>Ada" not in html
    assert html.count("photo not there") == 2


def test_without_a_table_nothing_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "g.facecli"
    GalleryFile.create(
        path, registry.find_embedder(registry.DEFAULT_EMBEDDER).embedder_id, 192
    ).close()
    with Gallery.open(path) as gallery:
        gallery.models.measured = Measured(None)  # an embedder of the user's own ships none
        with pytest.raises(CalibrationError, match="--calibrate"):
            gallery.audit()


# thumbnails ----------------------------------------------------------------------------------


def decoded(jpeg: bytes | None) -> np.ndarray:
    assert jpeg is not None
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_a_thumbnail_shows_the_box_with_a_margin(tmp_path: Path):
    photo = np.zeros((200, 300, 3), np.uint8)
    photo[80:120, 140:180] = (0, 0, 255)
    path = tmp_path / "p.png"
    cv2.imwrite(str(path), photo)
    small = decoded(thumbnail(str(path), (140, 80, 180, 120), 90))
    assert small.shape == (90, 90, 3)
    red = small[:, :, 2] > 128
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    for found in (rows, columns):  # the box fills the middle two thirds
        assert abs(found[0] - 15) <= 1
        assert abs(found[-1] - 74) <= 1


def test_beyond_the_edge_a_thumbnail_is_grey(tmp_path: Path):
    path = tmp_path / "p.png"
    cv2.imwrite(str(path), np.full((100, 100, 3), 255, np.uint8))
    small = decoded(thumbnail(str(path), (-40, 30, 40, 110), 60))
    assert small[30, 5].tolist() == pytest.approx([127] * 3, abs=3)
    assert small[10, 50].tolist() == pytest.approx([255] * 3, abs=3)


def test_no_thumbnail_where_there_is_no_photo_or_face(tmp_path: Path):
    path = str(blank(tmp_path / "p.png"))
    assert thumbnail(path, (10, 10, 60, 60)) is not None
    for box in [(900, 900, 950, 950), (-90, 0, -60, 30), (5, 5, 5, 5), (float("nan"),) * 4,
                (0, 0, 1e9, 1e9)]:  # fmt: skip
        assert thumbnail(path, box) is None
    assert thumbnail(str(tmp_path / "gone.jpg"), (10, 10, 60, 60)) is None


def test_a_photograph_that_one_subject_has_twice(people: People, table: ReferenceTable):
    ada = people.somebody()
    vector = people.photo(ada)
    first = people.enroll("Ada", vector)
    second = people.enroll("Ada", people.photo(ada))
    again = [people.enroll("Ada", vector) for _ in range(2)]
    near = vector + 0.1 * people.somebody()
    alike = people.enroll("Ada", near / np.linalg.norm(near))
    finding = only(audit(people.rows, table))
    assert (finding.kind, finding.subjects) == (FindingKind.DOUBLE, ("Ada",))
    assert ids(finding) == {*again, alike} and [row.id for row in finding.beside] == [first]
    assert second not in ids(finding) and 0.98 < finding.score < 0.999
    assert "look first" in proposals(audit(people.rows, table), 9)
    people.rows.pop()
    found = audit(people.rows, table)
    assert "the same picture" in audit_text(found, 9)
    assert proposals(found, 9).count("\nfacecli gallery remove --yes --reference") == 2


def test_a_photo_that_is_another_file_now(tmp_path: Path, table: ReferenceTable):
    store = new_store(tmp_path / "g")
    for number, name in enumerate(("same", "changed", "gone", "linked")):
        photo = tmp_path / f"{name}.jpg"
        photo.write_bytes(name.encode())
        new = reference("Ada", number)
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        store.add([replace(new, path=str(photo), photo_sha256=sha256)])
    rows = list(store.reader.references())
    store.close()
    assert list(photos.changed(rows)) == []
    os.utime(tmp_path / "changed.jpg", (0, 0))
    (tmp_path / "other").write_bytes(b"another")
    os.utime(tmp_path / "other", (0, 0))
    (tmp_path / "other").rename(tmp_path / "changed.jpg")
    (tmp_path / "gone.jpg").unlink()
    (found,) = photos.changed(rows)
    assert [row.id for row in found] == [2]
    finding = next(f for f in audit(rows, table, [found]).findings if f.kind is FindingKind.CHANGED)
    assert ids(finding) == {2} and "--replace" in audit_text(audit(rows, table, [found]), 9)
