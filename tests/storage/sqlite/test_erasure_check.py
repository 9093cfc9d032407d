"""Erasing people: every file on disk is searched for their bytes, by other means than there."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from support.galleries import (
    EMBEDDER,
    Command,
    draft_left_by_a_kill,
    environment,
    new_store,
    reference,
    unit_vector,
)
from support.patience import LAST_RESORT

from facecli.common.errors import GalleryError
from facecli.storage.interface import Called, Group
from facecli.storage.records import mean_template
from facecli.storage.search import sidecar
from facecli.storage.sqlite import erasure_check, files_beside
from facecli.storage.sqlite.byte_search import Needles
from facecli.storage.sqlite.connection import FileKind
from facecli.storage.sqlite.store import GalleryFile

GRACE = "Grace Hopper"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A gallery of many small writes and moves, so that pages split and rows move."""
    path = tmp_path / "g.facecli"
    store = new_store(path)
    for seed in range(200):
        store.add([reference(f"Subject {seed % 40:02}", seed)])
    store.add([reference(GRACE, 1000), reference(GRACE, 1001)])
    store.close()
    return path


def bits(*seeds: int) -> list[bytes]:
    """Four 16-byte pieces of each vector: enough to tell it from all others."""
    return [
        unit_vector(seed).tobytes()[at : at + 16] for seed in seeds for at in (0, 240, 496, 752)
    ]


def on_disk(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())


def held(folder: Path, pieces: list[bytes]) -> list[bytes]:
    data = on_disk(folder)
    return [piece for piece in pieces if piece in data]


MEAN = mean_template([unit_vector(1000), unit_vector(1001)]).tobytes()[100:132]
TEXTS = [GRACE.encode(), b"photos/Grace", b"Grace", b"Hopper"]


def test_a_removal_keeps_the_bytes_and_a_purge_does_not(path: Path):
    store = GalleryFile.open(path)
    store.remove(GRACE)
    assert held(path.parent, bits(1000, 1001)) == bits(1000, 1001), "they can be brought back"
    done = store.erase(Called(GRACE))
    assert (done.complete, done.verified.files, done.verified.remains) == (True, 3, ())
    assert (len(done.deleted.people), done.deleted.references) == (1, 2)
    paths = {f"photos/{GRACE}/{number}.jpg" for number in (1000, 1001)}
    assert done.deleted.texts == {GRACE, *paths}, "what is looked for in the files"
    while_open = held(path.parent, [*bits(1000, 1001), *TEXTS, MEAN])
    store.close()
    assert while_open == held(path.parent, [*bits(1000, 1001), *TEXTS, MEAN]) == []
    assert held(path.parent, bits(*range(200))) == bits(*range(200)), "the others stay"
    opened = GalleryFile.open(path)
    assert opened.reader.check() == [] and opened.journal.changes() == ()
    opened.close()


def test_who_is_enrolled_goes_with_former_names_and_whom_was_merged_into_them(path: Path):
    store = GalleryFile.open(path)
    store.add([reference("Amazing Grace", 1001, 1001), reference("Amazing Grace", 1002)])
    store.remove_reference("Amazing Grace", max(r.id for r in store.reader.references()))
    store.merge("Amazing Grace", GRACE)  # a double, which the journal keeps
    store.rename(GRACE, "The Admiral")
    done = store.erase(Called("The Admiral"))
    store.close()
    assert done.complete and done.deleted.references == 4 and done.deleted.changes == 3
    gone = [*bits(1000, 1001, 1002), *TEXTS, MEAN, b"Amazing", b"The Admiral"]
    assert held(path.parent, gone) == []


@pytest.mark.parametrize(("name", "says"), [
    ("Nobody", "nobody called 'Nobody'"),
    ("Subject 00", "merge to 'Subject 01'"),
    ("Subject 02", "rename to 'Somebody'"),
])  # fmt: skip
def test_a_name_that_is_no_subject_s_erases_nobody(path: Path, name: str, says: str):
    store = GalleryFile.open(path)
    store.merge("Subject 00", "Subject 01")
    store.rename("Subject 02", "Somebody")
    counts = store.reader.counts()
    with pytest.raises(GalleryError, match=says):
        store.erase(Called(name))
    assert store.reader.counts() == counts and len(store.journal.changes()) == 2
    store.close()


