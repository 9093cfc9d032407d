"""The gallery file in use: writes, crashes, company."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.galleries import (
    DIMENSION,
    EMBEDDER,
    environment,
    new_store,
    reference,
    unit_vector,
)
from support.patience import LAST_RESORT

from facecli.common.errors import EmbedderMismatchError, GalleryError
from facecli.storage.interface import Called, require_embedder
from facecli.storage.records import CalibrationRow, mean_template
from facecli.storage.search.ranker import FileRanker
from facecli.storage.sqlite import subject_rows
from facecli.storage.sqlite.store import GalleryFile

JOINED, UNJOINED = "گل\u200cمحمدی", "گلمحمدی"
NFC, NFD = (unicodedata.normalize(form, "Nguyễn Văn Đức") for form in ("NFC", "NFD"))


@pytest.fixture
def store(tmp_path: Path):
    opened = new_store(tmp_path / "g.facecli")
    yield opened
    opened.close()


def stored_means(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By subject: the template that is stored, and the mean worked out from the vectors here."""
    with sqlite3.connect(path) as db:
        rows = db.execute(
            "SELECT s.name, s.template, r.vector FROM subject s JOIN reference r "
            "ON r.subject_id = s.id ORDER BY r.id"
        ).fetchall()
    means = {}
    for name in {row[0] for row in rows}:
        vectors = [np.frombuffer(row[2], np.float32) for row in rows if row[0] == name]
        total = np.sum(vectors, axis=0, dtype=np.float64)
        template = next(np.frombuffer(row[1], np.float32) for row in rows if row[0] == name)
        means[name] = (template, total / np.linalg.norm(total))
    return means


def assert_means_kept(store: GalleryFile, subjects: int) -> None:
    means = stored_means(store.path)
    assert len(means) == subjects == len(store.reader.templates().ids)
    for stored, expected in means.values():
        np.testing.assert_allclose(stored, expected, atol=1e-6)
    assert store.reader.check() == []


def test_what_was_enrolled_comes_back_to_the_bit(store: GalleryFile):
    given = reference("Ada", 3)
    assert store.add([given]) == 1
    (found,) = store.reader.references()
    assert found.subject == "Ada"
    assert found.template.embedder_id == EMBEDDER
    assert found.template.vector.tobytes() == given.found.template.vector.tobytes()
    assert found.face.landmarks.tobytes() == given.found.face.landmarks.tobytes()
    assert found.face.box == given.found.face.box
    assert (found.face.detection_score, found.face.quality) == (0.9, 0.8)
    assert (found.photo_sha256, found.face_index, found.path) == (
        given.photo_sha256, 0, "photos/Ada/3.jpg",
    )  # fmt: skip


def test_every_write_keeps_the_mean_template(store: GalleryFile):
    store.add([reference("Ada", 1), reference("Ada", 2), reference("Bob", 3)])
    assert_means_kept(store, 2)
    store.add([reference("Ada", 4), reference("Cem", 5)])
    assert_means_kept(store, 3)
    assert store.merge("Bob", "Ada") == 1
    assert_means_kept(store, 2)
    assert store.remove("Cem") == 1
    assert_means_kept(store, 1)
    store.rename("Ada", "Ada Lovelace")
    assert_means_kept(store, 1)
    assert store.reader.counts() == (1, 4)


def test_who_has_no_reference_left_has_no_template_and_is_not_found(store: GalleryFile):
    """As damage can leave it; `check` tells of it."""
    store.add([reference("Ada", 1), reference("Bob", 2)])
    with store._transaction() as db:
        db.execute("DELETE FROM reference WHERE subject_id = 1")
        subject_rows.refresh(db, [1])
    assert list(store.reader.templates().names) == ["Bob"]
    assert [c.subject for c in FileRanker.open(store.reader).candidates(unit_vector(1), 5)] == [
        "Bob"
    ]
    assert store.reader.check() != []


def test_the_mean_of_opposite_vectors_is_still_a_unit_vector():
    vector = unit_vector(1)
    assert np.linalg.norm(mean_template([vector, -vector])) == pytest.approx(1, abs=1e-6)


