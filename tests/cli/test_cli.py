"""The real command in its own process: streams, exit codes, and no traceback, ever."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from PIL import Image
from support.commands import all_commands
from support.galleries import (
    Command,
    blank,
    collins,
    environment,
    hopper,
    two_faces,
    variant,
    write_variants,
)
from support.patience import LAST_RESORT

from facecli import Gallery
from facecli.cli import main
from facecli.datasets.labels import labelled
from facecli.report import decisions, formats

HANGUL, VIETNAMESE, QUOTED = "홍길동", "Nguyễn Văn Đức", 'O\'Neil, "Tip"'


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "hopper.jpg").write_bytes(variant(hopper(), 1))
    (folder / "collins.jpg").write_bytes(variant(collins(), 4))
    (folder / "text.txt").write_text("not a photo")
    blank(folder / "blank.png")
    two_faces(folder / "two.png")
    return folder


@pytest.fixture(scope="module")
def gallery(tmp_path_factory, command: Command) -> Path:
    """Grace Hopper under a Korean name; only read from."""
    path = tmp_path_factory.mktemp("gallery") / "g.facecli"
    done = command("enroll", hopper(), "--subject", HANGUL, "-g", path)
    assert done.returncode == 0, done.stderr
    return path


# the detector ----------------------------------------------------------------------------------


def test_either_detector_gives_the_same_answer(command: Command, gallery: Path, photos: Path):
    answers = [
        command("identify", photos / "two.png", "-g", gallery, "--csv", "--detector", name)
        for name in ("yunet", "opencv")
    ]
    ours, theirs = (list(csv.DictReader(io.StringIO(a.stdout))) for a in answers)
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        assert one["decision"] == other["decision"]
        assert float(one["score"]) == pytest.approx(float(other["score"]), abs=1e-3)
    assert command("verify", hopper(), hopper(), "--detector", "haar").returncode == 2


# start-up ------------------------------------------------------------------------------------

HEAVY = ("numpy", "cv2", "onnxruntime", "faiss", "sqlite_utils", "scipy", "PIL", "rich")
WATCH = """
import atexit, sys
atexit.register(lambda: sys.stderr.write("LOADED " + " ".join(sorted(sys.modules))))
sys.argv = ["facecli", *sys.argv[1:]]
from facecli.cli import main
main()
"""


EVERY = [words for words, _ in all_commands()]


def test_every_command_is_found() -> None:
    assert {(), ("identify",), ("gallery",), ("gallery", "re-embed"), ("models", "list")} <= {
        *EVERY
    }
    assert len(EVERY) == 51


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_loads_nothing_heavy(words: tuple[str, ...], tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *words, "--help"], capture_output=True, text=True,
        env=environment(tmp_path), timeout=LAST_RESORT,
    )  # fmt: skip
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    loaded = done.stderr.rpartition("LOADED ")[2].split()
    assert "facecli.cli" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_help_names_every_exit_code(command: Command):
    text = " ".join(command("--help").stdout.split())
    for words in ("0 answered", "1 only with --check", "2 usage", "3 input", "4 gallery",
                  "5 model", "6 calibration", "130 interrupted"):  # fmt: skip
        assert words in text


# what was typed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("identfy", "no such command 'identfy'. Did you mean 'identify'? (see `facecli --help`)"),
        ("identify --zz x", "no such option: --zz (see `facecli identify --help`)"),
        ("gallery show", "missing argument 'SUBJECT' (see `facecli gallery show --help`)"),
        ("verify a b c", "got unexpected extra argument(s) (c) (see `facecli verify --help`)"),
        ("identify --top", "option '--top' requires an argument (see `facecli --help`)"),
        ("identify a --json --csv", "choose one of --json, --jsonl and --csv"),
        ("threshold --assure 95", "--assure goes with --strangers"),
        ("threshold --dry-run", "--dry-run goes with --calibrate, --strangers, --set or "
             "--reset"),
        (
            "threshold --strangers x --target-fmr 1e-4",
            "--target-fmr goes with --calibrate: strangers' searches give an FPIR",
        ),
        ("threshold --set 0.4 --calibrate x", "choose one of --calibrate, --folder, --strangers, "
         "--set and --reset"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_one_line_and_code_2(command: Command, words: str, said: str):
    done = command(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    # The program is called otherwise where it is not run by its console script.
    assert re.sub(r"`.*?(facecli|__main__.py|-c)( |$)", r"`facecli\2", done.stderr) == (
        f"facecli: error: {said}\n"
    )


@pytest.mark.parametrize("group", [(), ("gallery",), ("models",)])
def test_a_group_without_a_command_shows_its_help(command: Command, group: tuple[str, ...]):
    done, asked = command(*group), command(*group, "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == asked.stdout


@pytest.mark.skipif(os.name != "posix", reason="NOT CHECKED: sends SIGINT")
def test_ctrl_c_ends_with_130(command: Command, gallery: Path):
    words = [str(a) for a in command.arguments("identify", "--from-list", "-", "-g", gallery,
                                               "--jsonl")]  # fmt: skip
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(command.home),
        # A shell's background job is started with SIGINT ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{hopper()}\n" * 64)
        process.stdin.flush()
        assert process.stdout.readline()  # it is at work, and waits for more names
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.wait(60) == 130
        assert process.stderr is not None and process.stderr.read() == ""


@pytest.mark.skipif(os.name != "posix", reason="NOT CHECKED: needs a terminal of its own")
def test_a_question_without_an_answer_ends_with_130(command: Command, gallery: Path):
    before = gallery.read_bytes()
    ours, its = os.openpty()
    os.write(ours, b"\x04")  # Ctrl-D; Ctrl-C is told the same way
    done = subprocess.run(
        [str(a) for a in command.arguments("gallery", "purge", "--all", "-g", gallery)],
        stdin=its, capture_output=True, text=True, env=environment(command.home), timeout=60,
    )  # fmt: skip
    for end in (ours, its):
        os.close(end)
    assert (done.returncode, done.stdout.strip()) == (130, "")
    assert done.stderr == (
        "erase 1 person, 1 reference and 0 changes that could be undone for good? [y/N]:\n"
    )
    assert gallery.read_bytes() == before


# identify ------------------------------------------------------------------------------------


def test_json_equals_what_the_library_says(command: Command, gallery: Path, photos: Path):
    sources = [photos / "hopper.jpg", photos / "two.png", photos / "blank.png",
               photos / "gone.jpg"]  # fmt: skip
    done = command("identify", *sources, "-g", gallery, "--json", "--top", "3")
    assert (done.returncode, done.stderr) == (0, "")
    with Gallery.open(gallery) as opened:
        expected = [decisions.decision_row(d) for d in opened.identify(sources, top=3)]
    assert json.loads(done.stdout) == json.loads(formats.as_json(expected))
    assert [r["subject"] for r in expected[:1]] == [HANGUL]
    assert {r["decision"] for r in expected} == {"identified", "unknown", "no_face", "failed"}


def test_csv_and_jsonl_have_a_row_per_face(command: Command, gallery: Path, photos: Path):
    arguments = ["identify", photos, "-g", gallery]
    rows = list(csv.DictReader(io.StringIO(command(*arguments, "--csv").stdout)))
    lines = [json.loads(line) for line in command(*arguments, "--jsonl").stdout.splitlines()]
    names = [Path(r["path"]).name for r in rows]
    assert names == ["blank.png", "collins.jpg", "hopper.jpg", "two.png", "two.png"]
    assert [(r["path"], r["decision"], r["subject"] or None) for r in rows] == [
        (r["path"], r["decision"], r["subject"]) for r in lines
    ]
    assert [float(r["score"]) for r in rows[1:]] == [r["score"] for r in lines[1:]]
    assert [r["nearest"] for r in rows] == [
        r["candidates"][0]["subject"] if r["candidates"] else "" for r in lines
    ]


def test_the_table_is_on_stdout_and_notes_are_on_stderr(command, gallery, photos, tmp_path: Path):
    pictures = tmp_path / "pictures"
    done = command("identify", photos / "hopper.jpg", "-g", gallery, "--annotate", pictures)
    threshold, _, header, rule, row, _, counts = done.stdout.splitlines()
    assert threshold.startswith("threshold 0.") and "FPIR 1 % among 1 subject" in threshold
    assert header.split() == ["photo", "face", "answer", "score", "note"]
    assert set(rule) == {"-", " "}
    assert HANGUL in row
    assert counts == "1 named"
    assert done.stderr == f"facecli: wrote {pictures / 'hopper.jpg'}\n"
    quiet = command("identify", photos / "hopper.jpg", "-g", gallery, "--annotate", pictures, "-q")
    assert quiet.stderr == ""


def test_an_output_file_is_as_stdout_and_rows_are_added_to_it(
    command: Command, gallery: Path, photos: Path, tmp_path: Path
):
    """The form by the file's name; a header once; other columns are refused, and what is there.

    A CSV file begins with a BOM, once: Excel would read the name as Latin-1.
    """
    file, words = tmp_path / "a.csv", ("identify", photos / "hopper.jpg", "-g", gallery)
    done = command(*words, "-o", file)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"facecli: wrote {file}: 1 named\n"
    printed = command(*words, "--csv").stdout
    assert file.read_text("utf-8") == "\ufeff" + printed and printed[0] != "\ufeff"
    assert command(*words, "-o", file).returncode == 2
    assert command(*words, "-o", file, "--append", "-q").stderr == ""
    rows = list(csv.DictReader(file.open(encoding="utf-8-sig", newline="")))
    assert [row["subject"] for row in rows] == [HANGUL, HANGUL]
    assert "\ufeff" not in file.read_text("utf-8-sig")
    assert {photo.subject for photo in labelled([file]).photos} == {HANGUL}
    assert list(pandas.read_csv(file)["schema"]) == [1, 1]
    before = file.read_bytes()
    other = command(*words, "-o", file, "--append", "--candidates")
    assert other.returncode == 2 and "does not have these columns" in other.stderr
    assert file.read_bytes() == before
    older = tmp_path / "older.csv"  # from before there were BOMs, or from `>`
    older.write_text(printed, "utf-8")
    assert command(*words, "-o", older, "--append", "-q").returncode == 0
    assert older.read_text("utf-8") == printed + printed.partition("\n")[2]
    lines = tmp_path / "a.jsonl"
    assert command(*words, "-o", lines).returncode == 0 and lines.read_bytes()[:1] == b"{"


def test_a_possible_face_is_counted_as_such_and_fails_a_check(
    command: Command, gallery: Path, photos: Path
):
    """At a threshold above her score she is possible, with the laxer one of FPIR 1 %."""
    words = ["identify", photos / "hopper.jpg", "-g", gallery, "--threshold", "0.999", "--check"]
    done = command(*words, "--possible", "0.01", "--json")
    (row,) = json.loads(done.stdout)
    assert (done.returncode, row["decision"], row["subject"]) == (1, "possible", None)
    assert row["possible_threshold"] < row["score"] < row["threshold"]
    assert [(c["subject"], c["possible"]) for c in row["candidates"]] == [(HANGUL, True)]
    refused = command(*words[:-3], "--possible", "0.001")
    assert refused.returncode == 2 and "give a larger rate" in refused.stderr


def test_a_photo_on_stdin(command: Command, gallery: Path, photos: Path):
    data = (photos / "hopper.jpg").read_bytes()
    (row,) = json.loads(command("identify", "-", "-g", gallery, "--json", stdin=data).stdout)
    assert (row["path"], row["subject"]) == ("-", HANGUL)
    text = command("identify", "-", "-g", gallery, stdin=b"rubbish")
    assert text.returncode == 3
    assert "(stdin)" in text.stdout and "not an image" in text.stdout
    empty = command("identify", "-", "-g", gallery, stdin=b"")
    assert (empty.returncode, empty.stdout) == (3, "")
    assert "nothing came on stdin" in empty.stderr


def test_a_closed_stdin_is_one_line(command: Command, gallery: Path):
    words = [str(a) for a in command.arguments("identify", "-", "-g", gallery)]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words], capture_output=True, text=True,
        env=environment(command.home),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("facecli: error: nothing came on stdin")
    assert len(done.stderr.splitlines()) == 1


def test_a_pipe_that_closes_early_is_no_error_text(command: Command, gallery: Path, photos: Path):
    words = [str(a) for a in command.arguments("identify", *[photos / "hopper.jpg"] * 40,
                                               "-g", gallery, "--jsonl")]  # fmt: skip
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *words], capture_output=True, text=True,
        env=environment(command.home), timeout=LAST_RESORT,
    )  # fmt: skip
    assert json.loads(done.stdout)["subject"] == HANGUL
    assert done.stderr == ""


def test_annotated_pictures_never_overwrite(command, gallery, photos, tmp_path: Path):
    (tmp_path / "a").mkdir()
    for folder, name in (("a", "x.jpg"), (".", "x.jpg"), (".", "x_2.jpg")):
        (tmp_path / folder / name).write_bytes((photos / "hopper.jpg").read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.jpg").write_bytes(b"mine")
    sources = [tmp_path / "x.jpg", tmp_path / "a" / "x.jpg", tmp_path / "x_2.jpg"]
    done = command("identify", *sources, "-g", gallery, "--annotate", tmp_path / "out")
    assert done.returncode == 0
    written = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in written] == ["x.jpg", "x_2.jpg", "x_2_2.jpg", "x_3.jpg"]
    assert written[0].read_bytes() == b"mine"
    with Image.open(photos / "hopper.jpg") as photo:
        size = photo.size
    for path in written[1:]:
        with Image.open(path) as picture:
            assert picture.size == size


def test_a_picture_folder_that_cannot_be_is_said_before_the_work(command, gallery, photos):
    place = photos / "text.txt" / "below"
    done = command("identify", photos / "hopper.jpg", "-g", gallery, "--annotate", place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("facecli: error: --annotate")
    assert len(done.stderr.splitlines()) == 1


# names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "LANG": ""}])
def test_names_of_every_kind_come_back(command, photos, tmp_path: Path, locale):
    for number, name in enumerate((HANGUL, VIETNAMESE, QUOTED)):
        write_variants(tmp_path / "in" / name, hopper(), 1, 20 + number, 160)
    path = tmp_path / "g.facecli"
    done = command("enroll", tmp_path / "in", "-g", path, "--json", **locale)
    assert {p["subject"] for p in json.loads(done.stdout)["photos"]} == {HANGUL, VIETNAMESE, QUOTED}
    words = [photos / "hopper.jpg", "-g", path]
    listed = command("gallery", "list", "-g", path, **locale).stdout
    assert all(name in listed for name in (HANGUL, VIETNAMESE, QUOTED))
    csv_options = ("--csv", "--candidates", "--top", "3", "--threshold", "0.5")
    out = command("identify", *words, *csv_options, **locale).stdout
    (row,) = csv.DictReader(io.StringIO(out))
    named = {row[f"subject_{rank}"] for rank in (1, 2, 3)}
    assert named == {HANGUL, VIETNAMESE, QUOTED}


def test_escape_codes_in_a_file_name_are_shown(command: Command, gallery: Path, tmp_path: Path):
    odd = tmp_path / "a\x1b[31mred\rb.jpg"
    odd.write_bytes(variant(hopper(), 3, 160))
    done = command("identify", odd, "-g", gallery)
    assert HANGUL in done.stdout and r"\x1b[31mred\rb.jpg" in done.stdout
    missing = command("verify", odd, tmp_path / "no\x1b[2J.jpg", "-g", gallery)
    assert missing.returncode == 3
    assert r"no\x1b[2J.jpg" in missing.stderr
    bad = tmp_path / "bad\x1b[31m.jpg"
    bad.write_text("no photo")
    enrolled = command("enroll", bad, "-s", "Ada", "-g", tmp_path / "g\x1b[1m")
    both = done.stdout + missing.stderr + enrolled.stdout + enrolled.stderr
    assert r"bad\x1b[31m.jpg" in enrolled.stdout
    assert "\x1b" not in both and "\r" not in both
    (row,) = json.loads(command("identify", odd, "-g", gallery, "--json").stdout)
    assert row["path"] == str(odd)


@pytest.mark.skipif(sys.platform != "linux", reason="NOT CHECKED: names here are always UTF-8")
def test_file_names_that_are_not_utf8(command: Command, gallery: Path, tmp_path: Path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(name, "wb") as out:  # noqa: PTH123 (bytes)
        out.write(variant(hopper(), 4, 160))
    pictures = tmp_path / "pictures"
    table = command("identify", name, "-g", gallery, "--annotate", pictures)
    assert table.returncode == 0 and HANGUL in table.stdout
    assert len(list(pictures.iterdir())) == 1
    done = command("identify", name, "-g", gallery, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)
    assert os.fsencode(row["path"]) == name
    path = tmp_path / "g.facecli"
    assert command("enroll", name, "-s", "Ada", "-g", path, "-q").returncode == 0
    assert r"caf\udce9.jpg" in command("gallery", "show", "Ada", "-g", path).stdout
    assert command("enroll", tmp_path, "-g", tmp_path / "other").returncode == 3


def test_the_package_s_names_load_when_used():
    code = (
        "import facecli, sys; light = 'numpy' not in sys.modules; facecli.Gallery; "
        "print(light, 'numpy' in sys.modules, set(facecli._HOME_OF) <= set(dir(facecli)), "
        "all(getattr(facecli, name) for name in facecli._HOME_OF))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment(Path("/nonexistent")))  # fmt: skip
    assert done.stdout.split() == ["True"] * 4, done.stderr


def test_ctrl_c_while_modules_are_imported_prints_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("facecli.cli.app.run", interrupted)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capfd.readouterr() == ("", "")
