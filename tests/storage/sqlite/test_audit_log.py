"""The audit log: hashes and no names, only added to, and tampering is seen."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from support.galleries import Command, collins, hopper, new_store, reference

from facecli.common.errors import GalleryError
from facecli.storage.records import LogEntry
from facecli.storage.sqlite.store import GalleryFile


@pytest.fixture
def store(tmp_path: Path):
    opened = new_store(tmp_path / "g.facecli")
    yield opened
    opened.close()


def actions(store: GalleryFile) -> list[str]:
    return [entry.action for entry in store.audit_log.entries()]


def test_it_is_off_until_asked_for(store: GalleryFile):
    store.add([reference("Ada", 1)])
    store.log_search("0" * 64, ["Ada"])
    store.remove("Ada")
    assert store.audit_log.entries() == ()


def test_what_happens_to_people_is_told_by_hashes(store: GalleryFile, tmp_path: Path):
    store.audit_log.turn(True)
    store.add([reference("Ada Lovelace", 1)])
    store.add([reference("Ada Lovelace", 1)])  # there already: nothing happened
    store.rename("Ada Lovelace", "Countess")
    store.log_search("f" * 64, ["Countess"])
    store.log_search("e" * 64, [])
    store.remove("Countess")
    store.journal.undo()
    store.audit_log.turn(False)
    store.remove("Countess")
    assert actions(store) == [
        "log on", "enrolled", "renamed", "searched", "searched", "removed", "undone", "log off",
    ]  # fmt: skip
    on, enrolled, renamed, found, unknown, *_ = store.audit_log.entries()
    assert enrolled.subject == renamed.subject == store.reader.hashed("Ada Lovelace")
    assert found.subject == store.reader.hashed("Countess") and unknown.subject is None
    assert found.photo == store.reader.hashed("f" * 64) != "f" * 64
    assert on.subject is None and on.photo is None
    text = repr(store.audit_log.entries())
    assert "Ada" not in text and "Countess" not in text
    other = new_store(tmp_path / "other")
    assert other.reader.hashed("Countess") != store.reader.hashed("Countess"), (
        "each gallery has its own key"
    )
    other.close()


def test_entries_can_only_be_added(store: GalleryFile):
    store.audit_log.turn(True)
    with sqlite3.connect(store.path) as db:
        for tampering in ("DELETE FROM log", "UPDATE log SET action = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(tampering)
    assert actions(store) == ["log on"]


@pytest.mark.parametrize(("tampering", "says"), [
    ("UPDATE log SET subject = NULL WHERE id = 2", "entry 2 of the audit log"),
    ("UPDATE log SET at = '2020-01-01T00:00:00Z' WHERE id = 1", "entry 1 of the audit log"),
    ("DELETE FROM log WHERE id = 2", "lacks what was before entry 3"),
    ("DELETE FROM log WHERE id = 3", "lacks its last entries, after 2"),
    ("DELETE FROM log", "lacks its last entries, after 0"),
])  # fmt: skip
def test_check_sees_what_was_tampered_with(store: GalleryFile, tampering: str, says: str):
    store.audit_log.turn(True)
    store.add([reference("Ada", 1), reference("Bob", 2)])
    assert store.reader.check() == []
    with sqlite3.connect(store.path) as db:
        db.execute("DROP TRIGGER log_no_update")
        db.execute("DROP TRIGGER log_no_delete")
        db.execute(tampering)
    assert any(says in fault for fault in store.reader.check()), store.reader.check()


def test_a_failed_change_leaves_no_entry(store: GalleryFile):
    store.audit_log.turn(True)
    store.add([reference("Ada", 1)])
    before = store.audit_log.entries()
    with store.rehearsal():
        store.remove("Ada")
        assert len(store.audit_log.entries()) == len(before) + 1
    assert store.audit_log.entries() == before and store.reader.check() == []
    assert isinstance(before[0], LogEntry)


def test_the_command_with_real_photos(tmp_path: Path):
    command, path = Command(tmp_path / "home"), tmp_path / "g"
    assert command("enroll", hopper(), "-s", "Grace Hopper", "-g", path).returncode == 0
    empty = command("gallery", "log", "-g", path)
    assert empty.stdout == "the audit log is empty: `facecli gallery log --on` starts it\n"
    assert command("gallery", "log", "--on", "-g", path).stdout == "the audit log is on\n"
    assert command("identify", hopper(), collins(), "-g", path).returncode == 0
    assert command("gallery", "purge", "Grace Hopper", "--yes", "-g", path).returncode == 0
    assert command("gallery", "log", "--off", "-g", path).stdout == "the audit log is off\n"
    rows = json.loads(command("gallery", "log", "--json", "-g", path).stdout)
    assert [row["action"] for row in rows] == [
        "log on", "searched", "searched", "purged", "log off",
    ]  # fmt: skip
    _, known, unknown, purged, _ = rows
    assert known["subject"] == purged["subject"] and unknown["subject"] is None
    assert known["photo"] and unknown["photo"] and known["photo"] != unknown["photo"]
    table = command("gallery", "log", "-g", path).stdout
    assert known["subject"][:12] in table and "purged" in table
    assert command("gallery", "check", "-g", path).returncode == 0


@pytest.mark.parametrize("value", ["NULL", "'no'", "7"])
def test_where_it_cannot_be_told_whether_it_is_on_a_search_fails(store: GalleryFile, value: str):
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute("ALTER TABLE custody DROP COLUMN logging")
        db.execute("ALTER TABLE custody ADD COLUMN logging")
        db.execute(f"UPDATE custody SET logging = {value}")
    db.close()
    with pytest.raises(GalleryError, match=r"whether the log is on is .*damaged"):
        store.log_search("0" * 64, ["Ada"])