def test_the_same_face_twice_is_one_reference(store: GalleryFile):
    assert store.add([reference("Ada", 1), reference("Ada", 1)]) == 1
    assert store.add([reference("Ada", 1)]) == 0
    assert store.reader.counts() == (1, 1)


def test_names_are_one_in_nfc_and_nfd_and_shown_as_first_given(store: GalleryFile):
    assert NFC != NFD
    store.add([reference(NFD, 1), reference(NFC, 2)])
    assert [(s.name, s.references) for s in store.reader.subjects()] == [(NFD, 2)]
    assert store.reader.find(NFC).id == store.reader.find(NFD).id
    store.rename(NFC, NFC)  # its own twin does not count as taken
    assert store.reader.subjects()[0].name == NFC
    with pytest.raises(GalleryError, match="same subject"):
        store.merge(NFC, NFD)
    assert store.reader.counts() == (1, 2)


def test_a_name_that_is_taken_in_another_spelling_is_refused(store: GalleryFile):
    store.add([reference("Ada", 1), reference(NFC, 2)])
    with pytest.raises(GalleryError, match="merge"):
        store.rename("Ada", NFD)
    assert {s.name for s in store.reader.subjects()} == {"Ada", NFC}


def test_a_letter_that_nobody_sees_makes_no_second_person(store: GalleryFile):
    """A name is shown as first given, and found without what another keyboard leaves out."""
    assert store.add([reference(JOINED, 1), reference(UNJOINED, 2), reference("Mum ❤️", 3)]) == 3
    assert store.add([reference(UNJOINED, 1), reference("Mum ❤", 4)]) == 1
    listed = {row.name: row.references for row in store.reader.subjects()}
    assert listed == {JOINED: 2, "Mum ❤️": 2}
    assert store.reader.find(UNJOINED).name == JOINED
    with pytest.raises(GalleryError, match="enrolled already"):
        store.rename("Mum ❤", UNJOINED)
    assert store.remove(UNJOINED) == 2
    assert store.journal.undo().name == JOINED and store.reader.check() == []
    store.rename(JOINED, UNJOINED)
    assert store.reader.find(JOINED).name == UNJOINED


def test_names_of_a_gallery_from_before_are_found_as_they_are_kept(store: GalleryFile):
    """There a letter that nobody sees was part of the key, and could be all that differs."""
    store.add([reference(JOINED, 1), reference("Mum ❤️", 3), reference("Other", 5)])
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE subject SET key = name")
        db.execute("UPDATE subject SET name = ?, key = name WHERE name = 'Other'", (UNJOINED,))
        db.execute("UPDATE subject SET key = name")
    assert store.reader.check() == []
    assert [store.reader.find(name).name for name in (JOINED, UNJOINED)] == [JOINED, UNJOINED]
    assert store.add([reference("Mum ❤️", 3), reference("Mum ❤️", 4)]) == 1, "one is there"
    photos = store.reader.enrolled_photos(["Mum ❤️"])
    assert {key for key, _ in photos} == {"Mum ❤"} and len(photos) == 2
    assert store.purge(Called(JOINED)).people == {UNJOINED}
    assert [row.name for row in store.reader.subjects()] == ["Mum ❤️", UNJOINED]
    store.remove("Mum ❤️")
    gone = store.purge(Called("Mum ❤️"))
    assert gone.people == {"Mum ❤"} and {"Mum ❤️", "Mum ❤"} <= gone.texts
    store.rename(UNJOINED, JOINED)
    assert [row.name for row in store.reader.subjects()] == [JOINED]


def test_merge_moves_references_and_drops_doubles(store: GalleryFile):
    store.add(
        [reference("Ada", 1), reference("Ada", 2), reference("A. L.", 2), reference("A. L.", 3)]
    )
    assert store.merge("A. L.", "Ada") == 1
    assert store.reader.counts() == (1, 3)
    assert sorted(r.path for r in store.reader.references()) == [
        "photos/A. L./3.jpg", "photos/Ada/1.jpg", "photos/Ada/2.jpg",
    ]  # fmt: skip
    assert_means_kept(store, 1)


