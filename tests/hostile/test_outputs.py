"""Every command that writes, pointed at what must not be lost: all of it is there afterwards."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.galleries import collins, environment, hopper, variant
from support.patience import LAST_RESORT
from support.read_only import NEEDS_READ_ONLY, Unprivileged, closed
from support.sandbox import Facecli

from facecli.storage import keys
from facecli.storage.maintenance import encryption

MODEL = "mobilefacenet-arcface"
# What each command is given; OUT is what it is to write.
FILES = {
    "export": ["gallery", "export", "OUT", "-g", "g"],
    "backup": ["gallery", "backup", "OUT", "-g", "g"],
    "audit": ["gallery", "audit", "--report", "OUT", "-g", "g"],
    "purge": ["gallery", "purge", "Grace", "-y", "--receipt", "OUT", "-g", "g"],
    "evaluate": ["evaluate", "photos", "--report", "OUT"],
    "identify": ["identify", "elsewhere.jpg", "-o", "OUT", "-g", "g"],
    "group": ["group", "photos", "--report", "OUT", "-g", "g"],
}
# Judged before anything is imported, so without what training needs, too.
TRAIN = {"train": ["train", "photos", "--name", "n", "--report", "OUT", "-g", "g"]}
APPEND = ["identify", "photos", "--csv", "--append", "-o", "OUT", "-g", "g"]
NEW = {
    "key": ["gallery", "key", "OUT"],
    "re-embed": ["gallery", "re-embed", "--model", MODEL, "--to", "OUT", "-g", "g"],
    "copy": ["gallery", "copy", "g", "OUT"],
}
FOLDERS = {
    "annotate": ["identify", "photos", "--annotate", "OUT", "-g", "g"],
    "faces": ["watch", "http://127.0.0.1:9/x", "--annotate", "OUT", "-g", "g"],
    "plots": ["evaluate", "photos", "--plots", "OUT"],
    "demo": ["demo", "OUT"],
    "out": ["train", "photos", "--name", "n", "--out", "OUT", "-g", "g"],
    "resume": ["train", "photos", "--name", "n", "--resume", "OUT", "-g", "g"],
    "curves": ["train", "curves", "OUT"],
    "picture": ["train", "picture", "photos", "--out", "OUT"],
    "crops": ["train", "crops", "photos", "--out", "OUT"],
}
TARGETS = [
    "g", "other", "sealed", "key", "g.rabitq", "photos/Grace/1.jpg", "elsewhere.jpg", "m.onnx",
    "folder", "fifo", "device", "link-to-gallery", "link-to-text", "link-to-nothing", "text",
    "g-wal", "g.eight", "./g",
]  # fmt: skip
PLAIN = "text"  # all that --force may replace, but with a backup


@pytest.fixture(scope="session")
def sealed(enrolled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encrypted gallery."""
    pytest.importorskip("sqlcipher3", reason="NOT CHECKED: encrypted galleries")
    path = tmp_path_factory.mktemp("sealed") / "g"
    shutil.copy(enrolled, path)
    encryption.convert(path, None, keys.Key("5" * 64))
    return path