def test_purging_the_removed_leaves_the_enrolled(path: Path):
    store = GalleryFile.open(path)
    store.remove(GRACE)
    store.remove_reference("Subject 03", 4)  # seed 3
    store.rename("Subject 04", "Ada Lovelace")
    done = store.erase(Group.REMOVED)
    assert done.complete and (len(done.deleted.people), done.deleted.references) == (1, 3)
    assert store.reader.counts() == (40, 199) and store.journal.changes() == ()
    store.close()
    assert held(path.parent, [*bits(1000, 1001, 3), *TEXTS, b"Subject 04\0"]) == []
    assert held(path.parent, bits(4, 5, 43)) == bits(4, 5, 43)


def test_purging_all_leaves_an_empty_gallery_of_its_embedder(path: Path):
    store = GalleryFile.open(path)
    store.remove(GRACE)
    embedder = store.reader.embedder_id
    done = store.erase(Group.EVERYBODY)
    assert done.complete and len(done.deleted.people) == 41
    assert store.reader.counts() == (0, 0) and store.reader.check() == []
    store.close()
    assert held(path.parent, [*bits(*range(200), 1000, 1001), *TEXTS, b"Subject", b".jpg"]) == []
    again = GalleryFile.create(path, embedder, 192)
    assert again.add([reference("Ada", 1)]) == 1
    again.close()


def test_a_short_name_is_looked_for_too(tmp_path: Path):
    store = new_store(tmp_path / "g")
    store.add([reference("Bo", 1), reference("Ada", 2)])
    done = store.erase(Called("Bo"))
    assert done.complete and done.verified.shared == 0
    store.close()
    assert held(tmp_path, [b"BoBo", b"photos/Bo/"]) == []


# what keeps bytes ----------------------------------------------------------------------------


def test_a_reader_in_the_way_is_told_of_and_the_bytes_go_later(path: Path, monkeypatch):
    monkeypatch.setattr("facecli.storage.sqlite.connection.BUSY_SECONDS", 0.2)  # only to wait less
    store = GalleryFile.open(path)
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subject").fetchone()
    done = store.erase(Called(GRACE))
    assert done.busy and not done.complete
    assert path in done.verified.remains and held(path.parent, bits(1000)) == bits(1000)
    assert [s.name for s in store.reader.subjects() if s.name == GRACE] == [], (
        "nobody finds her any more"
    )
    assert any("erasure was not finished" in fault for fault in store.reader.check())
    reader.close()
    assert store.erase(Group.REMOVED).complete
    assert store.reader.check() == []
    store.close()
    assert held(path.parent, [*bits(1000, 1001), *TEXTS]) == []


def test_the_command_says_what_remains_with_exit_code_4(path: Path, tmp_path: Path):
    command = Command(tmp_path / "home")
    code = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('BEGIN');"
        "db.execute('SELECT count(*) FROM subject').fetchone(); print('in', flush=True);"
        "sys.stdin.read()"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdout is not None and reader.stdout.readline() == b"in\n"
    slow = (
        "from facecli import cli; from facecli.storage.sqlite import connection; "
        "connection.BUSY_SECONDS = 0.3; cli.main()"
    )
    words = [sys.executable, "-c", slow, "gallery", "purge", GRACE, "--yes", "-g", str(path)]
    done = subprocess.run(
        words, env=environment(command.home), capture_output=True, text=True, check=False
    )
    assert done.returncode == 4, done.stderr
    assert "NOT complete" in done.stdout and "another program reads the gallery" in done.stdout
    reader.communicate()
    done = command("gallery", "purge", "--removed", "--yes", "-g", path)
    assert done.returncode == 0 and "verified: 0 occurrences" in done.stdout
    assert held(path.parent, [*bits(1000, 1001), *TEXTS]) == []


def test_derived_files_and_what_kills_left_go(path: Path):
    store = GalleryFile.open(path)
    kinds = [sidecar.path(path, kind) for kind in sidecar.ScanKind]
    for file in kinds:
        file.write_bytes(sidecar.MAGIC + unit_vector(1000).tobytes())
    draft = draft_left_by_a_kill(kinds[0], "draft", unit_vector(1000).tobytes())
    handles = [os.open(file, os.O_RDONLY) for file in (*kinds, draft / "draft")]
    done = store.erase(Called(GRACE))
    store.close()
    assert done.complete
    assert [file for file in (*kinds, draft) if file.exists()] == []
    for handle in handles:  # overwritten, and not only unlinked
        assert os.pread(handle, 1 << 20, 0) == b""
        os.close(handle)