def test_two_faces_of_one_photo_are_no_doubles(store: GalleryFile):
    """A double is the same face of the same photo; her sister beside her on it is another."""
    group = [replace(reference(name, seed, 7), face_index=face)
             for name, seed, face in (("Ada", 1, 0), ("A. L.", 2, 1), ("A. L.", 3, 2))]  # fmt: skip
    other = replace(reference("A. L.", 4, 8), face_index=0)  # the same number, another photo
    store.add([*group, other])
    before = list(store.reader.references())
    assert store.merge("A. L.", "Ada") == 3
    faces = sorted((r.photo_sha256[-1], r.face_index) for r in store.reader.references())
    assert faces == [("7", 0), ("7", 1), ("7", 2), ("8", 0)]
    assert_means_kept(store, 1)
    store.journal.undo()
    assert [(r.id, r.subject) for r in store.reader.references()] == [
        (r.id, r.subject) for r in before
    ]
    assert_means_kept(store, 2)


@pytest.mark.parametrize("call", [
    lambda s: s.reader.find("Eve"), lambda s: s.rename("Eve", "Eva"), lambda s: s.remove("Eve"),
    lambda s: s.merge("Eve", "Ada"), lambda s: s.merge("Ada", "Eve"),
])  # fmt: skip
def test_nobody_of_that_name_is_an_error_and_changes_nothing(store: GalleryFile, call):
    store.add([reference("Ada", 1)])
    with pytest.raises(GalleryError, match="nobody called 'Eve'"):
        call(store)
    assert store.reader.counts() == (1, 1)
    store.add([reference("Ada", 2)])  # no transaction was left open
    assert store.reader.counts() == (1, 2)


def test_a_failed_batch_leaves_nothing_behind(store: GalleryFile):
    bad = reference("Bob", 2)
    object.__setattr__(bad, "photo_sha256", None)  # the table says NOT NULL
    with pytest.raises(GalleryError):
        store.add([reference("Ada", 1), bad])
    assert store.reader.counts() == (0, 0)
    assert store.add([reference("Ada", 1)]) == 1


def test_another_embedder_is_refused(store: GalleryFile):
    with pytest.raises(EmbedderMismatchError, match="cannot be compared"):
        GalleryFile.create(store.path, "other:ffff:p1-0", 128)
    with pytest.raises(EmbedderMismatchError):
        require_embedder(store, "other:ffff:p1-0")
    require_embedder(store, EMBEDDER)


def test_the_newest_calibration_is_in_force_and_the_older_stay_on_record(store: GalleryFile):
    assert store.reader.calibration() is None
    first = CalibrationRow(
        "your pairs", "FMR", 0.001, None, '{"a": 1}', "x", "2026-01-01T00:00:00Z"
    )
    second = CalibrationRow("set by hand", "none", None, 0.5, None, "y", "2026-01-02T00:00:00Z")
    store.calibrate(first)
    assert store.reader.calibration() == first
    store.calibrate(second)
    assert store.reader.calibration() == second
    with sqlite3.connect(store.path) as db:
        assert db.execute("SELECT count(*) FROM calibration").fetchone() == (2,)


@pytest.mark.parametrize(("damage", "says"), [
    ("UPDATE reference SET vector = zeroblob(768) WHERE id = 1", "not a unit vector"),
    ("UPDATE reference SET vector = x'00' WHERE id = 1", "not a unit vector"),
    ("UPDATE subject SET template = (SELECT vector FROM reference WHERE id = 3) WHERE id = 1",
     "not the mean"),
    ("UPDATE subject SET template = x'0011' WHERE id = 1", "no template"),
    ("UPDATE subject SET template = NULL WHERE id = 1", "no template"),
    ("DELETE FROM reference WHERE subject_id = 2", "no reference"),
    ("UPDATE reference SET subject_id = 99 WHERE id = 3", "points at no subject"),
])  # fmt: skip
def test_check_finds_what_was_damaged(store: GalleryFile, damage: str, says: str):
    store.add([reference("Ada", 1), reference("Ada", 2), reference("Bob", 3)])
    assert store.reader.check() == []
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(damage)
    faults = store.reader.check()
    assert any(says in fault for fault in faults), faults


