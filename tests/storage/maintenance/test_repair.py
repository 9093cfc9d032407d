"""Real damage: what can be mended is mended, what can be read is never lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import process_time

import pytest
from support.galleries import Command, new_store, reference, unit_vector

from facecli.common.enums import ChangeKind
from facecli.common.errors import GalleryError
from facecli.storage.maintenance.repair import repair
from facecli.storage.records import CalibrationRow
from facecli.storage.search import sidecar
from facecli.storage.sqlite.store import GalleryFile

PAGE = 16384


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "g.facecli"
    store = new_store(path)
    store.add([reference("Ada", 1), reference("Ada", 2), reference("Bob", 3), reference("Cem", 4)])
    store.calibrate(
        CalibrationRow("set by hand", "none", None, 0.5, None, "x", "2026-01-01T00:00:00Z")
    )
    store.distinct("Ada", "Bob")
    store.close()
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Many pages of references."""
    path = tmp_path / "large.facecli"
    store = new_store(path)
    store.add([reference(f"Subject {seed % 100:03}", seed) for seed in range(600)])
    store.close()
    return path


def damage(path: Path, sql: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(sql)
    db.close()


def opened_check(path: Path) -> list[str]:
    store = GalleryFile.open(path)
    faults = store.reader.check()
    store.close()
    return faults


def vectors(path: Path) -> dict[str, set[bytes]]:
    store = GalleryFile.open(path)
    found: dict[str, set[bytes]] = {subject.name: set() for subject in store.reader.subjects()}
    for row in store.reader.references():
        found[row.subject].add(row.template.vector.tobytes())
    store.close()
    return found


def seeds(*numbers: int) -> set[bytes]:
    return {unit_vector(number).tobytes() for number in numbers}


@pytest.mark.parametrize("spoil", [
    "UPDATE subject SET template = zeroblob(768) WHERE name = 'Ada'",
    "UPDATE subject SET template = NULL WHERE name = 'Ada'",
    "UPDATE subject SET template = x'0011' WHERE name = 'Bob'",
    "UPDATE subject SET template = (SELECT vector FROM reference WHERE id = 4) WHERE id = 1",
])  # fmt: skip
def test_templates_are_worked_out_anew_after_a_copy(path: Path, spoil: str):
    sound = vectors(path)
    templates = path.read_bytes()
    damage(path, spoil)
    assert opened_check(path) != []
    spoilt = path.read_bytes()
    done = repair(path)
    assert done.sound and done.mended is not None and done.mended.templates == 1
    assert opened_check(path) == [] and vectors(path) == sound
    assert done.copy is not None and opened_check(done.copy) != [], "as it was before"
    assert done.copy.stat().st_mode & 0o777 == 0o600
    assert templates != spoilt


@pytest.mark.parametrize("spoil", [
    "UPDATE reference SET vector = zeroblob(768) WHERE id = 2",
    "UPDATE reference SET vector = x'00' WHERE id = 2",
    "UPDATE reference SET vector = CAST(vector || x'00000000' AS BLOB) WHERE id = 2",
    "UPDATE reference SET vector = 'a word' WHERE id = 2",
    "UPDATE reference SET landmarks = x'0011' WHERE id = 2",
])  # fmt: skip
def test_a_reference_without_a_template_is_set_aside_for_undo(path: Path, spoil: str):
    damage(path, spoil)
    done = repair(path)
    assert done.sound and done.mended is not None
    assert done.mended.set_aside == ((2, "Ada"),)
    assert vectors(path) == {"Ada": seeds(1), "Bob": seeds(3), "Cem": seeds(4)}
    store = GalleryFile.open(path)
    change, _, threshold = store.journal.changes()
    assert (change.name, change.references) == ("Ada", 1)
    assert threshold.kind is ChangeKind.THRESHOLD
    store.close()


def test_a_vector_that_is_not_of_unit_norm_is_set_aside(path: Path):
    with sqlite3.connect(path) as db:
        twice = (unit_vector(3) * 2).tobytes()
        db.execute("UPDATE reference SET vector = ? WHERE id = 3", (twice,))
    db.close()
    done = repair(path)
    assert done.sound and done.mended is not None and done.mended.set_aside == ((3, "Bob"),)
    assert sorted(vectors(path)) == ["Ada", "Cem"], "a subject goes with its last reference"


def test_orphans_are_dropped_only_when_said(path: Path):
    damage(path, "DELETE FROM reference WHERE subject_id = 2")
    damage(path, "UPDATE reference SET subject_id = 99 WHERE id = 4")
    done = repair(path)
    assert not done.sound and done.mended is not None
    assert any("points at no subject" in fault for fault in done.mended.faults)
    assert any("'Bob' has no reference" in fault for fault in done.mended.faults)
    done = repair(path, drop_orphans=True)
    assert done.mended is not None and done.mended.dropped == 3  # Bob, Cem and Cem's reference
    assert done.sound and vectors(path) == {"Ada": seeds(1, 2)}


def test_an_index_that_lies_is_built_anew(large: Path):
    with sqlite3.connect(large) as db:
        (root,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'reference_photo'"
        ).fetchone()
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DELETE FROM sqlite_master WHERE name = 'reference_photo'")
    db.close()
    with sqlite3.connect(large) as db:  # rows that the index does not know
        db.execute("DELETE FROM reference WHERE id > 590")
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "INSERT INTO sqlite_master VALUES ('index', 'reference_photo', 'reference', ?, "
            "'CREATE INDEX reference_photo ON reference(photo_sha256)')", (root,),
        )  # fmt: skip
    db.close()
    assert any("reference_photo" in fault for fault in opened_check(large))
    done = repair(large)
    assert done.sound, done
    assert opened_check(large) == []


