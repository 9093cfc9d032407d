"""The real command on galleries: keeping them in order, thresholds, settings, mistakes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from support.galleries import (
    Command,
    blank,
    collins,
    hopper,
    new_store,
    reference,
    variant,
    write_variants,
)

HANGUL, VIETNAMESE = "홍길동", "Nguyễn Văn Đức"


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
    return folder


@pytest.fixture(scope="module")
def gallery(tmp_path_factory, command: Command) -> Path:
    """Grace Hopper; only read from."""
    path = tmp_path_factory.mktemp("gallery") / "g.facecli"
    assert command("enroll", hopper(), "-s", "Grace Hopper", "-g", path).returncode == 0
    return path


@pytest.fixture
def own(gallery: Path, tmp_path: Path) -> Path:
    """A gallery to change."""
    (tmp_path / "own.facecli").write_bytes(gallery.read_bytes())
    return tmp_path / "own.facecli"


def test_keeping_a_gallery_in_order(command: Command, tmp_path: Path):
    path = tmp_path / "g"
    store = new_store(path)
    store.add([reference("Ada", 1), reference("A. L.", 2), reference(HANGUL, 3)])
    store.close()
    assert command("gallery", "rename", "Ada", VIETNAMESE, "-g", path).stdout == (
        f"renamed Ada to {VIETNAMESE}\n"
    )
    merged = command("gallery", "merge", "A. L.", VIETNAMESE, "-g", path)
    assert merged.stdout == f"moved 1 reference from A. L. to {VIETNAMESE}\n"
    rows = json.loads(command("gallery", "list", "-g", path, "--json").stdout)
    assert [(r["subject"], r["references"]) for r in rows] == [(VIETNAMESE, 2), (HANGUL, 1)]
    shown = json.loads(command("gallery", "show", VIETNAMESE, "-g", path, "--json").stdout)
    assert [r["path"] for r in shown] == ["photos/Ada/1.jpg", "photos/A. L./2.jpg"]
    removed = command("gallery", "remove", HANGUL, "-g", path)
    assert removed.stdout == f"removed {HANGUL} and 1 reference\n"
    assert command("gallery", "export", tmp_path / "e", "-g", path).stdout.startswith("wrote 2 ")
    info = json.loads(command("gallery", "info", "-g", path, "--json").stdout)
    assert (info["subjects"], info["references"], info["embedder"]) == (
        1,
        2,
        store.reader.embedder_id,
    )
    again = command("gallery", "import", tmp_path / "e", "-g", path)
    assert again.stdout == "imported 0 new references\n"
    command("gallery", "remove", VIETNAMESE, "-g", path, "-y")
    assert "nobody is enrolled yet" in command("gallery", "list", "-g", path).stdout


def test_two_who_look_alike_are_told_apart_by_a_margin_or_not_at_all(
    command: Command, own: Path, tmp_path: Path
):
    where = ("-g", own)
    (tmp_path / "twin.jpg").write_bytes(variant(hopper(), 2))
    (tmp_path / "probe.jpg").write_bytes(variant(hopper(), 3))
    command("enroll", collins(), "-s", "Eileen", *where)
    enrolled = command("enroll", tmp_path / "twin.jpg", "-s", "Twin", *where)
    assert "if they are two, `facecli gallery distinct`" in enrolled.stderr
    before = command("identify", tmp_path / "probe.jpg", "--json", *where).stdout
    assert json.loads(before)[0]["decision"] == "identified"

    words = ("gallery", "distinct", "Twin", "Grace Hopper", *where)
    dry = command(*words, "--dry-run")
    assert dry.stdout == "dry run, nothing was changed: Twin and Grace Hopper are two people\n"
    assert command("identify", tmp_path / "probe.jpg", "--json", *where).stdout == before
    assert json.loads(command(*words, "--json").stdout) == {
        "schema": 1, "first": "Twin", "second": "Grace Hopper", "distinct": True, "dry_run": False,
    }  # fmt: skip
    listed = command("gallery", "distinct", "--json", *where).stdout
    assert json.loads(listed) == [{"schema": 1, "first": "Twin", "second": "Grace Hopper"}]

    (row,) = json.loads(
        command("identify", tmp_path / "probe.jpg", "-k", "1", "--json", *where).stdout
    )
    assert (row["decision"], row["subject"]) == ("possible", None)
    assert "too close to tell, one must be 0.28 higher" in row["reason"]
    assert {c["subject"] for c in row["candidates"]} == {"Twin", "Grace Hopper"}
    assert all(c["possible"] for c in row["candidates"])
    assert command("identify", collins(), *where).stdout.endswith("1 named\n")
    for asked in (("threshold",), ("enroll", tmp_path / "twin.jpg", "-s", "Twin")):
        said = command(*asked, *where)
        assert "look like" not in said.stdout + said.stderr
    assert "one person" not in command("gallery", "audit", *where).stdout

    undone = command("gallery", "undo", *where).stdout
    assert undone == "undone: Twin and Grace Hopper said to be two people\n"
    assert command("identify", tmp_path / "probe.jpg", "--json", *where).stdout == before
    command(*words)
    forgot = command(*words, "--forget").stdout
    assert forgot == "Twin and Grace Hopper are no longer said to be two people\n"
    assert command("identify", tmp_path / "probe.jpg", "--json", *where).stdout == before
    assert "no two subjects were said" in command("gallery", "distinct", *where).stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("Grace Hopper",), 2, "name two subjects"), (("--forget",), 2, "goes with two subjects"),
        (("Grace Hopper", "Nobody"), 4, "nobody called 'Nobody' is enrolled"),
        (("Grace Hopper", "Grace Hopper"), 4, "are the same subject"),
    ],
)  # fmt: skip
def test_who_is_said_to_be_two_must_be_two(
    command: Command, gallery: Path, words: tuple[str, ...], code: int, says: str
):
    done = command("gallery", "distinct", *words, "-g", gallery)
    assert (done.returncode, done.stdout) == (code, "") and says in done.stderr


def test_a_damaged_gallery_is_exit_code_4(command: Command, tmp_path: Path):
    store = new_store(tmp_path / "g")
    store.add([reference("Ada", 1)])
    store.close()
    sound = command("gallery", "check", "-g", tmp_path / "g")
    assert sound.stdout == "sound: 1 subject, 1 reference\n"
    with sqlite3.connect(tmp_path / "g") as db:
        db.execute("UPDATE subject SET template = x'00'")
    done = command("gallery", "check", "-g", tmp_path / "g")
    assert (done.returncode, done.stdout) == (4, "")
    assert "subject 'Ada' has no template" in done.stderr


# verify and threshold ------------------------------------------------------------------------


def test_verify_answers_and_checks(command: Command, gallery: Path, photos: Path):
    same = command("verify", hopper(), photos / "hopper.jpg", "-g", gallery, "--json", "--check")
    row = json.loads(same.stdout)
    assert (same.returncode, row["same_subject"]) == (0, True)
    assert row["margin"] == pytest.approx(row["score"] - row["threshold"], abs=2e-6)
    other = command("verify", hopper(), photos / "collins.jpg", "-g", gallery, "--check")
    assert other.returncode == 1
    assert other.stdout.startswith("not shown to be the same subject: score 0.")
    plain = command("verify", hopper(), photos / "collins.jpg")  # no gallery at all
    assert plain.returncode == 0
    assert "FMR 0.01 %" in plain.stdout


def test_a_threshold_by_hand_is_shown_as_such(command: Command, own: Path):
    before = json.loads(command("threshold", "-g", own, "--json").stdout)
    assert (before["basis"], before["target"], before["n"]) == ("reference table", "FPIR", 1)
    assert "set by hand" in command("threshold", "-g", own, "--set", "0.5").stdout
    point = json.loads(command("gallery", "info", "-g", own, "--json").stdout)["operating_point"]
    assert (point["threshold"], point["basis"]) == (0.5, "set by hand")


def test_calibration_from_the_command_line(command: Command, own: Path, tmp_path: Path):
    write_variants(tmp_path / "p" / "Grace Hopper", hopper(), 6, width=160)
    write_variants(tmp_path / "p" / "Eileen Collins", collins(), 6, width=256)
    words = ["threshold", "-g", own, "--calibrate", tmp_path / "p"]
    row = json.loads(command(*words, "--dry-run", "--json").stdout)
    assert (row["mated"], row["non_mated"], row["photos"]) == (30, 36, 12)
    assert row["chosen"]["fnmr"]["trials"] == 30
    point = json.loads(command("threshold", "-g", own, "--json").stdout)
    assert point["basis"] == "reference table"  # a dry run stores nothing
    text = command(*words)
    assert text.returncode == 0
    assert "30 mated and 36 non-mated pairs of 12 photos" in text.stdout
    assert "<- chosen" in text.stdout
    assert "shifted" in json.loads(command("threshold", "-g", own, "--json").stdout)["basis"]
    write_variants(tmp_path / "few" / "Grace Hopper", hopper(), 1)
    write_variants(tmp_path / "few" / "Eileen Collins", collins(), 1)
    few = command("threshold", "-g", own, "--calibrate", tmp_path / "few")
    assert (few.returncode, few.stdout) == (6, "")
    assert "give at least 30\n" in few.stderr


# settings ------------------------------------------------------------------------------------


def test_flag_over_environment_over_default(command: Command, own: Path, photos: Path, tmp_path):
    def subjects(*words: str | Path, **variables: str) -> int:
        listed = command("gallery", "list", "--json", *words, **variables)
        return len(json.loads(listed.stdout))

    home = tmp_path / "home"
    done = command("enroll", hopper(), "-s", "At home", FACECLI_HOME=str(home))
    assert done.returncode == 0
    assert (home / "gallery.facecli").is_file()
    assert home.stat().st_mode & 0o777 == 0o700
    new_store(tmp_path / "empty").close()
    assert subjects(FACECLI_HOME=str(home)) == 1
    assert subjects(FACECLI_HOME=str(home), FACECLI_GALLERY=str(tmp_path / "empty")) == 0
    assert subjects("-g", own, FACECLI_GALLERY=str(tmp_path / "empty")) == 1
    photo = photos / "hopper.jpg"
    wrong = command("identify", photo, "-g", own, FACECLI_MODEL="nonesuch")
    assert wrong.returncode == 5 and "nonesuch" in wrong.stderr
    assert subjects("-g", own, FACECLI_MODEL="nonesuch") == 1  # needs no model
    assert command("identify", photo, "-g", own, FACECLI_DEVICE="abacus").returncode == 2
    words = ["-g", own, "--model", "mobilefacenet-arcface", "--device", "cpu"]
    environment = {"FACECLI_MODEL": "nonesuch", "FACECLI_DEVICE": "abacus"}
    right = command("identify", photo, *words, **environment)
    assert right.returncode == 0


# mistakes ------------------------------------------------------------------------------------

MISTAKES = {
    "no such photo": (["identify", "{photos}/none.jpg", "-g", "{own}"], 3),
    "text as a photo": (["identify", "{photos}/text.txt", "-g", "{own}"], 3),
    "empty folder": (["identify", "{empty}", "-g", "{own}"], 3),
    "gallery is a folder": (["identify", "{photos}/hopper.jpg", "-g", "{photos}"], 4),
    "gallery is a photo": (["identify", "{photos}/hopper.jpg", "-g", "{photos}/hopper.jpg"], 4),
    "no gallery": (["identify", "{photos}/hopper.jpg", "-g", "{empty}/none"], 4),
    "gallery below a file": (["enroll", "{photos}/hopper.jpg", "-s", "A", "-g", "{own}/g"], 4),
    "long gallery name": (["gallery", "info", "-g", "{empty}/" + "x" * 300], 4),
    "nobody's name": (["gallery", "show", "Nobody", "-g", "{own}"], 4),
    "name taken": (["gallery", "rename", "Nobody", "Ada", "-g", "{own}"], 4),
    "name unknown": (["gallery", "rename", "Grace Hopper", "unknown", "-g", "{own}"], 2),
    "import a photo": (["gallery", "import", "{photos}/hopper.jpg", "-g", "{own}"], 4),
    "export into nothing": (["gallery", "export", "{empty}/a/b", "-g", "{own}"], 74),
    "folder as a table": (["threshold", "--calibrate", "{empty}", "-g", "{own}"], 3),
    "photo as a table": (["threshold", "--calibrate", "{photos}/hopper.jpg", "-g", "{own}"], 3),
    "no table": (["threshold", "--calibrate", "{empty}/none.csv", "-g", "{own}"], 3),
    "set nan": (["threshold", "--set", "nan", "-g", "{own}"], 2),
    "set a distance": (["threshold", "--set", "1.24", "-g", "{own}"], 2),
    "set a word": (["threshold", "--set", "high", "-g", "{own}"], 2),
    "threshold nan": (["identify", "{photos}/hopper.jpg", "--threshold", "nan", "-g", "{own}"], 2),
    "fpir 0": (["identify", "{photos}/hopper.jpg", "--target-fpir", "0", "-g", "{own}"], 2),
    "fpir alone": (["threshold", "--target-fpir", "0.1", "-g", "{own}"], 2),
    "set and calibrate": (["threshold", "--set", "0.4", "--calibrate", "x", "-g", "{own}"], 2),
    "two formats": (["identify", "{photos}/hopper.jpg", "--json", "--csv", "-g", "{own}"], 2),
    "no such command": (["identfy"], 2),
    "no argument": (["identify"], 2),
    "top 0": (["identify", "x.jpg", "--top", "0"], 2),
    "no such model": (["identify", "{photos}/hopper.jpg", "-g", "{own}", "-m", "none"], 5),
    "verify without a face": (["verify", "{photos}/blank.png", "{photos}/hopper.jpg"], 3),
    "verify a missing photo": (["verify", "{photos}/none.png", "{photos}/hopper.jpg"], 3),
    "enrol nothing": (["enroll", "{empty}", "-g", "{own}"], 3),
    "no subject's name": (["enroll", "{photos}/hopper.jpg", "-s", " ", "-g", "{own}"], 2),
    "demo into a file": (["demo", "{photos}/text.txt"], 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def places(command: Command, photos: Path, gallery: Path, tmp_path_factory) -> dict[str, str]:
    empty = tmp_path_factory.mktemp("empty")
    return {"photos": str(photos), "own": str(gallery), "empty": str(empty)}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_told_in_words_with_its_exit_code(command: Command, places, kind: str):
    words, code = MISTAKES[kind]
    done = command(*[word.format(**places) for word in words])
    assert done.returncode == code, done.stderr
    assert done.stderr.strip()
    if code == 4 or ("Usage" not in done.stderr and code != 3):
        assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize(("flag", "rate"), [
    ("--target-fpir", "0"), ("--target-fpir", "nan"), ("--target-fmr", "0"), ("--target-fmr", "2"),
])  # fmt: skip
def test_a_target_that_is_no_rate_is_refused(command, gallery, tmp_path, flag: str, rate: str):
    write_variants(tmp_path / "p" / "Grace Hopper", hopper(), 2, width=120)
    write_variants(tmp_path / "p" / "Eileen Collins", collins(), 2, width=120)
    done = command("threshold", "--calibrate", tmp_path / "p", flag, rate, "-g", gallery)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a rate between 0 and 1" in done.stderr
