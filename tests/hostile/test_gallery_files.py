"""Files that are no sound gallery: one line and exit code 4, or a right answer; never changed."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database
from support import galleries
from support.sandbox import Facecli

from facecli.storage.sqlite import connection
from facecli.storage.sqlite.schema import migrations

STEPS = [migration.name for migration in migrations().pending(Database(memory=True))]


@pytest.fixture
def sound(enrolled: Path, tmp_path: Path) -> Path:
    """A copy of the gallery, alone in its folder, its log folded in."""
    path = tmp_path / "in" / "g.facecli"
    path.parent.mkdir()
    shutil.copy(enrolled, path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


def asked(facecli: Facecli, path: Path) -> set[int]:
    """Exit codes of commands that read it."""
    return {
        facecli("gallery", "list", "-g", path).code,
        facecli("gallery", "check", "-g", path).code,
    }


@pytest.mark.slow
def test_a_gallery_cut_anywhere(facecli: Facecli, sound: Path, good: Path) -> None:
    """Refused, or where only empty space was lost, all there: never an answer from the half."""
    whole = sound.read_bytes()
    for cut in (1, 16, 99, 100, 512, *range(5000, len(whole), 24_000), len(whole) - 1):
        sound.write_bytes(whole[:cut])
        done = facecli("identify", good, "-g", sound, "--json")
        codes = asked(facecli, sound) | {done.code}
        assert codes == {4} or json.loads(done.out)[0]["subject"] == "Grace", f"cut at {cut}"
        assert codes <= {0, 4} and sound.read_bytes()[:100] == whole[: min(cut, 100)]


@pytest.mark.slow
def test_a_gallery_with_bytes_turned_over(facecli: Facecli, sound: Path, good: Path) -> None:
    """SQLite has no checksums, so not all damage shows; none of it crashes a command."""
    whole, draw = sound.read_bytes(), random.Random(0)
    for number in range(14):
        wrong = bytearray(whole)
        for _ in range(1 << number % 7):
            wrong[draw.randrange(100 if number % 3 == 0 else len(wrong))] ^= 1 << draw.randrange(8)
        sound.write_bytes(wrong)
        assert facecli("identify", good, "-g", sound, "--json").code in (0, 4, 5, 6)
        assert asked(facecli, sound) <= {0, 4}
        assert facecli("gallery", "rename", "Grace", "Hopper", "-g", sound).code in (0, 4)
        for beside in sound.parent.glob("g.facecli-*"):
            beside.unlink()


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE subject (id, name, key, template)")
        db.execute("CREATE TABLE gallery (embedder_id, dimension, created_at)")
    db.close()


def altered(sql: str) -> object:
    """A gallery that somebody changed with other tools."""

    def change(path: Path) -> None:
        with sqlite3.connect(path) as db:
            db.executescript(sql)
        db.close()

    return change


REFUSED = {
    "random bytes": lambda path: path.write_bytes(random.Random(1).randbytes(60_000)),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("path,subject\na.jpg,Ada\n"),
    "another application's": foreign,
    "header only": lambda path: path.write_bytes(path.read_bytes()[:100] + bytes(50_000)),
    "newer": altered(f"PRAGMA user_version = {connection.SCHEMA_VERSION + 1}"),
    "no reference table": altered("PRAGMA foreign_keys=OFF; DROP TABLE reference"),
    "no gallery row": altered("DELETE FROM gallery"),
    "a dimension of text": altered("UPDATE gallery SET dimension = 'many'"),
    "a dimension below zero": altered("UPDATE gallery SET dimension = -192"),
    "a huge dimension": altered("UPDATE gallery SET dimension = 4611686018427387904"),
    "short vectors": altered("UPDATE subject SET template = 1"),
    "short references": altered("UPDATE reference SET vector = x'00'"),
    "vectors of text": altered("UPDATE subject SET template = 'v'"),
    "no landmarks": altered("UPDATE reference SET landmarks = x''"),
    "NaN": altered("UPDATE reference SET vector = zeroblob(768); "
                   "UPDATE subject SET template = randomblob(768)"),
}  # fmt: skip


# Their tables are sound, so that what is enrolled beside the damage is stored.
CHANGED_WITHIN = ("short vectors", "short references", "vectors of text", "no landmarks", "NaN")


@pytest.mark.parametrize("kind", REFUSED)
def test_no_sound_gallery_is_refused(facecli: Facecli, sound: Path, good: Path, kind: str) -> None:
    REFUSED[kind](sound)
    before = sound.read_bytes()
    said = facecli.refused(4, "gallery", "check", "-g", sound)
    assert str(sound) in said or "damaged" in said
    assert asked(facecli, sound) <= {0, 4}
    assert facecli("identify", good, "-g", sound).code in (0, 4)
    facecli("enroll", good, "-s", "Grace", "-g", sound)
    if kind not in CHANGED_WITHIN:
        assert sound.read_bytes() == before


def test_a_gallery_that_is_no_regular_file(facecli: Facecli, sound: Path, good: Path) -> None:
    folder = sound.parent
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")
    for name in ("zero", "loop", "fifo", ""):
        facecli.refused(4, "identify", good, "-g", folder / name)
        facecli.refused(4, "enroll", good, "-s", "Ada", "-g", folder / name)


def test_a_link_to_a_gallery_is_the_gallery(facecli: Facecli, sound: Path, good: Path) -> None:
    link = sound.parent / "link"
    link.symlink_to(sound)
    assert json.loads(facecli("identify", good, "-g", link, "--json").out)[0]["subject"] == "Grace"
    assert facecli("enroll", good, "-s", "Ada", "-g", link).code == 0
    assert link.is_symlink()
    rows = json.loads(facecli("gallery", "list", "-g", sound, "--json").out)
    assert {row["subject"] for row in rows} == {"Ada", "Grace"}


@pytest.mark.parametrize("step", range(1, len(STEPS)))
def test_every_older_schema_is_brought_up_to_date(
    facecli: Facecli, enrolled: Path, good: Path, tmp_path: Path, step: int
) -> None:
    """Made with the first `step` migrations, as that version of facecli left it."""
    with sqlite3.connect(enrolled) as new:
        gallery = new.execute("SELECT embedder_id, dimension, created_at FROM gallery").fetchone()
        subject = new.execute("SELECT name, key, template, created_at FROM subject").fetchone()
        face = new.execute(
            "SELECT vector, x1, y1, x2, y2, landmarks, detection_score, quality, photo_sha256, "
            "face, path, enrolled_at FROM reference"
        ).fetchone()
    new.close()
    old = sqlite3.connect(tmp_path / "g", isolation_level=None)
    migrations().apply(Database(old), stop_before=STEPS[step])
    old.execute(
        "INSERT INTO gallery (id, embedder_id, dimension, created_at) VALUES (1, ?, ?, ?)", gallery
    )
    old.execute("INSERT INTO subject (name, key, template, created_at) VALUES (?,?,?,?)", subject)
    marks = ",".join("?" * len(face))
    old.execute(
        "INSERT INTO reference (subject_id, vector, x1, y1, x2, y2, landmarks, detection_score, "
        f"quality, photo_sha256, face, path, enrolled_at) VALUES (1, {marks})", face,
    )  # fmt: skip
    old.execute(f"PRAGMA application_id = {connection.APPLICATION_ID}")
    old.execute(f"PRAGMA user_version = {step}")
    old.close()
    rows = json.loads(facecli("identify", good, "-g", tmp_path / "g", "--json").out)
    assert [row["subject"] for row in rows] == ["Grace"]
    assert facecli("gallery", "check", "-g", tmp_path / "g").code == 0


EXPORTS = {
    "random bytes": lambda whole: random.Random(2).randbytes(5000),
    "empty": lambda whole: b"",
    "half": lambda whole: whole[: len(whole) // 2],
    "the last line lost": lambda whole: whole.splitlines(keepends=True)[0],
    "a line twice": lambda whole: whole + whole.splitlines(keepends=True)[-1],
    "one endless line": lambda whole: whole.replace(b"\n", b" ") + b"x" * (1 << 21),
    "brackets": lambda whole: whole.splitlines(keepends=True)[0] + b"[" * 500_000,
    "SQL in a number": lambda whole: whole.replace(b'"face": 0', b'"face": "0); DROP TABLE"'),
    "a digest of digits": lambda whole: set_field(whole, "photo_sha256", int("1" * 64)),
    "a name that escapes": lambda whole: set_field(whole, "subject", "\x1b[31mred"),
    "another's": lambda whole: whole.replace(b"facecli-gallery", b"contacts"),
    "a newer version": lambda whole: whole.replace(b'"version": 1', b'"version": 99'),
}


def set_field(whole: bytes, field: str, value: object) -> bytes:
    head, line = whole.splitlines()
    return b"\n".join([head, json.dumps({**json.loads(line), field: value}).encode()])


@pytest.mark.parametrize("kind", EXPORTS)
def test_a_damaged_export_is_refused_whole(
    facecli: Facecli, enrolled: Path, good: Path, tmp_path: Path, kind: str
) -> None:
    assert facecli("gallery", "export", tmp_path / "out", "-g", enrolled).code == 0
    changed = EXPORTS[kind]((tmp_path / "out").read_bytes())
    (tmp_path / "in").write_bytes(changed)
    facecli.refused(4, "gallery", "import", tmp_path / "in", "-g", tmp_path / "g")
    assert facecli("gallery", "list", "-g", tmp_path / "g", "--json").out.strip() == "[]"


def test_an_export_that_never_ends_is_refused(facecli: Facecli, tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    for name in ("zero", "fifo", "none", ""):
        facecli.refused(4, "gallery", "import", tmp_path / name, "-g", tmp_path / "g")


def test_the_made_up_references_of_other_tests_pass(facecli: Facecli, tmp_path: Path) -> None:
    """The refusals above are of what was wrong, not of any small gallery."""
    store = galleries.new_store(tmp_path / "g")
    store.add([galleries.reference("Ada", 1)])
    store.close()
    assert facecli("gallery", "check", "-g", tmp_path / "g").code == 0


def test_a_schema_that_is_no_text(facecli: Facecli, sound: Path) -> None:
    whole = sound.read_bytes()
    name = b"\xc0\xff\xe1\xc0\xff\xe1\xc0"
    spoilt = whole.replace(b"tablecustodycustody", b"table" + name + b"custody")
    spoilt = spoilt.replace(b"CREATE TABLE custody (", b"CRXATE TABLE custody (")
    assert spoilt != whole
    sound.write_bytes(spoilt)
    for words in (("list",), ("check",), ("rename", "Grace", "Ada")):
        done = facecli("gallery", *words, "-g", sound)
        assert done.code == 4, words
        assert "its schema is no text" in done.err and "Traceback" not in done.err