def test_what_only_has_such_a_name_is_the_user_s_and_is_told_of(path: Path):
    """A file is facecli's by what it says of itself, never by its name."""
    secret, store = unit_vector(1000).tobytes(), GalleryFile.open(path)
    names = [path.name + end for end in (".rabitq", ".eight", ".re-embed-notes", ".re-embed-grid")]
    files = [path.with_name(name) for name in (*names, f".{path.name}.x1")]
    for file in files:
        file.write_bytes(b"..." + secret)
    folders = [path.with_name(f".{path.name}.facecli-{end}") for end in ("holidays", "01234567")]
    for folder in folders:
        folder.mkdir(0o700)
        (folder / "draft").write_bytes(b"a letter")
    done = store.erase(Called(GRACE))
    store.close()
    assert sorted(done.verified.copies) == sorted(files)
    assert [file.read_bytes() for file in files] == [b"..." + secret] * len(files)
    assert [(folder / "draft").read_bytes() for folder in folders] == [b"a letter"] * 2


def test_the_work_of_a_re_embedding_goes_and_a_gallery_of_that_name_stays(path: Path):
    ours = files_beside.work_path(path, "grid")
    theirs = files_beside.work_path(path, "sface")
    GalleryFile.create(ours, EMBEDDER, 192, None, (FileKind.WORK,)).close()
    new_store(theirs).close()
    with pytest.raises(GalleryError, match="work of a re-embedding that was not finished"):
        GalleryFile.open(ours)
    store = GalleryFile.open(path)
    assert [line.split("`")[1] for line in store.unfinished()] == [
        "facecli gallery re-embed --model grid"
    ]
    store.erase(Called(GRACE))
    assert store.unfinished() == ()
    store.close()
    assert theirs.exists() and not ours.exists()


def test_other_names_of_the_file_are_erased_too_and_what_lies_beside_them_is_not_known(path: Path):
    other = path.parent / "elsewhere" / "h.facecli"
    other.parent.mkdir()
    os.link(path, other)
    store = GalleryFile.open(path)
    done = store.erase(Called(GRACE))
    store.close()
    assert not done.failed and not done.complete
    assert done.unproven == ("what lies beside other names of the file, which are hard links: 1",)
    assert held(other.parent, [*bits(1000, 1001), *TEXTS]) == []


def test_what_remains_in_the_gallery_s_own_files_is_found(path: Path):
    store = GalleryFile.open(path)
    deleted = store.purge(Called(GRACE))  # the rows alone, no byte overwritten
    seen = erasure_check.find_remains(path, deleted, store.reader.held)
    assert path in seen.remains and seen.copies == ()
    assert store.compact()
    assert erasure_check.find_remains(path, deleted, store.reader.held).remains == ()
    store.close()


def test_copies_in_the_folder_are_named_and_left(path: Path):
    store = GalleryFile.open(path)
    copy, unrelated = path.with_name("backup.facecli"), path.with_name("notes.txt")
    store.copy_to(copy, copy)
    unrelated.write_text(f"{GRACE} was here")
    done = store.erase(Called(GRACE))
    store.close()
    assert done.complete and done.verified.copies == (copy,)
    assert copy.exists() and unrelated.exists()


def test_what_others_share_is_told_apart(tmp_path: Path):
    store = new_store(tmp_path / "g")
    twins = [reference("Ada", 1), reference("Ada Lovelace", 1), reference("Bob Ross", 2)]
    store.add(twins)  # one photo under two names, one of which holds the other
    done = store.erase(Called("Ada Lovelace"))
    assert done.complete and done.verified.shared == 4, "the vector's pieces are Ada's, too"
    done = store.erase(Called("Bob Ross"))
    assert done.complete and done.verified.shared == 0
    store.close()


