"""`facecli group ...` as it is typed: words, formats, folders, Ctrl-C."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import clips
from support.galleries import Command, collins, environment, hopper, two_faces, write_variants
from support.patience import LAST_RESORT
from support.sandbox import Facecli, Sandbox

from facecli.report import thumbnails


@pytest.fixture(scope="module")
def facecli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facecli]:
    with Sandbox(tmp_path_factory.mktemp("home")) as sandbox:
        yield Facecli(sandbox)


@pytest.fixture(scope="module")
def grouped(facecli: Facecli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and a gallery `g` beside which they are grouped; copy it."""
    folder = tmp_path_factory.mktemp("grouped")
    write_variants(folder / "photos", hopper(), 3)
    write_variants(folder / "photos", collins(), 2, first=3)
    two_faces(folder / "photos" / "both.png")
    done = facecli("group", "photos", "-g", "g", cwd=folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def place(grouped: Path, tmp_path: Path) -> Path:
    return shutil.copytree(grouped, tmp_path / "place")


def data(facecli: Facecli, place: Path, *words: str) -> dict[str, object]:
    done = facecli("group", *words, "-g", "g", "--json", cwd=place)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_the_first_word_may_be_a_folder_of_any_name(facecli: Facecli, place: Path) -> None:
    for folder in ("PHOTOS", "names"):
        shutil.copytree(place / "photos", place / folder)
        done = facecli("group", folder, "-g", "g", "-q", cwd=place)
        assert done.code == 0 and "looked at 0 photos, 6 seen before" in done.out, done.err
    done = facecli("group", "-q", "--gallery", "g", "photos", cwd=place)
    assert done.code == 0, done.err
    assert "facecli group --help" in facecli.refused(3, "group", "mrege", "-g", "g", cwd=place)
    assert facecli("group", cwd=place).code == 2
    assert "merge" in facecli("group", "--help", cwd=place).out


def test_text_json_and_csv_tell_the_same(facecli: Facecli, place: Path) -> None:
    row = data(facecli, place, "photos")
    assert (row["photos"], row["faces"], row["apart"], row["already_seen"]) == (6, 7, 0, 6)
    groups = row["groups"]
    assert [(g["group"], g["faces"], g["state"]) for g in groups] == [
        (1, 4, "found"),
        (2, 3, "found"),
    ]
    assert data(facecli, place, "list")["groups"] == groups
    text = facecli("group", "list", "-g", "g", "--csv", cwd=place).out
    assert [r["faces"] for r in csv.DictReader(io.StringIO(text))] == ["4", "3"]
    faces = data(facecli, place, "show", "1")["faces"]
    shown = facecli("group", "show", "1", "-g", "g", cwd=place).out
    assert len(faces) == 4 and all(str(f["face"]) in shown for f in faces)
    assert "vector" not in str(row) + str(faces), "no template leaves by a report"
    facecli.refused(2, "group", "list", "--json", "--csv", "-g", "g", cwd=place)


def test_groups_are_named_merged_split_ignored_and_all_of_it_undone(
    facecli: Facecli, place: Path
) -> None:
    before = data(facecli, place, "list")
    face = data(facecli, place, "show", "1")["faces"][0]["face"]
    for words, said in (
        (("merge", "2", "1"), "merged group 2 into 1: 7 faces"),
        (("split", "1", str(face)), "moved 1 face of group 1 to group 3"),
        (("ignore", "1"), "set group 1 aside: 6 faces"),
        (("name", "3", "Grace Hopper"), "group 3: enrolled 1, already there 0, skipped 0"),
    ):
        done = facecli("group", *words, "-g", "g", cwd=place)
        assert (done.code, done.out.strip()) == (0, said), done.err
    assert "Grace Hopper" in facecli("gallery", "list", "-g", "g", cwd=place).out
    undone = [
        facecli("group", "undo", "-g", "g", cwd=place).out.split(";")[0].strip() for _ in "1234"
    ]
    assert undone == ["undone: name 3 Grace Hopper", "undone: ignore 1",
                      "undone: split 1 of 7 faces off 1", "undone: merge 2 into 1"]  # fmt: skip
    assert data(facecli, place, "list") == before
    facecli.refused(4, "group", "undo", "-g", "g", cwd=place)
    facecli.refused(4, "group", "merge", "1", "9", "-g", "g", cwd=place)
    facecli.refused(4, "group", "list", "-g", "other", cwd=place)


def test_a_folder_for_each_group(facecli: Facecli, place: Path) -> None:
    assert facecli("group", "name", "1", "../Grace/..", "-g", "g", cwd=place).code == 0
    for how, again in (("--link", 0), ("--copy", 0)):
        out = f"out{how}"
        done = facecli("group", "export", out, how, "-g", "g", "--json", cwd=place)
        row = json.loads(done.out)
        assert (row["folders"], row["written"], row["already_there"]) == (2, 7, 0)
        names = {path.relative_to(place / out).as_posix() for path in (place / out).rglob("*.*g")}
        assert names == {
            *(f"_Grace_/{n}" for n in ("000.jpg", "001.jpg", "002.jpg", "both.png")),
            *(f"group 2/{n}" for n in ("003.jpg", "004.jpg", "both.png")),
        }
        photo = place / out / "group 2" / "003.jpg"
        assert photo.is_symlink() == (how == "--link")
        assert photo.read_bytes() == (place / "photos" / "003.jpg").read_bytes()
        row = json.loads(facecli("group", "export", out, how, "-g", "g", "--json", cwd=place).out)
        assert (row["written"], row["already_there"]) == (again, 7)
    (place / "photos" / "003.jpg").unlink()
    (place / "taken" / "group 2").mkdir(parents=True)
    (place / "taken" / "group 2" / "004.jpg").write_text("mine")
    done = facecli("group", "export", "taken", "--copy", "-g", "g", cwd=place)
    assert "skipped photos/003.jpg: not found" in done.out
    assert (place / "taken" / "group 2" / "004.jpg").read_text() == "mine"
    assert (place / "taken" / "group 2" / "004_2.jpg").exists()
    facecli.refused(2, "group", "export", "photos", "--copy", "-g", "g", cwd=place)
    facecli.refused(2, "group", "export", "out", "-g", "g", cwd=place)


def test_a_clip_s_faces_are_shown_with_their_time(facecli: Facecli, tmp_path: Path) -> None:
    scenes = [*clips.walk(clips.grace(), 8, 0.3, 0.4), *clips.walk(clips.eileen(), 8, 0.6, 0.7, 2)]
    clips.write(tmp_path / "box.mp4", scenes)
    done = facecli("group", "box.mp4", "-g", "g", "--report", "page.html", cwd=tmp_path)
    assert done.code == 0 and "looked at 1 photo" in done.out, done.err
    (face,) = data(facecli, tmp_path, "show", "2")["faces"]
    assert 1.6 <= face["start"] <= face["best_at"] <= face["end"] <= 3.2
    text = facecli("group", "list", "--all", "-g", "g", cwd=tmp_path).out
    assert "box.mp4 00:00:0" in text
    box = (face["x1"], face["y1"], face["x2"], face["y2"])
    moments = [(face["best_at"], box), (99.0, box), (face["best_at"], box)]
    pictures = thumbnails.of_clip(str(tmp_path / "box.mp4"), moments)
    assert [picture is None for picture in pictures] == [False, True, False]
    assert facecli("group", "merge", "2", "1", "-g", "g", cwd=tmp_path).code == 0
    done = facecli("group", "box.mp4", "-g", "g", "--report", "two.html", "-q", cwd=tmp_path)
    page = (tmp_path / "two.html").read_text()
    assert page.count("data:image/jpeg") == 2 and "00:00:0" in page and "not there" not in page


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_looked_at(tmp_path: Path) -> None:
    command, many = Command(tmp_path / "home"), 900  # seconds of work after the first are kept
    write_variants(tmp_path / "photos", hopper(), many, width=160)
    gallery = tmp_path / "g"
    process = subprocess.Popen(
        command.arguments("group", tmp_path / "photos", "-g", gallery, "--workers", "1"),
        env=environment(command.home), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    beside, started = tmp_path / "g.groups", time.monotonic()
    while not (beside.exists() and _count(beside)) and time.monotonic() - started < LAST_RESORT:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LAST_RESORT)
    assert process.returncode == 130 and "run the same command to go on" in said
    kept = _count(beside)
    assert 0 < kept < many
    done = command("group", tmp_path / "photos", "-g", gallery, "--json")
    row = json.loads(done.stdout)
    assert (row["already_seen"], row["looked_at"]) == (kept, many - kept)


def _count(path: Path) -> int:
    import sqlite3

    db = sqlite3.connect(path, timeout=60)
    try:
        return int(db.execute("SELECT count(*) FROM photo").fetchone()[0])
    finally:
        db.close()


def test_a_page_shows_the_faces_and_is_private(facecli: Facecli, place: Path) -> None:
    pytest.importorskip("jinja2")
    facecli("group", "name", "2", "<b>Ei", "-g", "g", cwd=place)
    done = facecli("group", "photos", "--report", "page.html", "-g", "g", cwd=place)
    assert done.code == 0, done.err
    page = (place / "page.html").read_text(encoding="utf-8")
    assert os.stat(place / "page.html").st_mode & 0o777 == 0o600  # noqa: PTH116
    assert page.count("data:image/jpeg;base64,") == 4, "group 1; the other has its name"
    assert "facecli group name 1 NAME" in page and "&lt;b&gt;Ei" in page and "<b>Ei" not in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    (place / "photos" / "000.jpg").unlink()
    done = facecli("group", "photos", "--report", "-", "-g", "g", cwd=place)
    assert done.out.startswith("<!doctype html>") and "photo not there" in done.out