@pytest.fixture(scope="session")
def other(facecli: Facecli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("other") / "g"
    assert facecli("enroll", collins(), "-s", "Eileen", "-g", path).code == 0
    return path


@pytest.fixture
def place(enrolled: Path, other: Path, sealed: Path, good: Path, tmp_path: Path) -> Path:
    """A folder with all that could be lost."""
    shutil.copy(enrolled, tmp_path / "g")
    shutil.copy(other, tmp_path / "other")
    shutil.copy(sealed, tmp_path / "sealed")
    keys.make(str(tmp_path / "key"))
    for person, photo in (("Grace", hopper()), ("Eileen", collins())):
        (tmp_path / "photos" / person).mkdir(parents=True)
        for number in (1, 2):
            shown = variant(photo, number, 160)
            (tmp_path / "photos" / person / f"{number}.jpg").write_bytes(shown)
    (tmp_path / "elsewhere.jpg").write_bytes(good.read_bytes())
    (tmp_path / "g.rabitq").write_bytes(b"facecli\0" + bytes(range(256)))
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08\x12\x07pytorch" + bytes(range(256)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    (tmp_path / "text").write_text("mine")
    os.mkfifo(tmp_path / "fifo")
    if os.geteuid() == 0:
        os.mknod(tmp_path / "device", 0o600 | 0o020000, os.makedev(1, 7))  # as /dev/full
    else:
        (tmp_path / "device").symlink_to("/dev/full")
    (tmp_path / "link-to-gallery").symlink_to(tmp_path / "other")
    (tmp_path / "link-to-text").symlink_to(tmp_path / "text")
    (tmp_path / "link-to-nothing").symlink_to(tmp_path / "nothing")
    return tmp_path


def all_of(place: Path) -> dict[str, object]:
    """Every byte, link and device in the folder."""
    found: dict[str, object] = {}
    for path in sorted(place.rglob("*")):
        info, name = path.lstat(), str(path.relative_to(place))
        found[name] = (info.st_mode, info.st_rdev)
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def words(command: list[str], target: str | Path, *more: str) -> list[str | Path]:
    return [*(target if word == "OUT" else word for word in command), *more]


@pytest.mark.parametrize("forced", [False, True], ids=["", "--force"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [*FILES, *TRAIN])
def test_nothing_that_must_stay_is_replaced(
    facecli: Facecli, place: Path, name: str, target: str, forced: bool
) -> None:
    if forced and target == PLAIN:
        pytest.skip("this is replaced: see below")
    if name == "evaluate" and target in ("g-wal", "g.eight"):
        pytest.skip("no gallery is open: these are names as others")
    before = all_of(place)
    said = facecli.refused(
        2, *words({**FILES, **TRAIN}[name], target, *["--force"] * forced), cwd=place
    )  # fmt: skip
    assert said.count("\n") == 1 and target.removeprefix("./") in said
    assert all_of(place) == before


@pytest.mark.parametrize("name", [*FILES, *TRAIN, *FOLDERS, "re-embed", "key"])
def test_links_that_lead_to_each_other_are_one_line(
    facecli: Facecli, place: Path, name: str
) -> None:
    (place / "ring").symlink_to("ring")
    before = all_of(place)
    command = {**FILES, **TRAIN, **FOLDERS, **NEW}[name]
    assert facecli.refused(74, *words(command, "ring/new"), cwd=place).count("\n") == 1
    assert all_of(place) == before


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_added_to_what_holds_no_such_rows(
    facecli: Facecli, place: Path, target: str
) -> None:
    before = all_of(place)
    assert target.removeprefix("./") in facecli.refused(2, *words(APPEND, target), cwd=place)
    assert all_of(place) == before


@pytest.mark.parametrize("target", [t for t in TARGETS if t not in ("g-wal", "g.eight")])
@pytest.mark.parametrize("name", NEW)
def test_a_key_and_a_gallery_are_always_new(
    facecli: Facecli, place: Path, name: str, target: str
) -> None:
    before = all_of(place)
    done = facecli(*words(NEW[name], target), cwd=place)
    assert (done.code, done.out) == (4 if name == "copy" else 2, "")
    assert done.err.count("\n") == 1
    assert all_of(place) == before


@pytest.mark.parametrize("target", [t for t in TARGETS if t not in ("g-wal", "g.eight", "folder")])
@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_no_folder_is_not_taken_for_one(
    facecli: Facecli, place: Path, name: str, target: str
) -> None:
    before = all_of(place)
    said = facecli.refused(2, *words(FOLDERS[name], target), cwd=place)
    assert said.count("\n") == 1 and target.removeprefix("./") in said
    assert all_of(place) == before


@pytest.mark.parametrize("target", ["photos", "photos/Grace", "./photos/../photos", "round"])
@pytest.mark.parametrize("name", ["annotate", "plots", "out", "resume", "picture", "crops"])
def test_pictures_do_not_go_among_the_photos(
    facecli: Facecli, place: Path, name: str, target: str
) -> None:
    (place / "round").symlink_to(place / "photos")
    before = all_of(place)
    said = facecli.refused(2, *words(FOLDERS[name], target), cwd=place)
    assert "holds what is read here" in said and said.count("\n") == 1
    assert all_of(place) == before
    single = facecli.refused(
        2, "identify", "photos/Grace/1.jpg", "--annotate", "photos/Grace", "-g", "g", cwd=place
    )
    assert "holds what is read here" in single and all_of(place) == before


def test_a_table_that_is_read_is_not_replaced(facecli: Facecli, place: Path) -> None:
    (place / "pairs.csv").write_text("file1,file2,same\nphotos/Grace/1.jpg,photos/Grace/2.jpg,1\n")
    os.link(place / "pairs.csv", place / "same.csv")
    before = all_of(place)
    for target in ("pairs.csv", "same.csv"):
        facecli.refused(2, "evaluate", "pairs.csv", "--report", target, "--force", cwd=place)
    assert all_of(place) == before


@pytest.mark.parametrize("name", FILES)
def test_by_force_text_is_replaced_and_nothing_else(
    facecli: Facecli, place: Path, name: str
) -> None:
    before = all_of(place)
    facecli.refused(2, *words(FILES[name], PLAIN), cwd=place)
    done = facecli(*words(FILES[name], PLAIN, "--force"), cwd=place)
    assert done.code == 0, done.err
    assert (place / PLAIN).read_bytes() != b"mine" and (place / PLAIN).stat().st_mode & 0o77 == 0
    after = all_of(place)
    kept = set(before) - {PLAIN, *({"g", "g.rabitq"} if name == "purge" else ())}
    assert {k: after.get(k) for k in kept} == {k: before[k] for k in kept}


def test_a_plot_replaces_a_plot_by_force_and_no_other_file(facecli: Facecli, place: Path) -> None:
    command = words(FOLDERS["plots"], "plots")
    assert facecli(*command, cwd=place).code == 0
    (place / "plots" / "mine.txt").write_text("mine")
    facecli.refused(2, *command, cwd=place)
    assert facecli(*command, "--force", cwd=place).code == 0
    assert (place / "plots" / "mine.txt").read_text() == "mine"
    (place / "plots" / "scores.png").write_bytes((place / "elsewhere.jpg").read_bytes())
    before = all_of(place)
    facecli.refused(2, *command, "--force", cwd=place)
    assert all_of(place) == before


def test_a_backup_replaces_only_an_earlier_one_of_the_same_gallery(
    facecli: Facecli, place: Path
) -> None:
    backup = ["gallery", "backup", "b", "-g", "g"]
    assert facecli(*backup, cwd=place).code == 0
    assert facecli("enroll", "photos", "-g", "g", "-q", cwd=place).code == 0
    assert facecli(*backup, "--force", cwd=place).code == 0
    for path in ("other", "b"):  # a copy that has gone its own way, and a backup that was used
        assert facecli("enroll", "photos", "-g", path, "-s", "Ada", cwd=place).code in (0, 2)
        assert facecli("enroll", "elsewhere.jpg", "-g", path, "-s", "Ada", cwd=place).code == 0
        before = all_of(place)
        said = facecli.refused(2, "gallery", "backup", path, "-g", "g", "--force", cwd=place)
        assert "another gallery" in said and all_of(place) == before
    (place / "c-wal").write_bytes(b"somebody's")
    facecli.refused(2, "gallery", "backup", "c", "-g", "g", cwd=place)
    assert (place / "c-wal").read_bytes() == b"somebody's"


def test_what_a_sidecar_would_be_called_may_be_a_gallery(facecli: Facecli, place: Path) -> None:
    shutil.copy(place / "other", place / "g.eight")
    before = (place / "g.eight").read_bytes()
    assert facecli("gallery", "purge", "--all", "-y", "-g", "g", cwd=place).code == 0
    assert (place / "g.eight").read_bytes() == before


def test_a_dash_is_stdout(facecli: Facecli, place: Path) -> None:
    before = all_of(place)
    for name, start in (("export", '{"format": "facecli-gallery"'), ("audit", "<!doctype html>"),
                        ("evaluate", "<!doctype html>"),
                        ("purge", '{\n  "format": "facecli-erasure"')):  # fmt: skip
        done = facecli(*words(FILES[name], "-"), cwd=place)
        assert done.code == 0 and done.out.startswith(start), done.err
        assert not (place / "-").exists()
        if name in ("audit", "evaluate", "purge"):
            facecli.refused(2, *words(FILES[name], "-", "--json"), cwd=place)
    assert {k: v for k, v in all_of(place).items() if k[:1] != "g"} == {
        k: v for k, v in before.items() if k[:1] != "g"
    }
    for command in (FILES["backup"], NEW["key"], NEW["re-embed"]):
        facecli.refused(2, *words(command, "-"), cwd=place)


# where nothing can be written ----------------------------------------------------------------

FULL = """
import resource, sys
from facecli.common import atomic
whole = atomic.draft
def draft(target):  # from when the output is begun no file may grow past 20 bytes
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
    return whole(target)
atomic.draft = draft
sys.argv[0] = "facecli"
from facecli.cli import main; main()
"""


@pytest.mark.parametrize("name", ["export", "audit", "evaluate", "backup", "key", "plots"])
def test_a_full_disk_loses_nothing(facecli: Facecli, place: Path, name: str) -> None:
    before = all_of(place)
    command = {**FILES, **NEW, **FOLDERS}[name]
    target = "text" if name in ("export", "audit", "evaluate", "backup") else "new"
    more = ["--force"] if target == "text" else []
    done = subprocess.run(
        [sys.executable, "-c", FULL, *map(str, words(command, target, *more))],
        capture_output=True, text=True, cwd=place, timeout=LAST_RESORT,
        env=environment(facecli.home),
    )  # fmt: skip
    after = all_of(place)
    assert done.returncode == (4 if name == "key" else 74), done.stderr
    assert [line for line in done.stderr.splitlines() if "error" in line] == (
        done.stderr.splitlines()[-1:]
    )
    assert {k: after.get(k) for k in before} == before
    assert [k for k in set(after) - set(before) if k != "new"] == []


def test_a_disk_with_too_little_room_for_a_backup_is_the_backup_s_fault(
    facecli: Facecli, place: Path
) -> None:
    """A real disk, of 64 kB."""
    disk = place / "disk"
    disk.mkdir()
    before = all_of(place)
    mounted = f"mount -t tmpfs -o size=64k x {disk}"
    alone = ["unshare", "-rm", "sh", "-c"]
    try:
        subprocess.run([*alone, mounted], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("NOT CHECKED: unshare -rm may not be run here")
    script = f'{mounted} && "$@"; rc=$?; ls -A {disk} >&2; exit $rc'
    backup = words(FILES["backup"], "disk/copy")
    done = subprocess.run(
        [*alone, script, "sh", sys.executable, "-m", "facecli", *map(str, backup)],
        capture_output=True, text=True, cwd=place, timeout=LAST_RESORT,
        env=environment(facecli.home),
    )  # fmt: skip
    assert done.returncode == 74, done.stderr
    assert done.stderr == (
        "facecli: error: disk/copy cannot be written: database or disk is full: free some disk "
        "space, or write it elsewhere\n"
    ), "one line, and nothing left on that disk"
    assert all_of(place) == before


@NEEDS_READ_ONLY
@pytest.mark.parametrize("name", [*FILES, *TRAIN, *NEW, *FOLDERS])
def test_a_folder_without_the_right_to_write_is_said_before_the_work(
    tmp_path_factory: pytest.TempPathFactory, place: Path, name: str
) -> None:
    command = Unprivileged(tmp_path_factory.mktemp("home"))
    before = all_of(place)
    (place / "folder" / "mine.txt").chmod(0o400)
    closed(place / "folder")
    try:
        every = {**FILES, **TRAIN, **NEW, **FOLDERS}
        done = command(*words(every[name], "folder/new"), cwd=place)
    finally:
        (place / "folder").chmod(0o755)
    assert (done.returncode, done.stdout) == (4 if name == "copy" else 74, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("facecli: error: ")
    after = all_of(place)
    assert {k: v for k, v in after.items() if not k.startswith("folder")} == {
        k: v for k, v in before.items() if not k.startswith("folder")
    }