@pytest.mark.parametrize(
    ("stays", "held_by_it"),
    [("Ada Bell 15", True), ("Ada Bell 1", True), ("Ada Bell 27", True), ("Lda Bell 15", True),
     ("Eva Bell 15", False), ("Ada Bell", False)],
)  # fmt: skip
def test_a_like_name_holds_all_but_the_first_or_the_last_two_letters(
    tmp_path: Path, stays: str, held_by_it: bool
) -> None:
    with closing(new_store(tmp_path / "g")) as store:
        store.add([reference(stays, 1)])
        assert store.reader.held({b"Ada Bell 15"}) == ({b"Ada Bell 15"} if held_by_it else set())


ERASER = """
import sys
from pathlib import Path
from facecli.storage.interface import Called, Group
from facecli.storage.sqlite.store import GalleryFile
store = GalleryFile.open(Path(sys.argv[1]))
print("in", flush=True)
store.erase(Called("Grace Hopper"))
"""


@pytest.mark.parametrize("milliseconds", [0, 2, 4, 8, 12, 16, 24, 40])
def test_a_killed_erasure_did_all_or_nothing_and_is_ended_by_the_next(path: Path, milliseconds):
    eraser = subprocess.Popen(
        [sys.executable, "-c", ERASER, str(path)], stdout=subprocess.PIPE,
        env=environment(path.parent),
    )  # fmt: skip
    assert eraser.stdout is not None and eraser.stdout.readline() == b"in\n"
    time.sleep(milliseconds / 1000)
    eraser.kill()
    eraser.communicate()
    store = GalleryFile.open(path)
    there = GRACE in {subject.name for subject in store.reader.subjects()}
    assert store.reader.counts() == ((41, 202) if there else (40, 200))
    unfinished = [fault for fault in store.reader.check() if "erasure was not finished" in fault]
    assert store.reader.check() == unfinished
    if there:
        assert len(store.reader.vectors(store.reader.find(GRACE).id)[0]) == 2 and not unfinished
    else:
        assert store.erase(Group.REMOVED).complete and store.reader.check() == []
    store.close()
    assert held(path.parent, bits(1000, 1001)) == (bits(1000, 1001) if there else [])


def test_a_name_that_goes_on_by_chance_is_no_remnant(tmp_path: Path):
    """`Ada 1` before a template that begins with the byte `5` looks like `Ada 15`."""
    store = new_store(tmp_path / "g")
    vector = unit_vector(1)
    chance = reference("Ada Bell 1", 1)
    bytes_ = bytearray(vector.tobytes())
    bytes_[0] = ord("5")
    vector = np.frombuffer(bytes(bytes_), np.float32)
    object.__setattr__(chance.found.template, "vector", vector)
    store.add([chance, reference("Ada Bell 15", 2)])
    done = store.erase(Called("Ada Bell 15"))
    assert b"Ada Bell 15" in on_disk(tmp_path), "though nobody is called so"
    assert done.complete and done.verified.shared >= 1
    store.close()


# the search ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [4, 5, 10, 11, 22, 23, 24, 32, 100])
def test_needles_are_found_at_every_offset_and_across_blocks(tmp_path: Path, monkeypatch, length):
    monkeypatch.setattr("facecli.storage.sqlite.byte_search._BLOCK", 1 << 10)
    made = np.random.default_rng(length)
    needles, absent = made.bytes(length * 400), [made.bytes(length) for _ in range(50)]
    present = [needles[i : i + length] for i in range(0, len(needles), length)]
    hay = b"".join(piece + made.bytes(i % 61) for i, piece in enumerate(present))
    (tmp_path / "hay").write_bytes(hay)
    assert Needles([*present, *absent]).found(tmp_path / "hay") == set(present)
    (tmp_path / "hay").write_bytes(b"\1" * 3 + present[0])
    assert Needles([present[0]]).found(tmp_path / "hay") == {present[0]}
    (tmp_path / "hay").write_bytes(present[0][:-1])
    assert Needles([present[0]]).found(tmp_path / "hay") == set()
    assert Needles([]).found(tmp_path / "hay") == set()


# the command ---------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path_factory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


