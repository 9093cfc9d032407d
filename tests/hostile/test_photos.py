"""The whole corpus of bad photos through enroll and identify, good ones among them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support import corpus, galleries
from support.sandbox import Facecli

from facecli import Gallery
from facecli.common.enums import Reason
from facecli.datasets.labels import labelled
from facecli.gallery.enroll import EnrollStatus
from facecli.recognition import images

MEMORY = 1 << 30  # bytes that a run over the corpus may take


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, good: Path) -> tuple[Path, dict]:
    """The corpus on disk, and its cases by file name."""
    path = tmp_path_factory.mktemp("corpus")
    cases = {case.name: case for case in corpus.cases(galleries.hopper())}
    for case in cases.values():
        (path / case.name).write_bytes(case.content)
    for name in ("000-good.jpg", "zzz-good.jpg"):
        (path / name).write_bytes(good.read_bytes() + name.encode())
    return path, cases


def test_every_bad_photo_has_its_outcome_and_the_good_ones_are_enrolled(
    facecli: Facecli, folder: tuple[Path, dict], tmp_path: Path
) -> None:
    photos, cases = folder
    done = facecli("enroll", photos, "-s", "Grace", "-g", tmp_path / "g", "--json")
    assert done.code == 0 and done.rss < MEMORY
    rows = {Path(row["path"]).name: row for row in json.loads(done.out)["photos"]}
    wrong = {}
    for name, case in cases.items():
        row = rows.pop(name)
        said = (row["reason"] or "").split(": ")[0]
        fits = said in case.reasons if row["status"] == EnrollStatus.SKIPPED else case.usable
        if not fits:
            wrong[name] = (row["status"], row["reason"])
    assert wrong == {}
    assert {name: row["status"] for name, row in rows.items()} == {
        "000-good.jpg": "enrolled", "zzz-good.jpg": "enrolled",
    }  # fmt: skip


def test_identify_answers_for_every_file_and_knows_the_good_ones(
    facecli: Facecli, folder: tuple[Path, dict], enrolled: Path
) -> None:
    photos, cases = folder
    done = facecli("identify", photos, "-g", enrolled, "--json")
    assert done.code == 0 and done.rss < MEMORY
    answers: dict[str, list[dict]] = {}
    for row in json.loads(done.out):
        answers.setdefault(Path(row["path"]).name, []).append(row)
    assert set(answers) == {*cases, "000-good.jpg", "zzz-good.jpg"}
    upright = [f"exif-{n}.jpg" for n in range(1, 9)] + ["000-good.jpg", "zzz-good.jpg", "cmyk.jpg"]
    for name in (*upright, "16-bit.png", "alpha.png", "animated.gif", "a-png.jpg"):
        assert [row["subject"] for row in answers[name]] == ["Grace"], name
    for name, case in cases.items():
        if not case.usable:
            said = {row["decision"] for row in answers[name]}
            assert said <= {"failed", "no_face", "low_quality"}, (name, said)


@pytest.mark.slow
def test_a_photo_of_300_faces(facecli: Facecli, enrolled: Path, good: Path, tmp_path: Path) -> None:
    (tmp_path / "crowd.png").write_bytes(corpus.crowd(galleries.hopper()))
    done = facecli("identify", tmp_path / "crowd.png", good, "-g", enrolled, "--json")
    rows = json.loads(done.out)
    assert len(rows) == 301 and rows[-1]["subject"] == "Grace"
    assert done.rss < MEMORY


@pytest.mark.slow
def test_photos_of_nearly_the_largest_size(facecli: Facecli, good: Path, tmp_path: Path) -> None:
    """Where memory does not suffice, the photo is at fault and the batch goes on."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(corpus.near_bomb(13_300) + name.encode())
    (tmp_path / "good.jpg").write_bytes(good.read_bytes())
    done = facecli("enroll", tmp_path, "-s", "Grace", "-g", tmp_path / "g", "--json")
    *bombs, last = json.loads(done.out)["photos"]
    assert last["status"] == "enrolled" and len(bombs) == 2
    for row in bombs:
        assert row["reason"].split(": ")[0] in (Reason.NO_FACE, Reason.TOO_LARGE)


def test_photos_that_are_gone_or_cut_when_they_are_read(good: Path, tmp_path: Path) -> None:
    """Between listing and reading a folder, one is deleted, one cut and one made a folder."""
    for name in ("1.jpg", "2.jpg", "3.jpg", "4.jpg"):
        (tmp_path / name).write_bytes(good.read_bytes() + name.encode())
    layout = labelled([tmp_path], "Grace")
    (tmp_path / "1.jpg").unlink()
    os.truncate(tmp_path / "2.jpg", 2000)
    (tmp_path / "3.jpg").unlink()
    (tmp_path / "3.jpg").mkdir()
    with Gallery.open(tmp_path / "g", create=True) as gallery:
        items = gallery.enroll(layout.photos).items
    assert [item.failure.reason if item.failure else None for item in items] == [
        Reason.NOT_FOUND, Reason.TRUNCATED, Reason.UNREADABLE, None,
    ]  # fmt: skip


def test_stdin_that_never_ends(facecli: Facecli, enrolled: Path) -> None:
    done = facecli("identify", "-", "-g", enrolled, stdin=Path("/dev/zero"))
    assert done.code == 3 and f"{images.MAX_BYTES >> 20} MiB" in done.err