def test_a_template_of_the_wrong_length_is_one_clear_error(store: GalleryFile):
    store.add([reference("Ada", 1)])
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE subject SET template = x'0011'")
        db.execute("UPDATE reference SET vector = x'0011'")
    for read in (store.reader.templates, lambda: store.reader.vectors(1)):
        with pytest.raises(GalleryError, match="gallery check"):
            read()


def test_a_file_name_of_any_bytes_is_kept_readable(store: GalleryFile):
    odd = reference("Ada", 1)
    object.__setattr__(odd, "path", b"photos/\xff\xfe.jpg".decode("utf-8", "surrogateescape"))
    store.add([odd])
    assert [r.path for r in store.reader.references()] == [r"photos/\udcff\udcfe.jpg"]


# company and crashes -------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from support.galleries import new_store, reference
store = new_store(Path(sys.argv[1]))
for seed in range(int(sys.argv[2]), int(sys.argv[3])):
    store.add([reference(f"S{seed % 7}", seed)])
    print(seed, flush=True)
"""
READER = """
import sys
from pathlib import Path
from facecli.storage.sqlite.store import GalleryFile
from support.galleries import new_store
seen, path = 0, Path(sys.argv[1])
new_store(path).close()
while seen < int(sys.argv[2]):
    store = GalleryFile.open(path)
    found = store.reader.counts()[1]
    assert found >= seen, "a committed reference is gone"
    assert store.reader.check() == []
    assert len(store.reader.templates().ids) <= len(store.reader.subjects())
    seen = found
    store.close()
"""


def start(code: str, home: Path, *arguments: object) -> subprocess.Popen[str]:
    variables = environment(home)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], env=variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_two_writers_and_two_readers_at_once_lose_nothing(tmp_path: Path):
    path = tmp_path / "new" / "g.facecli"  # both writers find it missing and make it
    processes = [
        start(WRITER, tmp_path, path, 0, 60), start(WRITER, tmp_path, path, 60, 120),
        start(READER, tmp_path, path, 120), start(READER, tmp_path, path, 120),
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate(timeout=LAST_RESORT)
        assert (process.returncode, errors) == (0, "")
    store = GalleryFile.open(path)
    assert store.reader.counts() == (7, 120)
    assert_means_kept(store, 7)
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []
    store.close()


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path):
    path, acknowledged = tmp_path / "g.facecli", set[int]()
    for first in (0, 1000, 2000):
        writer = start(WRITER, tmp_path, path, first, first + 1000)
        assert writer.stdout is not None
        for _ in range(15):
            acknowledged.add(int(writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        # Not communicate(): it skips what readline() has buffered.
        acknowledged |= {int(line) for line in writer.stdout.read().split()}
        writer.wait(LAST_RESORT)
        assert writer.stderr is not None
        writer.stdout.close()
        writer.stderr.close()
        store = GalleryFile.open(path)
        assert store.reader.check() == []
        there = {int(r.photo_sha256, 16) for r in store.reader.references()}
        store.close()
        assert acknowledged <= there
        # At most one write per run was under way, done but not yet acknowledged.
        assert len(there) <= len(acknowledged) + first // 1000 + 1


def test_an_export_s_snapshot_does_not_see_later_writes(store: GalleryFile):
    store.add([reference("Ada", 1)])
    other = GalleryFile.open(store.path)
    with other.reader.snapshot():
        assert other.reader.counts() == (1, 1)
        store.add([reference("Bob", 2)])
        assert other.reader.counts() == (1, 1)
        assert [r.subject for r in other.reader.references()] == ["Ada"]
    assert other.reader.counts() == (2, 2)
    other.close()


def test_the_dimension_is_the_embedder_s(tmp_path: Path):
    store = GalleryFile.create(tmp_path / "g", "other:1:p", 8)
    assert (store.reader.dimension, store.reader.templates().templates.shape) == (8, (0, 8))
    store.close()
    assert DIMENSION != 8