def test_the_derived_index_goes(path: Path):
    derived = sidecar.path(path, sidecar.ScanKind.EIGHT)
    derived.write_bytes(sidecar.MAGIC)
    assert repair(path).sound and not derived.exists()


# beyond mending ------------------------------------------------------------------------------


def leaf_pages(path: Path) -> list[int]:
    """Offsets of the pages that hold references: table leaves with a vector in them."""
    data = path.read_bytes()
    inside = [unit_vector(seed).tobytes()[:64] for seed in range(600)]
    return [
        at for at in range(PAGE, len(data), PAGE)
        if data[at] == 13 and any(piece in data[at : at + PAGE] for piece in inside)
    ]  # fmt: skip


def references(path: Path) -> set[bytes]:
    return set().union(*vectors(path).values())


def test_what_a_damaged_page_leaves_is_recovered_into_a_new_file(large: Path):
    with sqlite3.connect(large) as db:
        rows = db.execute("SELECT id, vector FROM reference").fetchall()
    db.close()
    pages = leaf_pages(large)
    data = large.read_bytes()
    lost = data[pages[len(pages) // 2] :][:PAGE]
    there = {vector for _, vector in rows if vector[:64] in lost}
    assert 0 < len(there) < 100
    with large.open("r+b") as file:
        file.seek(pages[len(pages) // 2])
        file.write(b"\xff" * PAGE)
    spoilt = large.read_bytes()
    done = repair(large)
    assert not done.sound and done.mended is None and done.recovered is not None
    found = references(done.recovered.path)
    assert found == {vector for _, vector in rows} - there
    assert (done.recovered.references, done.recovered.subjects) == (600 - len(there), 100)
    assert large.read_bytes() == spoilt, "the damaged file is left as it is"
    assert opened_check(done.recovered.path) == []


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_never_lose_what_lies_elsewhere(large: Path, seed: int):
    """Sixteen bytes of noise in the head of a random page of references."""
    import random

    chance = random.Random(seed)
    page = chance.choice(leaf_pages(large))
    before = large.read_bytes()
    elsewhere = {
        vector for s in range(600)
        if (vector := unit_vector(s).tobytes())[:64] not in before[page : page + PAGE]
    } & references(large)  # fmt: skip
    with large.open("r+b") as file:
        file.seek(page + chance.randrange(0, 64))
        file.write(chance.randbytes(16))
    done = repair(large)
    kept = references(large if done.recovered is None else done.recovered.path)
    assert len(elsewhere - kept) == 0
    assert kept <= {unit_vector(s).tobytes() for s in range(600)}, "and nothing is made up"


def test_thresholds_are_recovered_and_names_that_are_lost_are_told(path: Path):
    data = path.read_bytes()
    page = next(
        at for at in range(PAGE, len(data), PAGE)
        if data[at] == 13 and b"AdaAda" in data[at : at + PAGE]
    )  # fmt: skip
    with path.open("r+b") as file:
        file.seek(page)
        file.write(b"\xff" * 200)
    done = repair(path)
    assert done.recovered is not None and done.recovered.nameless == 3
    assert vectors(done.recovered.path) == {
        "recovered subject 1": seeds(1, 2), "recovered subject 2": seeds(3),
        "recovered subject 3": seeds(4),
    }  # fmt: skip
    store = GalleryFile.open(done.recovered.path)
    choice = store.reader.calibration()
    assert choice is not None and choice.threshold == 0.5
    pairs = [(one.name, other.name) for one, other in store.reader.distinct()]
    assert pairs == [("recovered subject 1", "recovered subject 2")]
    store.close()


def test_two_who_have_one_name_after_the_damage_are_recovered_all_the_same(path: Path):
    with sqlite3.connect(path) as db:
        asked = "SELECT rootpage FROM sqlite_master WHERE name = 'revision'"
        (root,) = db.execute(asked).fetchone()
    db.close()
    data = path.read_bytes()
    (page,) = [at for at in range(PAGE, len(data), PAGE)
               if data[at] == 13 and b"AdaAda" in data[at : at + PAGE]]  # fmt: skip
    with path.open("r+b") as file:  # Bob's row says Ada, and a page that recovery needs not is gone
        file.seek(page)
        file.write(data[page : page + PAGE].replace(b"Bob", b"Ada"))
        file.seek((root - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    done = repair(path)
    assert done.recovered is not None
    assert references(done.recovered.path) == seeds(1, 2, 3, 4)


@pytest.mark.parametrize("seq", [2**62, -5, 10_000_001])
def test_ids_are_looked_for_within_reason_and_none_is_lost(large: Path, seq: int):
    far = 10_000_000  # where many came and went
    damage(large, f"UPDATE reference SET id = {far} WHERE id = 600")
    damage(large, f"UPDATE sqlite_sequence SET seq = {seq} WHERE name = 'reference'")
    before = references(large)
    pages = leaf_pages(large)
    with large.open("r+b") as file:
        file.seek(pages[0])
        file.write(b"\xff" * PAGE)
    began = process_time()
    done = repair(large)
    assert process_time() - began < 20, "a lie of SQLite's counter is not followed"
    assert done.recovered is not None
    found = references(done.recovered.path)
    assert len(before - found) < 100 and found <= before
    assert unit_vector(599).tobytes() in found, "nor is an id that is far above the others"


def test_a_file_that_does_not_say_what_it_is_cannot_be_recovered(path: Path, tmp_path: Path):
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4000)  # the schema
    with pytest.raises(GalleryError, match="use a backup"):
        repair(path)
    assert [p.name for p in tmp_path.iterdir() if "recovered" in p.name] == []
    with pytest.raises(GalleryError, match="no gallery"):
        repair(tmp_path / "none")


# the command ---------------------------------------------------------------------------------


def test_check_and_repair_from_the_command_line(path: Path, large: Path, tmp_path: Path):
    command = Command(tmp_path / "home")
    damage(path, "UPDATE subject SET template = NULL WHERE id = 1")
    assert command("gallery", "check", "-g", path).returncode == 4
    before = path.read_bytes()
    dry = command("gallery", "check", "--repair", "--dry-run", "-g", path)
    assert dry.returncode == 0 and dry.stdout.startswith("dry run, nothing was changed: worked out")
    assert path.read_bytes() == before and len(list(tmp_path.glob("g.facecli*"))) == 1
    done = command("gallery", "check", "--repair", "-g", path)
    assert done.returncode == 0 and "sound\nthe gallery as it was: " in done.stdout
    assert command("gallery", "check", "-g", path).returncode == 0
    with large.open("r+b") as file:
        file.seek(leaf_pages(large)[1])
        file.write(b"\xff" * PAGE)
    words = ["gallery", "check", "--repair", "-g", large]
    dry = command(*words, "--dry-run")
    assert dry.returncode == 4 and list(tmp_path.glob("large.facecli.recovered*")) == []
    done = command(*words)
    assert done.returncode == 4 and "could be read\nthey are in " in done.stdout
    assert len(list(tmp_path.glob("large.facecli.recovered*"))) == 1
    assert command("gallery", "check", "--drop-orphans", "-g", path).returncode == 2