def test_the_receipt_tells_what_was_done_and_not_to_whom(command, path: Path, tmp_path: Path):
    receipt = tmp_path / "out" / "receipt.json"
    receipt.parent.mkdir()
    done = command("gallery", "purge", GRACE, "-y", "--receipt", receipt, "-g", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("erased 1 person, 2 references and 0 changes")
    assert "verified: 0 occurrences of" in done.stdout
    assert "backups, exports and copies elsewhere are yours" in done.stdout
    row = json.loads(receipt.read_text())
    store = GalleryFile.open(path)
    assert (
        row["people"] == [store.reader.hashed(GRACE)]
        and row["gallery"] == store.reader.gallery_id()
    )
    store.close()
    assert (row["references"], row["complete"], row["files_that_still_hold_some"]) == (2, True, 0)
    assert row["facecli"] and row["at"].endswith("Z")
    assert "Grace" not in receipt.read_text()
    assert stat.S_IMODE(receipt.stat().st_mode) == 0o600
    words = ["gallery", "purge", "Subject 01", "-y", "--receipt", receipt, "--names", "--json"]
    assert command(*words, "-g", path).returncode == 2, "the first receipt is there"
    words.append("--force")
    row = json.loads(command(*words, "-g", path).stdout)
    assert row["complete"] and row["remains"] == []
    assert json.loads(receipt.read_text())["names"] == ["Subject 01"]


@pytest.mark.parametrize("words", [
    [], ["--all", "--removed"], ["Grace Hopper", "--all"], ["--all", "--names"],
])  # fmt: skip
def test_who_is_meant_must_be_said(command: Command, path: Path, words: list[str]):
    done = command("gallery", "purge", *words, "--yes", "-g", path)
    assert (done.returncode, done.stdout) == (2, "")


def test_without_a_terminal_it_wants_yes_and_with_one_it_asks(command: Command, path: Path):
    before = path.read_bytes()
    done = command("gallery", "purge", GRACE, "-g", path)
    assert (done.returncode, done.stdout) == (2, "") and "--yes" in done.stderr
    assert "erase 1 person, 2 references" in done.stderr
    assert path.read_bytes() == before
    assert answered(command, path, "n\n") == 2
    assert path.read_bytes() == before
    assert answered(command, path, "y\n") == 0
    assert held(path.parent, bits(1000, 1001)) == []


def answered(command: Command, path: Path, answer: str) -> int:
    """Purge on a terminal on which somebody answers."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        command.arguments("gallery", "purge", GRACE, "-g", path), stdin=theirs,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(command.home),
    )  # fmt: skip
    os.write(ours, answer.encode())
    done.communicate(timeout=LAST_RESORT)
    os.close(ours)
    os.close(theirs)
    return done.returncode


def test_pages_are_overwritten_in_place_before_the_file_is_written_anew(path: Path) -> None:
    """What VACUUM gives back to the disk must hold nobody: `secure_delete` sees to that, and that
    the log was emptied into the file before.
    """
    pieces, at_vacuum = bits(1000, 1001), []
    store = GalleryFile.open(path)
    assert store.compact() and held(path.parent, pieces) == pieces
    store.purge(Called(GRACE))
    assert held(path.parent, pieces), "in the file until its log is emptied into it"
    store._db.set_trace_callback(
        lambda sql: at_vacuum.append(path.read_bytes()) if sql == "VACUUM" else None
    )
    assert store.compact()
    store._db.set_trace_callback(None)
    (then,) = at_vacuum
    assert [piece for piece in pieces if piece in then] == []
    assert held(path.parent, pieces) == []
    store.close()


def test_compacting_gives_back_room_and_leaves_an_empty_log(path: Path) -> None:
    store = GalleryFile.open(path)
    for number in range(2, 40):
        store.purge(Called(f"Subject {number:02}"))
    log, before = path.with_name(path.name + "-wal"), path.stat().st_size
    assert log.stat().st_size > 0
    assert store.compact()
    assert log.stat().st_size == 0, "what is in the log is in the file"
    assert path.stat().st_size < 0.6 * before
    assert store._db.execute("PRAGMA freelist_count").fetchone() == (0,)
    store.close()


def test_compacting_says_where_a_reader_keeps_the_old_pages(path: Path, monkeypatch) -> None:
    """One that reads what was before keeps its log; and nothing is written anew then."""
    monkeypatch.setattr("facecli.storage.sqlite.connection.BUSY_SECONDS", 0.2)  # only to wait less
    store = GalleryFile.open(path)
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subject").fetchone()
    store.purge(Called(GRACE))
    before = path.read_bytes()
    assert not store.compact()
    assert path.read_bytes() == before
    reader.close()
    assert store.compact()
    store.close()
