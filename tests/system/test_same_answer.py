"""The same photos give the same answer: whatever the machine's habits, the order, the way in."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.galleries import Command, collins, hopper, two_faces, variant, write_variants
from support.networks import network

from facecli.common.decision import accepts
from facecli.datasets.labels import labelled
from facecli.gallery.gallery import Gallery
from facecli.recognition.pipeline import Extractor
from facecli.storage import export

NAMES = ("Işık Ålund", "istanbul İ")


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A folder a person, and one of probes."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(NAMES):
        portrait = hopper() if number % 2 else collins()
        write_variants(folder / "p" / name, portrait, 4, first=10 * number, width=160)
    write_variants(folder / "probes", hopper(), 2, first=90, width=180)
    two_faces(folder / "probes" / "two.png")
    return folder


# what a machine is set to --------------------------------------------------------------------

HABITS: dict[str, dict[str, str]] = {
    "plain": {},
    "C, far east": {
        "LC_ALL": "C", "LANG": "", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1",
        "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1",
    },
    "Turkish, west": {
        "LC_ALL": "tr_TR.UTF-8", "TZ": "America/St_Johns", "PYTHONHASHSEED": "2",
        "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "3",
    },
}  # fmt: skip


def answer(command: Command, photos: Path, folder: Path, habit: str) -> tuple[list[str], Any]:
    """What is enrolled, template for template, and what is said of the probes."""
    plain, west = habit == "plain", "west" in habit
    people = sorted((photos / "p").iterdir(), reverse=west)
    workers = () if plain else ("--workers", "5" if west else "1")
    cwd = photos if plain else folder
    gallery, more = folder / "g", HABITS[habit]
    for person in people if west else [photos / "p"]:
        words = [person, "-s", person.name] if west else [person]
        done = command("enroll", *words, "-g", gallery, *workers, cwd=cwd, **more)
        assert done.returncode == 0, done.stderr
    done = command("gallery", "export", folder / "e", "-g", gallery, cwd=cwd, **more)
    assert done.returncode == 0, done.stderr
    found = command("identify", photos / "probes", "--json", "-g", gallery, *workers,
                    cwd=cwd, **more)  # fmt: skip
    assert found.returncode == 0, found.stderr
    rows = json.loads(found.stdout)
    for row in rows:
        for candidate in row["candidates"]:
            candidate.pop("reference", None)  # counts in the order of enrolment
    return sorted((folder / "e").read_text(encoding="utf-8").splitlines()), rows


@pytest.mark.slow
def test_locale_clock_folder_workers_seeds_and_order_change_no_bit(
    command: Command, photos: Path, tmp_path: Path
):
    found = {}
    for habit in HABITS:
        (tmp_path / habit).mkdir()
        found[habit] = answer(command, photos, tmp_path / habit, habit)
    enrolled, said = found["plain"]
    assert len(enrolled) == 1 + 4 * len(NAMES)
    assert len(said) == 4 and {row["decision"] for row in said} >= {"identified"}
    for habit, (others, answers) in found.items():
        assert others == enrolled, habit
        assert answers == said, habit


def test_a_probe_s_answer_does_not_depend_on_those_beside_it(photos: Path, tmp_path: Path):
    with Gallery.open(tmp_path / "g", create=True) as gallery:
        gallery.enroll(labelled([photos / "p"]).photos)
        probes = [*(photos / "probes").iterdir(), *(photos / "p").rglob("*.jpg")]
        alone = {}
        for probe in probes:
            alone[probe] = [told(decision) for decision in gallery.identify([probe], workers=1)]
        for order, workers in ((sorted(probes), 1), (sorted(probes, reverse=True), 4)):
            together = list(gallery.identify(order, workers=workers))
            assert [told(d) for d in together] == [row for probe in order for row in alone[probe]]


def told(decision: Any) -> tuple[object, ...]:
    face = decision.probe.face
    return (
        decision.probe.path, decision.outcome, decision.subject, decision.false_alarm, face.box,
        face.quality, face.landmarks.tobytes(),
        *((c.subject, c.score) for c in decision.candidates),
    )  # fmt: skip


# the way in ----------------------------------------------------------------------------------


def test_every_way_in_gives_the_same_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extractor: Extractor
):
    person = tmp_path / "p" / "Grace"
    person.mkdir(parents=True)
    photo = person / "a.jpg"
    photo.write_bytes(variant(hopper(), 3))
    (tmp_path / "other").mkdir()
    (tmp_path / "Grace_1.jpg").symlink_to(photo)
    shutil.copy(photo, tmp_path / "other" / "Grace.jpg")
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "subject"), ("p/Grace/a.jpg", "Grace")])
    monkeypatch.chdir(tmp_path / "other")
    ways = {
        "folder": ([tmp_path / "p"], None), "file": ([photo], "Grace"),
        "table": ([tmp_path / "list.csv"], None), "link": ([tmp_path / "Grace_1.jpg"], None),
        "relative": ([Path("..") / "p" / "." / "Grace" / "a.jpg"], "Grace"),
        "flat": ([Path("Grace.jpg")], None), "copy": ([tmp_path / "other"], None),
    }  # fmt: skip
    rows = {}
    for way, (paths, subject) in ways.items():
        with Gallery.open(tmp_path / way, create=True) as gallery:
            gallery.models.extractor = extractor  # loaded once
            gallery.enroll(labelled(paths, subject).photos)
            (rows[way],) = gallery.storage.reader.references()
            export.export(gallery.storage.reader, tmp_path / f"{way}.jsonl")
        with Gallery.open(tmp_path / f"{way}-imported", create=True) as gallery:
            assert export.import_(gallery.storage, tmp_path / f"{way}.jsonl") == 1
            (rows[f"{way}, imported"],) = gallery.storage.reader.references()
    with Gallery.open(tmp_path / "table") as gallery:
        gallery.models.extractor = extractor
        assert [d.candidates[0].score for d in gallery.identify([photo, photo.read_bytes()])] == (
            [pytest.approx(1, abs=1e-6)] * 2
        )
    first = rows["folder"]
    assert len(rows) == 14
    for way, row in rows.items():
        assert row.template.vector.tobytes() == first.template.vector.tobytes(), way
        assert (row.face.box, row.face.quality, row.photo_sha256) == (
            first.face.box, first.face.quality, first.photo_sha256,
        ), way  # fmt: skip
        assert row.face.landmarks.tobytes() == first.face.landmarks.tobytes(), way


# NaN -----------------------------------------------------------------------------------------


def test_nan_is_never_accepted():
    nan = float("nan")
    assert not accepts(nan, -1.0) and not accepts(1.0, nan)
    assert accepts(np.array([nan, 0.5, nan]), 0.5).tolist() == [False, True, False]


def test_a_network_that_gives_nan_enrols_and_names_nobody(tmp_path: Path):
    command = Command(tmp_path / "home")
    (tmp_path / "bad.onnx").write_bytes(network(bad=True))
    given = ("--channel-order", "RGB", "--mean", "127.5", "--std", "128", "--no-flip")
    added = command("models", "add", tmp_path / "bad.onnx", *given, "--name", "bad")
    if added.returncode == 0:
        done = command("enroll", hopper(), "-s", "Grace", "-g", tmp_path / "g", "--model", "bad")
        assert (done.returncode, done.stdout) == (5, "") and "not finite" in done.stderr
        assert "Grace" not in command("gallery", "list", "-g", tmp_path / "g").stdout
    else:
        assert added.returncode == 5 and "not finite" in added.stderr
    score = command("verify", hopper(), hopper(), "--threshold", "nan")
    assert (score.returncode, score.stdout) == (2, "")


@pytest.mark.parametrize("column", ["subject.template", "reference.vector"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_template_of_nan_in_the_file_is_an_error_and_no_score(
    photos: Path, tmp_path: Path, column: str, value: float, extractor: Extractor
):
    from facecli.common.errors import GalleryError

    table, field = column.split(".")
    with Gallery.open(tmp_path / "g", create=True) as gallery:
        gallery.models.extractor = extractor
        gallery.enroll(labelled([photos / "p" / NAMES[0]], "Zoë").photos)
    with sqlite3.connect(tmp_path / "g") as db:
        vector = np.frombuffer(db.execute(f"SELECT {field} FROM {table}").fetchone()[0], np.float32)
        vector = np.where(np.arange(len(vector)) == 7, np.float32(value), vector)
        db.execute(f"UPDATE {table} SET {field} = ?", (vector.tobytes(),))
    db.close()
    with Gallery.open(tmp_path / "g") as gallery:
        gallery.models.extractor = extractor
        with pytest.raises(GalleryError, match="not a unit vector"):
            list(gallery.identify([photos / "probes" / "090.jpg"], threshold=-0.99))
        assert gallery.storage.reader.faults() != []


def test_no_option_takes_nan(command: Command, photos: Path, tmp_path: Path):
    probe, gallery = photos / "probes" / "090.jpg", tmp_path / "g"
    assert command("enroll", probe, "-s", "Ada", "-g", gallery).returncode == 0
    for words in (
        ["identify", probe, "--threshold"], ["identify", probe, "--target-fpir"],
        ["identify", probe, "--min-quality"], ["threshold", "--set"],
    ):  # fmt: skip
        done = command(*words, "nan", "-g", gallery)
        assert (done.returncode, done.stdout) == (2, ""), (words, done.stderr)
