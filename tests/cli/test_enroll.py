"""The real `facecli enroll`: its reports, Ctrl-C, a kill, company, and the progress bar."""

from __future__ import annotations

import json
import os
import pty
import resource
import shutil
import signal
import sqlite3
import subprocess
import termios
import time
from pathlib import Path

import pytest
from support.galleries import Command, blank, environment, hopper, write_variants
from support.patience import LAST_RESORT

from facecli.datasets.labels import labelled
from facecli.gallery.enroll import EnrollReport
from facecli.report.columns import Terminal
from facecli.report.enrollment import enroll_row, enroll_text
from facecli.storage.sqlite.store import GalleryFile

VIETNAMESE = "Nguyễn Văn Đức"
MANY = 72  # photos: two groups are committed on the way, the rest at the end


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    write_variants(folder, hopper(), MANY, width=160)
    return folder


def test_enrol_reports_for_people_and_for_programs(command: Command, tmp_path: Path):
    write_variants(tmp_path / "in", hopper(), 1)
    blank(tmp_path / "in" / "blank.png")
    words = ["enroll", tmp_path / "in", "-s", VIETNAMESE, "-g", tmp_path / "g"]
    first = command(*words)
    assert first.returncode == 0
    assert first.stdout.splitlines()[0] == "enrolled 1, already there 0, skipped 1"
    assert "blank.png: no face found" in first.stdout
    assert first.stdout.splitlines()[-1].endswith(": 1 subject, 1 reference")
    again = command(*words, "--json", "--check")
    assert again.returncode == 1  # something was skipped
    row = json.loads(again.stdout)
    assert {k: row[k] for k in ("enrolled", "already_there", "skipped")} == {
        "enrolled": 0, "already_there": 1, "skipped": 1,
    }  # fmt: skip
    assert {(Path(p["path"]).name, p["status"], p["faces"]) for p in row["photos"]} == {
        ("blank.png", "skipped", 0), ("000.jpg", "already there", 0),
    }  # fmt: skip
    assert next(p["reason"] for p in row["photos"] if p["status"] == "skipped")
    (tmp_path / "in" / "blank.png").unlink()
    assert command(*words, "--check").returncode == 0


def test_what_would_be_enrolled_is_as_wide_as_the_terminal(many: Path, tmp_path: Path):
    name = "A person whose name is very long indeed, and goes on"
    layout = labelled([many], name)
    row = enroll_row(EnrollReport(()), layout)
    table = enroll_text(row, None, Terminal(40)).splitlines()[1:]
    assert max(map(len, table)) <= 40 and " ".join(" ".join(table).split()).count("goes on") == 1
    assert max(map(len, enroll_text(row, None).splitlines()[1:])) > 60


def test_nothing_usable_is_exit_code_3(command: Command, tmp_path: Path):
    (tmp_path / "text.txt").write_text("not a photo")
    done = command("enroll", blank(tmp_path / "blank.png"), "-s", "Ada", "-g", tmp_path / "g")
    assert done.returncode == 3
    assert "no photo could be enrolled" in done.stderr
    none = command("enroll", tmp_path / "text.txt", "-s", "Ada", "-g", tmp_path / "h")
    assert none.returncode == 3
    assert not (tmp_path / "h").exists()


def references(path: Path) -> int:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as db:
            return int(db.execute("SELECT count(*) FROM reference").fetchone()[0])
    except sqlite3.Error:
        return 0


def start(
    command: Command, folder: Path, path: Path, *more: str, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command.arguments("enroll", folder, "-s", "Grace Hopper", "-g", path, *more),
        stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment(command.home),
        # A shell that starts tests in the background makes its children deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def start_and_wait(command: Command, folder: Path, path: Path) -> subprocess.Popen[str]:
    """Start enrolling `folder`, and come back once a group is committed."""
    before = references(path)
    process = start(command, folder, path, "--workers", "1")
    until = time.monotonic() + LAST_RESORT
    while references(path) == before and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    return process


def assert_completes(command: Command, many: Path, path: Path) -> None:
    """A second run enrols what is missing and nothing else."""
    kept = references(path)
    done = command("enroll", many, "-s", "Grace Hopper", "-g", path, "--json")
    row = json.loads(done.stdout)
    assert (row["already_there"], row["enrolled"]) == (kept, MANY - kept)
    assert_sound(path)


def test_ctrl_c_keeps_what_is_committed_and_a_second_run_goes_on(command, many, tmp_path: Path):
    path = tmp_path / "g.facecli"
    process = start_and_wait(command, many, path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LAST_RESORT)
    assert (process.returncode, out) == (130, "")
    assert err == (
        "facecli: interrupted; what was enrolled is kept, run the same command to go on\n"
    )
    assert 0 < references(path) < MANY
    assert_completes(command, many, path)


def test_a_killed_run_leaves_a_sound_gallery_and_a_second_run_goes_on(command, many, tmp_path):
    path, kept = tmp_path / "g.facecli", 0
    for _ in range(2):
        process = start_and_wait(command, many, path)
        process.kill()
        process.communicate(timeout=LAST_RESORT)
        assert process.returncode == -signal.SIGKILL
        store = GalleryFile.open(path)
        assert store.reader.check() == []
        store.close()
        assert kept < references(path) < MANY
        kept = references(path)
    assert_completes(command, many, path)


@pytest.mark.slow
def test_two_runs_at_once_share_the_work(command: Command, many: Path, tmp_path: Path):
    path = tmp_path / "new" / "g.facecli"  # both find it missing
    runs = [start(command, many, path) for _ in range(2)]
    for run in runs:
        assert run.communicate(timeout=LAST_RESORT)[1] == ""
        assert run.returncode == 0
    store = GalleryFile.open(path)
    assert store.reader.counts() == (1, MANY)
    assert store.reader.check() == []
    store.close()


def test_the_progress_bar_is_for_terminals(command: Command, many: Path, tmp_path: Path):
    terminal, side = pty.openpty()
    termios.tcsetwinsize(side, (24, 80))
    process = start(command, many, tmp_path / "g", stderr=side)
    os.close(side)
    shown = b""
    try:
        while data := os.read(terminal, 4096):
            shown += data
    except OSError:  # Linux says EIO when the other side is closed
        pass
    os.close(terminal)
    out, _ = process.communicate(timeout=LAST_RESORT)
    assert process.returncode == 0
    assert f"/{MANY}".encode() in shown and b"photo" in shown
    assert out.startswith(f"enrolled {MANY}, already there 0, skipped 0\n")
    again = command("enroll", many, "-s", "Grace Hopper", "-g", tmp_path / "g")
    assert again.stderr == ""  # piped: no bar


def test_without_room_on_the_disk_one_line_says_so_and_nothing_is_lost(
    command: Command, many: Path, tmp_path: Path
) -> None:
    """No file may grow past the gallery's size: what a full disk does to its write-ahead log."""
    path = tmp_path / "g.facecli"
    command("enroll", many, "-s", "Grace Hopper", "-g", path, "--workers", "1")
    size = path.stat().st_size
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(many / sorted(p.name for p in many.iterdir())[0], new / "again.jpg")
    full = subprocess.run(
        command.arguments("enroll", new, "-s", "Somebody Else", "-g", path),
        capture_output=True, text=True, env=environment(command.home),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    assert full.returncode == 4
    (line,) = full.stderr.splitlines()
    assert "disk" in line and "damaged" not in line
    assert path.stat().st_size == size
    assert_sound(path)


def assert_sound(path: Path) -> None:
    store = GalleryFile.open(path)
    assert store.reader.counts() == (1, MANY)
    assert store.reader.check() == []
    store.close()
