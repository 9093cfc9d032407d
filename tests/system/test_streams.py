"""`facecli identify` of many photos: rows as they come, any list of photos, an even memory."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from support.galleries import Command, blank, environment, hopper, write_variants
from support.patience import LAST_RESORT

MANY = 120


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    made = Command(tmp_path_factory.mktemp("home"))
    assert made("enroll", hopper(), "-s", "Grace", "-q").returncode == 0
    return made


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    write_variants(folder, hopper(), 4, width=180)
    return sorted(folder.iterdir())


def started(
    command: Command, *words: str | Path, stdin: int | None = None
) -> subprocess.Popen[bytes]:
    """A running command that is ended, and then reads as empty, when it takes too long."""
    process = subprocess.Popen(
        command.arguments(*words),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(command.home),
    )
    timer = threading.Timer(LAST_RESORT, process.kill)
    timer.daemon = True
    timer.start()
    return process


def lines(photos: list[Path], count: int) -> bytes:
    """A list of `count` paths, the same few again and again."""
    return b"".join(os.fsencode(photos[i % len(photos)]) + b"\n" for i in range(count))


@pytest.mark.parametrize("form", ["--jsonl", "--csv"])
def test_rows_come_before_the_last_photo_is_named(
    command: Command, photos: list[Path], form: str
) -> None:
    process = started(command, "identify", "--from-list", "-", form, stdin=subprocess.PIPE)
    assert process.stdin and process.stdout
    process.stdin.write(lines(photos, 40))
    process.stdin.flush()
    first = process.stdout.readline()
    if form == "--csv":
        assert first.startswith(b"schema,path,")
        first = process.stdout.readline()
    assert os.fsencode(photos[0]) in first and b"identified" in first
    process.stdin.write(lines(photos, MANY - 40))
    process.stdin.close()
    rest = process.stdout.read().splitlines()
    assert process.wait() == 0
    assert [os.fsencode(photos[i % len(photos)]) in row for i, row in enumerate(rest, 1)] == (
        [True] * (MANY - 1)
    )


@pytest.mark.parametrize("form", ["--jsonl", "--csv"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(
    command: Command, photos: list[Path], tmp_path: Path, form: str
) -> None:
    (listed := tmp_path / "list").write_bytes(lines(photos, 100_000))
    process = started(command, "identify", "--from-list", listed, form)
    assert process.stdout and process.stderr
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr.read() == b""


def test_other_commands_end_so_too(command: Command) -> None:
    process = started(command, "gallery", "list", "--json")
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr.read() == b""


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="NOT CHECKED: no /dev/full here")
@pytest.mark.parametrize(
    "words",
    [
        ["identify", "PHOTO"], ["identify", "PHOTO", "--jsonl"], ["identify", "PHOTO", "--json"],
        ["enroll", "PHOTO", "-s", "Grace"], ["verify", "PHOTO", "PHOTO"], ["threshold"],
        ["gallery", "list"], ["gallery", "export", "-"], ["gallery", "audit", "--report", "-"],
        ["gallery", "undo", "--list", "--dry-run"], ["models", "list", "--json"], ["--help"],
        ["gallery", "show", "--help"], ["--version"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_full_disk_behind_stdout_is_one_line_with_its_own_code(
    command: Command, photos: list[Path], words: list[str]
) -> None:
    given = command.arguments(*(str(photos[0]) if word == "PHOTO" else word for word in words))
    with FULL.open("wb") as full:
        done = subprocess.run(
            given, stdout=full, stderr=subprocess.PIPE, env=environment(command.home),
            timeout=LAST_RESORT, check=False,
        )  # fmt: skip
    said = b"facecli: error: stdout cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (74, said)


@pytest.mark.skipif(not FULL.exists(), reason="NOT CHECKED: no /dev/full here")
def test_a_full_disk_behind_stderr_takes_the_notes_and_not_the_answer(
    command: Command, photos: list[Path]
) -> None:
    for words, code in ((["identify", str(photos[0])], 0), (["identify", "none.jpg"], 3)):
        with FULL.open("wb") as full:
            done = subprocess.run(
                command.arguments(*words), stdout=subprocess.PIPE, stderr=full,
                env=environment(command.home), timeout=LAST_RESORT, check=False,
            )  # fmt: skip
        assert done.returncode == code and words[1].encode() in done.stdout


def test_check_still_ends_with_1(command: Command, tmp_path: Path) -> None:
    blank(tmp_path / "blank.png")
    assert command("identify", tmp_path / "blank.png", "--check").returncode == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_photos(command: Command, tmp_path: Path) -> None:
    """120 photos more, of 1.3 MB decoded, would be seen."""
    write_variants(tmp_path / "photos", hopper(), 2, width=600)
    few, many = (peak(command, sorted((tmp_path / "photos").iterdir()), n) for n in (20, 140))
    assert many < few + 60e6


def peak(command: Command, photos: list[Path], count: int) -> int:
    """The largest memory that identifying them took, bytes."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            command.arguments("identify", "--from-list", "-", "--jsonl"),
            stdin=subprocess.PIPE, stdout=out, env=environment(command.home),
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(lines(photos, count))
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        assert (process.returncode, len(out.readlines())) == (0, count)
    return usage.ru_maxrss * 1024


def test_a_list_in_any_script_beside_named_photos(
    command: Command, photos: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "Nguyễn Văn Đức"
    folder.mkdir()
    (odd := folder / "ảnh 1 .jpg").write_bytes(photos[1].read_bytes())
    listed = tmp_path / "list.txt"
    listed.write_bytes(os.fsencode(odd) + b"\r\n\r\nmissing.jpg\n" + os.fsencode(photos[2]))
    done = command("identify", photos[0], "--from-list", listed, "--json")
    rows = json.loads(done.stdout)
    assert [(r["path"], r["decision"]) for r in rows] == [
        (str(photos[0]), "identified"), (str(odd), "identified"),
        ("missing.jpg", "failed"), (str(photos[2]), "identified"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "--from-list"),
        (["-", "--from-list", "-"], 2, "stdin holds either"),
        (["--from-list", "not/there"], 3, "not/there: No such file"),
        (["--from-list", os.devnull], 3, "no photo could be read"),
    ],
)
def test_lists_that_cannot_serve(command: Command, words: list[str], code: int, says: str) -> None:
    done = command("identify", *words)
    assert done.returncode == code
    assert says in done.stderr
