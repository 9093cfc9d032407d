"""Where nothing can be written, no memory shared, no file linked; full disks, and power cuts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.galleries import environment, hopper, new_store, old_gallery, reference
from support.patience import LAST_RESORT
from support.read_only import NEEDS_READ_ONLY, Unprivileged, closed

from facecli.common.errors import GalleryError
from facecli.storage.sqlite.store import GalleryFile


def python(code: str, home: Path, *arguments: object) -> subprocess.Popen[str]:
    variables = environment(home)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], env=variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
def command(tmp_path_factory: pytest.TempPathFactory) -> Unprivileged:
    return Unprivileged(tmp_path_factory.mktemp("home"))


# nothing can be written ----------------------------------------------------------------------


@NEEDS_READ_ONLY
def test_a_gallery_that_may_only_be_read_answers(command: Unprivileged, tmp_path: Path):
    path = tmp_path / "disc" / "g.facecli"
    command("enroll", hopper(), "-s", "Grace", "-g", path)
    before = path.read_bytes()
    closed(path.parent)
    try:
        found = command("identify", hopper(), "-g", path, "--csv")
        assert (found.returncode, found.stderr) == (0, "") and ",identified,Grace," in found.stdout
        same = command("verify", hopper(), hopper(), "-g", path)
        assert (same.returncode, same.stderr) == (0, "")
        for words in (["list"], ["info"], ["show", "Grace"], ["check"], ["undo", "--list"],
                      ["export", tmp_path / "out"], ["backup", tmp_path / "copy"]):  # fmt: skip
            done = command("gallery", *words, "-g", path)
            assert (done.returncode, done.stderr) == (0, ""), words
        for words in (["rename", "Grace", "Ada"], ["remove", "Grace"], ["log", "--on"]):
            done = command("gallery", *words, "-g", path)
            assert (done.returncode, done.stdout) == (4, "")
            assert "check that you may write to the file and its folder" in done.stderr
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@NEEDS_READ_ONLY
def test_what_a_writer_left_beside_a_gallery_that_may_only_be_read_is_not_passed_over(
    command: Unprivileged, tmp_path: Path
):
    store = new_store(tmp_path / "g.facecli")
    store.add([reference("Ada", 1)])
    disc = tmp_path / "disc"
    disc.mkdir()
    for end in ("", "-wal"):  # as a crash, or a copy of a gallery in use, leaves them
        shutil.copy(f"{store.path}{end}", disc)
    store.close()
    closed(disc)
    try:
        done = command("gallery", "list", "-g", disc / "g.facecli")
    finally:
        disc.chmod(0o700)
    assert (done.returncode, done.stdout) == (4, "")
    assert "last changes are still in g.facecli-wal" in done.stderr
    (disc / "g.facecli").chmod(0o600)
    (disc / "g.facecli-wal").chmod(0o600)
    assert "Ada" in command("gallery", "list", "-g", disc / "g.facecli").stdout


@NEEDS_READ_ONLY
def test_a_search_that_cannot_be_logged_is_not_made(command: Unprivileged, tmp_path: Path):
    path = tmp_path / "disc" / "g"
    command("enroll", hopper(), "-s", "Grace", "-g", path)
    assert command("gallery", "log", "--on", "-g", path).returncode == 0
    closed(path.parent)
    try:
        done = command("identify", hopper(), "-g", path)
    finally:
        path.parent.chmod(0o700)
    assert (done.returncode, done.stdout) == (4, "") and "may write" in done.stderr


@NEEDS_READ_ONLY
def test_an_older_gallery_that_may_only_be_read_says_what_to_do(
    command: Unprivileged, tmp_path: Path
):
    (tmp_path / "disc").mkdir()
    old_gallery(tmp_path / "disc" / "g")
    closed(tmp_path / "disc")
    try:
        done = command("gallery", "list", "-g", tmp_path / "disc" / "g")
    finally:
        (tmp_path / "disc").chmod(0o700)
    assert done.returncode == 4 and "older facecli (schema 1)" in done.stderr


# file systems that lack something ------------------------------------------------------------

UNSHARED = """
import sqlite3, sys
from pathlib import Path
whole = sqlite3.connect
def connect(where, **more):  # SQLite's own file system without shared memory and locks
    if where == ":memory:":  # what a schema is compared with
        return whole(where, **more)
    where = where if str(where).startswith("file:") else Path(where).absolute().as_uri()
    return whole(where + ("&" if "?" in where else "?") + "vfs=unix-none", **more | {"uri": True})
sqlite3.connect = connect
from facecli.storage.maintenance.backup import backup
from facecli.storage.sqlite.store import GalleryFile
from support.galleries import new_store, reference
for name in sys.argv[1:]:
    store = new_store(Path(name))
    store.add([reference("Bob", 2)])
    store.close()
    store = GalleryFile.open(Path(name))
    backup(store, Path(name + ".copy"))
    mode = store._db.execute("PRAGMA journal_mode").fetchone()[0]
    print(mode, *store.reader.check(), *(s.name for s in store.reader.subjects()))
    store.close()
