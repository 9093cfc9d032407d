"""Who was said to be two people: it follows them through every change, and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.galleries import EMBEDDER, new_store, old_gallery, reference

from facecli.common.enums import ChangeKind
from facecli.common.errors import GalleryError
from facecli.storage import copying, export
from facecli.storage.interface import Called, Group
from facecli.storage.records import CalibrationRow
from facecli.storage.sqlite.store import GalleryFile


@pytest.fixture
def store(tmp_path: Path):
    opened = new_store(tmp_path / "g")
    opened.add([reference("Ada", 1), reference("Bea", 2), reference("Cem", 3), reference("Ada", 4)])
    yield opened
    opened.close()


def pairs(store: GalleryFile) -> list[tuple[str, str]]:
    return [(one.name, other.name) for one, other in store.reader.distinct()]


def test_it_is_said_once_and_known_with_both_s_references(store: GalleryFile):
    store.distinct("Bea", "Ada")
    store.distinct("Ada", "Bea")  # said already, the other way round
    ((one, other),) = store.reader.distinct()
    assert (one.name, one.references, other.name, other.references) == ("Bea", 1, "Ada", 2)
    assert [c.kind for c in store.journal.changes()] == [ChangeKind.DISTINCT]
    assert store.reader.check() == []


def test_it_can_be_taken_back_in_either_way(store: GalleryFile):
    store.distinct("Ada", "Bea")
    store.distinct("Bea", "Ada", forget=True)
    assert pairs(store) == []
    with pytest.raises(GalleryError, match="nobody said that 'Ada' and 'Bea' are two people"):
        store.distinct("Ada", "Bea", forget=True)
    store.journal.undo()
    assert pairs(store) == [("Ada", "Bea")]
    store.journal.undo()
    assert pairs(store) == [] and store.journal.changes() == ()


def test_nobody_is_distinct_from_themselves_or_from_strangers(store: GalleryFile):
    with pytest.raises(GalleryError, match="the same subject"):
        store.distinct("Ada", "Ada")
    with pytest.raises(GalleryError, match="nobody called 'Dan'"):
        store.distinct("Ada", "Dan")


def test_a_merge_carries_it_over_and_undo_brings_all_back(store: GalleryFile):
    store.distinct("Ada", "Bea")
    store.merge("Ada", "Cem")
    assert pairs(store) == [("Cem", "Bea")]
    store.rename("Bea", "Bella")
    assert pairs(store) == [("Cem", "Bella")]
    store.journal.undo()
    store.journal.undo()
    assert pairs(store) == [("Ada", "Bea")]
    store.merge("Ada", "Bea")
    assert pairs(store) == [], "one person is not two"
    store.journal.undo()
    store.distinct("Bea", "Cem")
    store.merge("Ada", "Cem")
    assert pairs(store) == [("Bea", "Cem")], "once, for it was said of both"
    store.journal.undo()
    assert pairs(store) == [("Ada", "Bea"), ("Bea", "Cem")]


def test_it_goes_with_who_is_removed_and_for_good_with_who_is_purged(store: GalleryFile):
    store.distinct("Ada", "Bea")
    store.distinct("Ada", "Cem")
    store.remove("Bea")
    assert pairs(store) == [("Ada", "Cem")]
    store.journal.undo()
    assert pairs(store) == [("Ada", "Bea"), ("Ada", "Cem")]
    store.remove("Bea")
    store.erase(Group.REMOVED)
    assert pairs(store) == [("Ada", "Cem")], "said of people who stay"
    store.erase(Called("Cem"))
    with closing(sqlite3.connect(store.path)) as db:
        assert db.execute("SELECT count(*) FROM distinct_pair").fetchone() == (0,)


def test_what_was_observed_of_the_gallery_is_observed_anew(store: GalleryFile):
    observed = store.reader.observe()
    assert observed is not None
    store.keep_observed(store.reader.observed()[0], observed)
    store.distinct("Ada", "Bea")
    assert store.reader.observed()[1] is None
    after = store.reader.observe()
    assert after is not None and after.scores != observed.scores


def test_the_audit_log_has_both(store: GalleryFile):
    store.audit_log.turn(True)
    store.distinct("Ada", "Bea")
    store.distinct("Ada", "Bea", forget=True)
    told = [(entry.action, entry.subject) for entry in store.audit_log.entries()[1:]]
    ada, bea = store.reader.hashed("Ada"), store.reader.hashed("Bea")
    assert told == [
        ("said to be distinct", ada), ("said to be distinct", bea),
        ("no longer said to be distinct", ada), ("no longer said to be distinct", bea),
    ]  # fmt: skip


def test_a_dry_run_says_nothing(store: GalleryFile):
    with store.rehearsal():
        store.distinct("Ada", "Bea")
        assert pairs(store) == [("Ada", "Bea")]
    assert pairs(store) == [] and store.journal.changes() == ()


def test_another_embedder_s_gallery_keeps_it(store: GalleryFile):
    store.distinct("Ada", "Bea")
    store.distinct("Bea", "Cem")
    made = [(row.id, row) for row in store.reader.references() if row.subject != "Cem"]
    without = {row.id for row in store.reader.references()} - {number for number, _ in made}
    rows = [replace(row, subject=str(number)) for number, row in made]
    store.switch_embedder(EMBEDDER, 192, rows, without)
    assert pairs(store) == [("Ada", "Bea")]
    with closing(sqlite3.connect(store.path)) as db:
        assert db.execute("SELECT count(*) FROM distinct_pair").fetchone() == (1,)


def test_a_copy_and_an_export_have_it(store: GalleryFile, tmp_path: Path):
    plain = copying.contents(store.reader)
    store.distinct("Ada", "Bea")
    assert copying.contents(store.reader).checksum != plain.checksum
    export.export(store.reader, tmp_path / "out.jsonl")
    for name in ("copied", "imported"):
        other = new_store(tmp_path / name)
        if name == "copied":
            copying.copy(store, other)
            copying.copy(store, other)  # a second time adds nothing
        else:
            export.import_(other, tmp_path / "out.jsonl")
            export.import_(other, tmp_path / "out.jsonl")
        assert pairs(other) == [("Ada", "Bea")]
        assert len(other.journal.changes()) == 1
        other.close()


@pytest.mark.parametrize(
    "pair", ['["Ada", "Ada"]', '["Ada", "Dan"]', '["Ada"]', "[1, 2]", '"AB"', "null"]
)
def test_an_export_that_names_others_is_refused_whole(
    store: GalleryFile, tmp_path: Path, pair: str
):
    store.distinct("Ada", "Bea")
    export.export(store.reader, tmp_path / "out.jsonl")
    text = (tmp_path / "out.jsonl").read_text()
    (tmp_path / "other.jsonl").write_text(text.replace('["Ada", "Bea"]', pair, 1))
    target = new_store(tmp_path / "target")
    with pytest.raises(GalleryError, match="is refused, nothing was imported"):
        export.import_(target, tmp_path / "other.jsonl")
    assert target.reader.counts() == (0, 0)
    target.close()


def test_a_gallery_of_before_has_nobody_and_takes_it(tmp_path: Path):
    old_gallery(tmp_path / "old")
    opened = GalleryFile.open(tmp_path / "old")
    assert pairs(opened) == []
    opened.add([reference("Bea", 2)])
    opened.distinct("Ada", "Bea")
    opened.calibrate(CalibrationRow("set by hand", "none", None, 0.5, None, "x", "now"))
    assert pairs(opened) == [("Ada", "Bea")] and opened.reader.check() == []
    opened.close()


@pytest.mark.parametrize(
    "hostile", ["(1, 1)", "(1, 99)", "('Ada', 2)", "(-1, 2)", "(x'00', 1)", "(1e9, 2)"]
)
def test_pairs_that_no_command_makes_are_passed_over(store: GalleryFile, hostile: str):
    store.close()
    with closing(sqlite3.connect(store.path)) as db:
        db.execute(f"INSERT INTO distinct_pair (first_id, second_id) VALUES {hostile}")
        db.commit()
    opened = GalleryFile.open(store.path)
    assert pairs(opened) == []
    opened.merge("Ada", "Bea")
    opened.close()
