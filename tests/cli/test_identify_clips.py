"""`facecli identify` with clips: rows, streams, folders that mix, what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from support import clips
from support.clips import Actor, frame
from support.galleries import Command, hopper, variant

from facecli.video.frames import has_pyav


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A photo, a clip without a suffix that says so, and an empty file called a clip."""
    folder = tmp_path_factory.mktemp("mixed")
    grace, eileen = clips.grace(), clips.eileen()
    frames = [frame(Actor(grace, x), Actor(eileen, 1 - x)) for x in np.linspace(0.22, 0.78, 10)]
    clips.write(folder / "both.mp4", frames).rename(folder / "both.dat")
    (folder / "a.jpg").write_bytes(variant(hopper(), 1))
    (folder / "zero.mp4").touch()
    (folder / "notes.txt").write_text("nothing of interest")
    return folder


@pytest.fixture(scope="module")
def gallery(command: Command, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gallery") / "g"
    done = command("enroll", hopper(), "--subject", "Grace Hopper", "-g", path)
    assert done.returncode == 0, done.stderr
    return path


def test_a_folder_that_mixes_photos_and_clips(command: Command, gallery: Path, folder: Path):
    done = command("identify", folder, "-g", gallery, "--csv")
    assert done.returncode == 0 and done.stderr.endswith(
        "left out 1 file: 1 TXT: not photos that can be read\n"
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [Path(row["path"]).name for row in rows] == ["a.jpg", "both.dat", "both.dat", "zero.mp4"]
    assert rows[0]["track"] == rows[3]["start"] == ""
    by = {row["decision"]: row for row in rows[1:3]}
    assert by["identified"]["subject"] == "Grace Hopper"
    assert by["unknown"]["subject"] == "" and rows[3]["decision"] == "failed"
    for row in by.values():
        assert float(row["start"]) <= float(row["best_at"]) <= float(row["end"]) <= 1.8
        assert row["end_time"].startswith("00:00:01.") and 5 <= int(row["frames"]) <= 10


@pytest.mark.slow
def test_rows_of_every_form_are_the_same(command: Command, gallery: Path, folder: Path):
    arguments = ("identify", folder / "both.dat", "-g", gallery)
    whole = json.loads(command(*arguments, "--json").stdout)
    lines = [json.loads(line) for line in command(*arguments, "--jsonl").stdout.splitlines()]
    assert whole == lines and [row["track"] for row in whole] == [0, 1]
    table = command(*arguments).stdout
    assert table.count("00:00:00.000-00:00:01.") == 2 and "Grace Hopper" in table
    seldom = json.loads(command(*arguments, "--json", "--every", "0.6").stdout)
    assert {row["frames"] for row in seldom} <= {2, 3, 4}


def test_key_frames_need_the_extra_or_work(command: Command, gallery: Path, folder: Path):
    done = command("identify", folder / "both.dat", "-g", gallery, "--key-frames", "--jsonl")
    if has_pyav():
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert "Grace Hopper" in {row["subject"] for row in rows}
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert "pip install 'facecli[video]'" in done.stderr


@pytest.mark.slow
def test_annotate_writes_the_clip_and_the_best_face_of_each_track(
    command: Command, gallery: Path, folder: Path, tmp_path: Path
):
    made = tmp_path / "made"
    done = command("identify", folder / "both.dat", folder / "a.jpg", "-g", gallery, "--annotate",
                   made)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in made.iterdir()) == [
        "a.jpg", "both.mp4", "both_track0.jpg", "both_track1.jpg",
    ]  # fmt: skip
    assert f"wrote {made / 'both.mp4'} (" in done.stderr and "without sound" in done.stderr