"""


def test_without_shared_memory_a_new_gallery_works_and_one_from_elsewhere_keeps_its_log(
    tmp_path: Path,
):
    elsewhere, moved = new_store(tmp_path / "a"), tmp_path / "b"
    elsewhere.add([reference("Ada", 1)])
    for end in ("", "-wal"):
        shutil.copy(f"{elsewhere.path}{end}", f"{moved}{end}")
    elsewhere.close()
    done = python(UNSHARED, tmp_path, tmp_path / "new", moved)
    assert done.communicate(timeout=LAST_RESORT) == ("delete Bob\ndelete Ada Bob\n", "")
    for path, names in ((tmp_path / "new", ["Bob"]), (moved, ["Ada", "Bob"])):
        for copy in (path, path.with_name(path.name + ".copy")):
            store = GalleryFile.open(copy)
            assert [s.name for s in store.reader.subjects()] == names and store.reader.check() == []
            store.close()


UNLINKED = """
import os, sys
from pathlib import Path
def link(*_):  # as memory cards answer
    raise PermissionError(1, "Operation not permitted")
os.link = link
from support.galleries import new_store, reference
import facecli.storage.sqlite.schema
print("in", flush=True)
sys.stdin.readline()
new_store(Path(sys.argv[1])).add([reference(f"S{sys.argv[2]}", int(sys.argv[2]))])
"""


def test_without_hard_links_two_that_make_a_gallery_at_once_lose_nothing(tmp_path: Path):
    variables = environment(tmp_path)
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", UNLINKED, str(tmp_path / "g"), str(number)], env=variables,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip
    for maker in makers:
        assert maker.stdout is not None and maker.stdout.readline() == "in\n"
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    for maker in makers:
        assert maker.communicate(timeout=LAST_RESORT)[1] == ""
    store = GalleryFile.open(tmp_path / "g")
    assert [s.name for s in store.reader.subjects()] == ["S0", "S1", "S2", "S3"]
    store.close()


# power cuts and full disks -------------------------------------------------------------------


def test_a_log_cut_anywhere_gives_the_gallery_as_of_some_write(tmp_path: Path):
    store = new_store(tmp_path / "g.facecli")
    for seed in range(12):
        store.add([reference(f"S{seed}", seed)])
    whole = {end: Path(f"{store.path}{end}").read_bytes() for end in ("", "-wal")}
    store.close()
    counts = []
    for cut in range(0, len(whole["-wal"]), len(whole["-wal"]) // 40):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "g").write_bytes(whole[""])
        (folder / "g-wal").write_bytes(whole["-wal"][:cut])
        after = GalleryFile.open(folder / "g")
        assert after.reader.check() == []
        subjects, references = after.reader.counts()
        assert subjects == references == len(after.reader.templates().ids)
        counts.append(subjects)
        after.close()
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] >= 10
    assert len(set(counts)) > 8


FULL = """
import resource, sys
from pathlib import Path
from facecli.storage.interface import Called
from facecli.storage.maintenance.backup import backup
from facecli.common.errors import FacecliError
from facecli.storage.export import export, import_
from facecli.storage.records import CalibrationRow
from facecli.storage.sqlite.store import GalleryFile
from support.galleries import reference
store = GalleryFile.open(Path(sys.argv[1]))
folder, row = store.path.parent, CalibrationRow("by hand", "none", None, 0.5, None, "", "")
verbs = {
    "add": lambda: store.add([reference("New", 99)]), "rename": lambda: store.rename("S1", "T1"),
    "merge": lambda: store.merge("S1", "S2"), "remove": lambda: store.remove("S3"),
    "undo": store.journal.undo, "calibrate": lambda: store.calibrate(row),
    "import": lambda: import_(store, folder / "in"),
    "export": lambda: export(store.reader, folder / "o"),
    "backup": lambda: backup(store, folder / "b"), "purge": lambda: store.erase(Called("S4")),
    "migrate": lambda: GalleryFile.open(folder / "old" / "g"),
}
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for name, verb in verbs.items():
    try:
        verb()
    except FacecliError as error:
        assert "disk" in str(error) or "File too large" in str(error), (name, error)
        assert "\\n" not in str(error) and "damaged" not in str(error), (name, error)
        print(name)
"""


@pytest.mark.parametrize("room", [0, 20_000, 200_000])
def test_a_full_disk_is_one_line_and_nothing_is_lost(tmp_path: Path, room: int):
    """No file may grow past `room`, whatever is being done."""
    from facecli.storage.export import export

    store = new_store(tmp_path / "g.facecli")
    store.add([reference(f"S{seed}", seed) for seed in range(8)])
    store.remove("S0")
    export(store.reader, tmp_path / "in")
    before = store.journal.changes()
    (tmp_path / "old").mkdir()
    old_gallery(tmp_path / "old" / "g")
    store.close()
    done = python(FULL, tmp_path, store.path, room)
    out, errors = done.communicate(timeout=LAST_RESORT)
    assert (done.returncode, errors) == (0, "")
    failed = out.split()
    assert len(failed) >= 2
    after, old = GalleryFile.open(store.path), GalleryFile.open(tmp_path / "old" / "g")
    left = [fault for fault in after.reader.check() if "erasure was not finished" not in fault]
    assert (left, old.reader.check()) == ([], [])
    if room == 0:
        assert len(failed) == 11
        assert (after.reader.counts(), after.journal.changes()) == ((7, 7), before)
    assert list(tmp_path.glob(".*")) == [] and (tmp_path / "b").exists() == ("backup" not in failed)
    after.close()
    old.close()


def test_a_folder_in_the_place_of_the_log_is_one_line(tmp_path: Path):
    store = new_store(tmp_path / "g")
    store.close()
    (tmp_path / "g-wal").mkdir()
    with pytest.raises(GalleryError, match="check that you may write"):
        GalleryFile.open(tmp_path / "g").add([reference("Ada", 1)])
